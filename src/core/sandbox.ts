import type {
  ByteChannel,
  Driver,
  EndReason,
  Machine,
  MachineInfo,
  Power,
  SnapshotInfo,
} from "./driver.ts";
import type { Kept } from "./kept.ts";
import type { CodeContext, CodeContexts } from "./code.ts";
import type { EnforcementReport } from "./enforcement.ts";
import type { SandboxSpec } from "./spec.ts";
import { SandboxError } from "./errors.ts";
import { Commands } from "./commands.ts";
import { Pty } from "./pty.ts";
import { SandboxFiles } from "./sandbox-files.ts";
import type { Execution } from "./execution.ts";
import {
  type ContextReference,
  type CreateContextOptions,
  type RunCodeOptions,
  contextId,
  contextOptions,
  runCode,
} from "./run-code.ts";
import {
  type SandboxInfo,
  type SandboxMetrics,
  sandboxInfo,
  sandboxMetrics,
} from "./sandbox-info.ts";
import { parseLifetime } from "./options.ts";
import { invalid, numberIn, optionalText, signalOption } from "./validate.ts";

/** Which driver a sandbox runs on and why. */
export interface DriverChoice {
  readonly driver: string;
  readonly reason: string;
  /** Stronger drivers that this host cannot use now. */
  readonly rejected: readonly {
    readonly driver: string;
    readonly reason: string;
    readonly mend: string;
  }[];
}

/** What a sandbox is made over. */
export interface SandboxParts {
  readonly driver: Driver;
  readonly machine: Machine;
  /** What it was made with; `undefined` for one that was found again. */
  readonly spec: SandboxSpec | undefined;
  readonly choice: DriverChoice;
}

/** An isolated computer for code that nobody has read. Ends when disposed (`await using`), killed, unused or over its lifetime. */
export class Sandbox implements AsyncDisposable {
  /** `i` and 20 lower-case letters and digits. */
  readonly sandboxId: string;
  readonly commands: Commands;
  readonly files: SandboxFiles;
  readonly pty: Pty;
  /** Which driver it runs on, why, and what was rejected. */
  readonly choice: DriverChoice;
  /** Resolves with the reason once the sandbox has ended, however it ends. */
  readonly ended: Promise<EndReason>;
  readonly #parts: SandboxParts;

  constructor(parts: SandboxParts) {
    this.#parts = parts;
    this.sandboxId = parts.machine.id;
    this.choice = parts.choice;
    this.ended = parts.machine.ended;
    this.commands = new Commands(parts.machine);
    this.files = new SandboxFiles(parts.machine);
    this.pty = new Pty(parts.machine);
  }

  /**
   * Runs code in a context that keeps its state.
   *
   * What the code throws is `execution.error`, not an error of this call. Throws `timed-out` when it ran into `timeoutMs`,
   * `cancelled` when the signal aborted, `not-found` for an unknown context, `invalid` for a bad option, `unsupported`
   * where the driver has no kernels, `lost` when the sandbox ended.
   */
  runCode(code: string, options?: RunCodeOptions): Promise<Execution> {
    return this.#withCode((contexts) => runCode(contexts, code, options));
  }

  /** Makes a context: a kernel of its own, which shares files with the others and nothing else. */
  createCodeContext(options?: CreateContextOptions): Promise<CodeContext> {
    return this.#withCode((contexts) => contexts.create(contextOptions(options)));
  }

  /** Contexts in the order of their making. */
  listCodeContexts(): Promise<readonly CodeContext[]> {
    return this.#withCode((contexts) => contexts.list());
  }

  /** Ends a context and its kernel. Throws `not-found`. */
  removeCodeContext(context: ContextReference): Promise<void> {
    return this.#withCode((contexts) => contexts.remove(contextId(context)));
  }

  /** Gives a context a new kernel: its state is gone, its id stays. Throws `not-found`. */
  restartCodeContext(context: ContextReference): Promise<void> {
    return this.#withCode((contexts) => contexts.restart(contextId(context)));
  }

  /** Interrupts what a context runs, as Ctrl-C would. Throws `not-found`. */
  interruptCodeContext(context: ContextReference): Promise<void> {
    return this.#withCode((contexts) => contexts.interrupt(contextId(context)));
  }

  /** Ends the sandbox this long from now, whatever was agreed before. Milliseconds, 1,000 to 2,592,000,000. */
  async setTimeout(timeoutMs: number): Promise<void> {
    const lifetimeMs = parseLifetime("timeoutMs", timeoutMs);
    if (lifetimeMs === undefined) throw invalid("timeoutMs", "is missing");
    await this.#parts.machine.setLifetime(lifetimeMs);
  }

