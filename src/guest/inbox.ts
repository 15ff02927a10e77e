import type { Readable } from "node:stream";

/** While more than this waits for the reader, the source is paused. */
const fullBytes = 512 * 1024;

/** What an entry takes beside its bytes, so that many small ones are bounded as well. */
const entryBytes = 128;

/** After so many taken entries, what they took is given back. */
const compactAfter = 256;

interface Entry<T> {
  readonly item: T;
  readonly bytes: number;
}

interface Reader<T> {
  readonly resolve: (item: T | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** What has come from a source and waits for its one reader. */
export class Inbox<T> {
  readonly #source: Pick<Readable, "pause" | "resume">;
  #entries: Entry<T>[] = [];
  #taken = 0;
  #waitingBytes = 0;
  #paused = false;
  #dropping = false;
  #closed = false;
  #failure: Error | undefined;
  #reader: Reader<T> | undefined;

  constructor(source: Pick<Readable, "pause" | "resume">) {
    this.#source = source;
  }

  put(item: T, bytes: number): void {
    if (this.#dropping || this.#closed) return;
    if (this.#reader !== undefined) return this.#answer((reader) => reader.resolve(item));
    this.#entries.push({ item, bytes });
    this.#waitingBytes += bytes + entryBytes;
    if (this.#paused || this.#waitingBytes <= fullBytes) return;
    this.#paused = true;
    this.#source.pause();
  }

  /** Nothing comes any more; with an error, the reader gets it after what waits. */
  close(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#failure = error;
    this.#answer((reader) =>
      error === undefined ? reader.resolve(undefined) : reader.reject(error),
    );
  }

  /** What waits and what comes is dropped from now on. */
  drop(): void {
    this.#dropping = true;
    this.#entries = [];
    this.#taken = 0;
    this.#waitingBytes = 0;
    this.#flow();
    this.#answer((reader) => reader.resolve(undefined));
  }

  /** Takes the next item; `undefined`: it is closed. Rejects with the error that closed it. */
  take(): Promise<T | undefined> {
    const entry = this.#entries[this.#taken];
    if (entry !== undefined) return Promise.resolve(this.#give(entry));
    if (this.#failure !== undefined && !this.#dropping) return Promise.reject(this.#failure);
    if (this.#closed || this.#dropping) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  #give({ item, bytes }: Entry<T>): T {
    this.#taken += 1;
    this.#waitingBytes -= bytes + entryBytes;
    if (this.#taken === this.#entries.length || this.#taken > compactAfter) {
      this.#entries = this.#entries.slice(this.#taken);
      this.#taken = 0;
    }
    if (this.#waitingBytes <= fullBytes / 2) this.#flow();
    return item;
  }

  #flow(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#source.resume();
  }

  #answer(give: (reader: Reader<T>) => void): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader !== undefined) give(reader);
  }
}
