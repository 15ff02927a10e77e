import type { Availability } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { createMachine } from "./create.ts";
import type { Engine } from "./engine.ts";

/** A machine of the guest layer alone, which needs no template. */
const smallest: SandboxSpec = {
  template: "base",
  resources: { cpus: 1, memoryMiB: 128, diskMiB: 16, pids: 128, openFiles: 256 },
  lease: { lifetimeMs: 120_000, idleTimeoutMs: 0, detached: false },
  egress: { allowOut: [], denyOut: [] },
  envs: {},
  metadata: {},
  seccomp: undefined,
};
const patienceMs = 120_000;

/** Starts a real machine, asks its agent, and ends it. Never throws. */
export async function probeEngine(engine: Engine, stateDir: string): Promise<Availability> {
  try {
    requireRoot();
    const found = await engine.find();
    const signal = AbortSignal.timeout(patienceMs);
    const creation = { engine, found, stateDir, spec: smallest, signal, origin: undefined };
    await using machine = await createMachine(creation);
    if (!(await machine.isRunning()))
      throw new SandboxError("internal", "its agent does not answer");
    const { version, notes, emulated } = found;
    return { ok: true, version, notes, emulated };
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
