import type { EndReason } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { Kept } from "../core/kept.ts";
import type { MachineAccess } from "./access.ts";
import type { ControlInfo } from "./control-messages.ts";
import { type ControlChannel, controlChannel } from "./control.ts";
import { type Whereabouts, endedError, pausedError } from "./lifeline.ts";

/**
 * Where a machine is between running, paused and ended, and who answers for it.
 *
 * A supervisor answers for one that runs, or that is paused and stays in memory. A paused machine may have none; then its
 * driver answers from what it keeps, until somebody resumes it, which may be another process.
 */
export class Presence implements Whereabouts {
  /** Resolves with the reason once the machine has ended. A pause is no end. */
  readonly ended: Promise<EndReason>;
  readonly #access: MachineAccess;
  #end: (reason: EndReason | Promise<EndReason>) => void = () => undefined;
  #isOver = false;
  #control: ControlChannel | undefined;
  /** Resolves once it is known what the end of the last control channel means. */
  #parted: Promise<void> = Promise.resolve();

  private constructor(access: MachineAccess) {
    this.#access = access;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Finds a machine, running or paused. Throws `lost` when it is neither. */
  static async find(access: MachineAccess): Promise<Presence> {
    const presence = new Presence(access);
    if (access.own) await (await presence.#connect()).own();
    else await (await presence.#supervisor())?.info();
    return presence;
  }

  get isPaused(): boolean {
    return !this.#isOver && this.#control?.state !== "running";
  }

  /** Throws `conflict` while the machine is paused. */
  async admit(): Promise<void> {
    if (!this.isPaused) return;
    if ((await this.info()).state === "paused") throw pausedError(this.#access.id);
  }

  async info(): Promise<ControlInfo> {
    const control = await this.#supervisor();
    if (control !== undefined) {
      try {
        return await this.#explained(control.info());
      } catch (cause) {
        // The supervisor has just left the machine, which it has paused.
        if (SandboxError.from(cause).code !== "conflict") throw cause;
      }
    }
    const info = await this.#access.resting?.info();
    if (info === undefined) throw await this.#gone();
    return info;
  }

  /** Asks the supervisor of a running machine. Throws `conflict`, or why the machine has ended. */
  async ask<T>(question: (control: ControlChannel) => Promise<T>): Promise<T> {
    await this.admit();
    const control = await this.#supervisor();
    if (control === undefined) throw pausedError(this.#access.id);
    return this.#explained(question(control));
  }

  async pause(kept: Kept): Promise<void> {
    await this.ask((control) => control.pause(kept));
  }

  /** Whoever resumes a machine that is not detached owns it. */
  async resume(lifetimeMs: number, from: Kept): Promise<void> {
    if (from === "files" && (await this.#keptMemory())) {
      if (!(await this.#endedInOrder(lifetimeMs))) return this.#rise(lifetimeMs, "files");
    }
    await this.#rise(lifetimeMs, "memory");
  }

  async #rise(lifetimeMs: number, from: Kept): Promise<void> {
    const control = await this.#supervisor();
    const goesOn = control !== undefined && (await this.#goesOn(control, lifetimeMs));
    if (!goesOn) await this.#access.resting?.resume(lifetimeMs, from);
    await (this.#control ?? (await this.#connect())).own();
  }

  /** Whether it is paused with its memory, where that is or on a disk. */
  async #keptMemory(): Promise<boolean> {
    if ((await this.#supervisor()) !== undefined) return this.isPaused;
    return (await this.#access.resting?.hasMemory()) === true;
  }

  /** Ends what runs in it, so that its files are in order; `false`: its memory cannot be brought back. */
  async #endedInOrder(lifetimeMs: number): Promise<boolean> {
    try {
      await this.#rise(lifetimeMs, "memory");
    } catch (cause) {
      const { code } = SandboxError.from(cause);
      if (code === "untrusted" || code === "unsupported" || code === "internal") return false;
      throw cause;
    }
    await this.pause("files");
    return true;
  }

  setBusy(busy: boolean): void {
    this.#control?.setBusy(busy);
  }

  /** Ends it, running or paused, and resolves when nothing is left. One that is gone already is no error. */
  async kill(): Promise<void> {
    while (!this.#isOver) {
      const control = await this.#supervisor().catch(unlessLost);
      if (control !== undefined) {
        await control.kill();
        await this.#parted;
      } else if (await this.#isResting()) await this.#discard();
      else this.#over(this.#reason());
    }
  }

  close(): void {
    this.#control?.close();
  }

  async #connect(): Promise<ControlChannel> {
    const control = await controlChannel(this.#access.dial);
    this.#control = control;
    this.#parted = this.#part(control);
    return control;
  }

  async #part(control: ControlChannel): Promise<void> {
    const reason = await control.ended;
    this.#control = undefined;
    if (reason !== undefined) return this.#over(reason);
    if (!(await this.#isResting())) this.#over(this.#reason());
  }

  /** `false`: the supervisor has just left the paused machine. */
  async #goesOn(control: ControlChannel, lifetimeMs: number): Promise<boolean> {
    try {
      await control.resume(lifetimeMs);
      return true;
    } catch (cause) {
      const error = SandboxError.from(cause);
      if (error.code !== "lost") throw error;
      await this.#parted;
      if (this.isPaused) return false;
      throw await this.#gone(error);
    }
  }

  /** Who answers for it; `undefined` for a paused machine without a supervisor. Throws `lost` when it is gone. */
  async #supervisor(): Promise<ControlChannel | undefined> {
    await this.#settled();
    if (this.#control !== undefined) return this.#control;
    if (this.#isOver) throw await this.#gone();
    try {
      return await this.#connect();
    } catch (cause) {
      const error = SandboxError.from(cause);
      if (error.code !== "lost" || !(await this.#isResting())) throw error;
      return undefined;
    }
  }

  /** Somebody else may resume or end it meanwhile, which the next look finds out. */
  async #discard(): Promise<void> {
    try {
      await this.#access.resting?.discard();
      this.#over("killed");
    } catch (cause) {
      if (SandboxError.from(cause).code !== "conflict") throw cause;
    }
  }

  /** Waits out that a channel has broken and nobody knows yet why. */
  async #settled(): Promise<void> {
    if (this.#control === undefined) await this.#parted;
  }

  /** A machine whose page was damaged is paused all the same. */
  async #isResting(): Promise<boolean> {
    try {
      return (await this.#access.resting?.info()) !== undefined;
    } catch (cause) {
      if (SandboxError.from(cause).code === "untrusted") return true;
      throw cause;
    }
  }

  async #reason(): Promise<EndReason> {
    return (await this.#access.endNote?.()) ?? "runtime-lost";
  }

  #over(reason: EndReason | Promise<EndReason>): void {
    this.#isOver = true;
    this.#end(reason);
  }

  async #gone(cause?: SandboxError): Promise<SandboxError> {
    const reason = this.#isOver ? await this.ended : await this.#reason();
    return endedError(this.#access.id, reason, cause);
  }

  /** A control call's answer; a channel that broke because the machine ended or was paused says so. */
  async #explained<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (cause) {
      const error = SandboxError.from(cause);
      if (error.code !== "lost") throw error;
      await this.#parted;
      if (this.isPaused) throw pausedError(this.#access.id, error);
      throw await this.#gone(error);
    }
  }
}

function unlessLost(cause: unknown): undefined {
  if (SandboxError.from(cause).code !== "lost") throw cause;
  return undefined;
}