  /** Whether it answers. Never throws. */
  isRunning(): Promise<boolean> {
    return this.#parts.machine.isRunning();
  }

  /** What it is, since when and until when. Throws `lost` when it has ended. */
  async getInfo(): Promise<SandboxInfo> {
    return sandboxInfo(await this.#parts.machine.info());
  }

  /** What it uses now: one reading, in a list as E2B gives it. */
  async getMetrics(): Promise<readonly SandboxMetrics[]> {
    return [sandboxMetrics(await this.#parts.machine.metrics())];
  }

  /** What enforces each of its options on this driver. */
  async enforcement(): Promise<EnforcementReport> {
    const { driver, machine, spec } = this.#parts;
    return driver.enforcement(spec ?? specOf(await machine.info()));
  }

  /** A two-way stream of bytes to a port that a program inside listens on. Throws `unsupported`, `unavailable`. */
  async connectPort(
    port: number,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<ByteChannel> {
    const { machine, driver } = this.#parts;
    const number = numberIn("port", port, { min: 1, max: 65_535, unit: "port" });
    if (number === undefined) throw invalid("port", "is missing");
    if (machine.ports === undefined) throw lacks(driver, "ports");
    return machine.ports.connect(number, signalOption(options.signal));
  }

  /** Stops it and keeps it: its memory, or with `kept: "files"` its files alone. Throws `unsupported` where the driver cannot. */
  pause(options: { readonly kept?: Kept } = {}): Promise<void> {
    return this.#withPower((power) => power.pause(options.kept));
  }

  /** Goes on where `pause` stopped, for `timeoutMs` from now, 5 minutes by default. Throws `unsupported` where the driver cannot. */
  async resume(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const lifetimeMs = parseLifetime("timeoutMs", options.timeoutMs) ?? 300_000;
    await this.#withPower((power) => power.resume(lifetimeMs));
  }

  /**
   * Makes a template of it, while it stands still for a moment, and goes on. Its name, or the one that is made up, is a
   * `template` of `Sandbox.create`. With `kept: "memory"` its processes go on in each sandbox made from it, with all that they
   * hold, secrets too. Throws `already-exists`, `unsupported` where the driver cannot.
   */
  async createSnapshot(
    options: { readonly name?: string; readonly kept?: Kept } = {},
  ): Promise<SnapshotInfo> {
    const { machine, driver } = this.#parts;
    if (machine.snapshots === undefined) throw lacks(driver, "snapshot");
    const made = `snapshot-${this.sandboxId}-${Date.now().toString(36)}`;
    return machine.snapshots.take(optionalText("name", options.name) ?? made, options.kept);
  }

  /** Ends it and resolves when nothing of it is left. `false`: it had ended already. */
  async kill(): Promise<boolean> {
    const there = await this.#isThere();
    await this.#parts.machine[Symbol.asyncDispose]();
    return there;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.machine[Symbol.asyncDispose]();
  }

  /** Running or paused. */
  async #isThere(): Promise<boolean> {
    try {
      await this.#parts.machine.info();
      return true;
    } catch (cause) {
      if (SandboxError.from(cause).code === "lost") return false;
      throw cause;
    }
  }

  async #withCode<T>(act: (contexts: CodeContexts) => Promise<T>): Promise<T> {
    const { machine, driver } = this.#parts;
    if (machine.code === undefined) throw lacks(driver, "code");
    return act(machine.code);
  }

  async #withPower(act: (power: Power) => Promise<void>): Promise<void> {
    const { machine, driver } = this.#parts;
    if (machine.power === undefined) throw lacks(driver, "pause");
    await act(machine.power);
  }
}

function lacks(driver: Driver, capability: string): SandboxError {
  return new SandboxError("unsupported", `the driver ${driver.name} has no ${capability}`, {
    field: capability,
  });
}

/** As much of a spec as a machine that was found again tells. */
function specOf(info: MachineInfo): SandboxSpec {
  const lifetimeMs = info.endAt.getTime() - info.startedAt.getTime();
  return {
    template: info.template,
    resources: info.resources,
    lease: { lifetimeMs, idleTimeoutMs: info.idleTimeoutMs, detached: true },
    egress: { allowOut: [], denyOut: [] },
    envs: {},
    metadata: info.metadata,
    seccomp: undefined,
  };
}
