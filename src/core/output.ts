/** Text that a program printed, kept up to a bound. */
export interface TextSink {
  /** What was kept so far. */
  readonly text: string;
  /** Whether something was left out of `text`. */
  readonly truncated: boolean;
  /** Decodes and keeps; resolves when the listener has taken it. */
  take(bytes: Uint8Array): Promise<void> | undefined;
  /** Ends the decoding: half a character becomes U+FFFD. */
  flush(): Promise<void> | undefined;
}

/** Listens to text. What it returns is awaited, so that a slow listener slows the program. */
export type TextListener = (text: string) => unknown;

/** A sink that keeps text of at most `maxBytes` (counted in UTF-16 units at its edge) and tells `listener` all of it. */
export function textSink(maxBytes: number, listener: TextListener | undefined): TextSink {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let kept = "";
  let keptBytes = 0;
  let truncated = false;
  const pass = (text: string, size: number): Promise<void> | undefined => {
    if (text === "") return undefined;
    keep(text, size);
    return listener === undefined ? undefined : settled(listener(text));
  };
  const keep = (text: string, size: number): void => {
    const room = maxBytes - keptBytes;
    if (size > room) {
      truncated = true;
      kept += text.slice(0, room);
      keptBytes = maxBytes;
      return;
    }
    kept += text;
    keptBytes += size;
  };
  return {
    get text() {
      return kept;
    },
    get truncated() {
      return truncated;
    },
    take: (bytes) => pass(decoder.decode(bytes, { stream: true }), bytes.length),
    flush: () => pass(decoder.decode(), 3),
  };
}

/** A promise for a listener's answer; nothing for one that answered at once. */
export function settled(answer: unknown): Promise<void> | undefined {
  if (typeof answer !== "object" || answer === null || !("then" in answer)) return undefined;
  return Promise.resolve(answer).then(() => undefined);
}
