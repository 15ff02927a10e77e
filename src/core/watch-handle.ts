import type { Watch, WatchEvent } from "./files.ts";
import { SandboxError } from "./errors.ts";
import { settled } from "./output.ts";

interface WatchHandleOptions {
  /** Milliseconds; 0: never. */
  readonly timeoutMs: number;
  readonly onExit: ((error?: SandboxError) => unknown) | undefined;
}

/** A directory that is being watched. */
export class WatchHandle {
  readonly #watch: Watch;
  readonly #done: Promise<void>;
  #stopped = false;

  constructor(
    watch: Watch,
    onEvent: (event: WatchEvent) => unknown,
    { timeoutMs, onExit }: WatchHandleOptions,
  ) {
    this.#watch = watch;
    const timer = timeoutMs === 0 ? undefined : setTimeout(() => void this.stop(), timeoutMs);
    this.#done = this.#run(onEvent)
      .then(
        () => settled(onExit?.()),
        (cause: unknown) => settled(onExit?.(SandboxError.from(cause, "the watch failed"))),
      )
      .finally(() => clearTimeout(timer));
    this.#done.catch(() => undefined);
  }

  /** Stops watching; no event is told afterwards. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#watch[Symbol.asyncDispose]();
  }

  async #run(onEvent: (event: WatchEvent) => unknown): Promise<void> {
    try {
      for await (const event of this.#watch.events) {
        if (this.#stopped) return;
        const taken = settled(onEvent(event));
        if (taken !== undefined) await taken;
      }
    } finally {
      await this.#watch[Symbol.asyncDispose]();
    }
  }
}
