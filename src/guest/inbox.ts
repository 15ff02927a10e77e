import type { Readable } from "node:stream";

/** What waits for its one reader. While more than `fullBytes` wait, the source is paused. */
export interface Inbox<T> {
  put(item: T, bytes: number): void;
  /** Nothing comes any more; with an error, the reader gets it after what waits. */
  close(error?: Error): void;
  /** What waits and what comes is dropped from now on. */
  drop(): void;
  /** Takes the next item; `undefined`: it is closed. */
  take(): Promise<T | undefined>;
}

const fullBytes = 512 * 1024;

/** What an entry takes beside its bytes, so that many small ones are bounded as well. */
const entryBytes = 128;

interface Reader<T> {
  readonly resolve: (item: T | undefined) => void;
  readonly reject: (error: Error) => void;
}

export function inbox<T>(source: Pick<Readable, "pause" | "resume">): Inbox<T> {
  let items: { readonly item: T; readonly bytes: number }[] = [];
  let from = 0;
  let waitingBytes = 0;
  let paused = false;
  let dropping = false;
  let closed = false;
  let failure: Error | undefined;
  let reader: Reader<T> | undefined;

  function next(): T | undefined {
    const entry = items[from];
    if (entry === undefined) return undefined;
    from += 1;
    if (from === items.length || from > 256) {
      items = items.slice(from);
      from = 0;
    }
    waitingBytes -= entry.bytes;
    if (paused && waitingBytes <= fullBytes / 2) flow();
    return entry.item;
  }

  function flow(): void {
    paused = false;
    source.resume();
  }

  function clear(): void {
    items = [];
    from = 0;
    waitingBytes = 0;
  }

  return {
    put(item, bytes) {
      if (dropping || closed) return;
      if (reader !== undefined) {
        const { resolve } = reader;
        reader = undefined;
        resolve(item);
        return;
      }
      const entry = { item, bytes: bytes + entryBytes };
      items.push(entry);
      waitingBytes += entry.bytes;
      if (!paused && waitingBytes > fullBytes) {
        paused = true;
        source.pause();
      }
    },
    close(error) {
      if (closed) return;
      closed = true;
      failure = error;
      if (error === undefined) reader?.resolve(undefined);
      else reader?.reject(error);
      reader = undefined;
    },
    drop() {
      dropping = true;
      clear();
      reader?.resolve(undefined);
      reader = undefined;
      if (paused) flow();
    },
    take() {
      if (from < items.length) return Promise.resolve(next());
      if (failure !== undefined) return Promise.reject(failure);
      if (closed || dropping) return Promise.resolve(undefined);
      return new Promise((resolve, reject) => {
        reader = { resolve, reject };
      });
    },
  };
}
