import type { Availability, Machine } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { createMachine } from "./create.ts";
import type { Engine } from "./engine.ts";
import { emptyImage } from "./empty-image.ts";
import { guestVolume } from "./guest-volume.ts";
import type { Settings } from "./options.ts";
import type { Preset, Ready } from "./preset.ts";

export interface Probe {
  readonly preset: Preset;
  readonly settings: Settings;
  /** The Engine and the runtime that may be used. Throws with the mend. */
  readonly usable: () => Promise<Ready>;
}

/** A machine of an empty image, which needs no template. */
const smallest: SandboxSpec = {
  template: "base",
  resources: { cpus: 1, memoryMiB: 128, diskMiB: 16, pids: 128, openFiles: 256 },
  lease: { lifetimeMs: 60_000, idleTimeoutMs: 0, detached: false },
  egress: { allowOut: [], denyOut: [] },
  envs: {},
  metadata: {},
  seccomp: undefined,
};

const patienceMs = 60_000;

/** Starts a real machine, asks its agent, checks what is told of the host, and ends it. Never throws. */
export async function probeDriver({ preset, settings, usable }: Probe): Promise<Availability> {
  try {
    const { engine, runtime } = await usable();
    refuseMissingLimits(engine);
    const { stateDir } = settings;
    const image = await emptyImage(engine);
    const volume = await guestVolume(engine, stateDir, image.id);
    const signal = AbortSignal.timeout(patienceMs);
    await using machine = await createMachine({
      preset,
      engine,
      stateDir,
      spec: smallest,
      signal,
      image,
      volume,
      runtime: runtime.name,
    });
    await inspect(preset, engine, machine);
    const users = engine.remapsUsers
      ? "root inside is nobody on the host (userns-remap)"
      : "root inside is the host's root without a capability: the Engine remaps no users";
    const escapes = runtime.overridden.map((cve) => `known escape not refused: ${cve}`);
    return {
      ok: true,
      version: `${engine.title}, ${runtime.name ?? engine.defaultRuntime} ${runtime.version}`,
      notes: [engine.socket, ...runtime.notes, users, ...escapes],
    };
  } catch (cause) {
    const { message, mend } = SandboxError.from(cause, "the probe failed");
    return { ok: false, reason: message, mend: mend ?? "see cofferdam doctor" };
  }
}

/** Where the Engine's host lacks a limit, the Engine itself only warns. */
function refuseMissingLimits({ warnings }: Engine): void {
  if (warnings.length === 0) return;
  throw new SandboxError("unsupported", `the Engine cannot limit ${warnings.join(", ")}`, {
    mend: "give its host's kernel these control groups, or a rootless Engine their delegation",
  });
}

/** A runtime that is asked for because of its own kernel must show one. */
async function inspect(
  { name, sharesKernel }: Preset,
  { kernel }: Engine,
  machine: Machine,
): Promise<void> {
  if (!(await machine.isRunning())) throw new SandboxError("internal", "its agent does not answer");
  if (sharesKernel || kernel === "") return;
  const content = await machine.files.read("/proc/version", { user: "root" });
  const told = Buffer.from(await content.bytes()).toString();
  if (told.includes(` ${kernel} `))
    throw new SandboxError(
      "unsupported",
      `${name}: the runtime gives its machines the host's kernel`,
      {
        field: "runtime",
        mend: "register the runtime that its name promises",
      },
    );
}
