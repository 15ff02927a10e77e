import type { Availability } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { createMachine } from "./create.ts";
import type { Preset } from "./preset.ts";
import type { Runtime } from "../local/runtime.ts";

export interface Probe {
  readonly preset: Preset;
  readonly stateDir: string;
  /** The runtime that may be used. Throws with the mend. */
  readonly usable: () => Promise<Runtime>;
}

/** A machine of the guest layer alone, which needs no template. */
const smallest: SandboxSpec = {
  template: "base",
  resources: { cpus: 1, memoryMiB: 128, diskMiB: 16, pids: 128, openFiles: 256 },
  lease: { lifetimeMs: 60_000, idleTimeoutMs: 0, detached: false },
  egress: { allowOut: [], denyOut: [] },
  envs: {},
  metadata: {},
  seccomp: undefined,
};

const patienceMs = 45_000;

/** Starts a real machine, asks its agent, checks what the host must have refused it, and ends it. Never throws. */
export async function probeDriver({ preset, stateDir, usable }: Probe): Promise<Availability> {
  try {
    requireRoot();
    const runtime = await usable();
    const { path, version, overridden } = runtime;
    const signal = AbortSignal.timeout(patienceMs);
    const creation = {
      preset,
      usable,
      stateDir,
      spec: smallest,
      signal,
      runtime,
      origin: undefined,
    };
    await using machine = await createMachine(creation);
    if (!(await machine.isRunning()))
      throw new SandboxError("internal", "its agent does not answer");
    await preset.inspect(machine);
    const escapes = overridden.map((cve) => `known escape not refused: ${cve}`);
    return { ok: true, version, notes: [path, ...preset.notes, ...escapes] };
  } catch (cause) {
    const { message, mend } = SandboxError.from(cause, "the probe failed");
    return { ok: false, reason: message, mend: mend ?? "see cofferdam doctor" };
  }
}

function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new SandboxError("denied", "sandboxes on this host need root, and this is another user", {
    mend: "run it with sudo",
  });
}
