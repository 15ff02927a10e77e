import { once } from "node:events";
import picocolors from "picocolors";

type Colours = ReturnType<typeof picocolors.createColors>;

/** One of the command line's outputs. */
export interface Output {
  readonly isTerminal: boolean;
  readonly colours: Colours;
  /** Resolves when more may be written, which a slow reader delays. Never rejects: a reader that left gets nothing more. */
  write(data: string | Uint8Array): Promise<void>;
}

/** What a command reads from and prints to. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: Output;
  readonly stderr: Output;
  /** The terminal's size, of stdout or else of stderr. */
  size(): { readonly cols: number; readonly rows: number };
  /** Calls when the size has changed, until the returned function is called. */
  onResize(changed: () => void): () => void;
}

interface TerminalOptions {
  /** `false`: never colours. */
  readonly colour: boolean;
  /** Called once when the reader of stdout has left. */
  readonly onBrokenPipe: () => void;
}

/** The process's own streams. */
export function processTerminal({ colour, onBrokenPipe }: TerminalOptions): Terminal {
  const { stdin, stdout, stderr } = process;
  const sized = stdout.isTTY ? stdout : stderr;
  return {
    stdin,
    stdout: outputOver(stdout, { colour, onBrokenPipe }),
    stderr: outputOver(stderr, { colour, onBrokenPipe: () => undefined }),
    size: () => ({ cols: sized.columns || 80, rows: sized.rows || 24 }),
    onResize(changed) {
      process.on("SIGWINCH", changed);
      return () => process.off("SIGWINCH", changed);
    },
  };
}

function outputOver(stream: NodeJS.WriteStream, { colour, onBrokenPipe }: TerminalOptions): Output {
  let gone = false;
  stream.on("error", () => {
    if (gone) return;
    gone = true;
    onBrokenPipe();
  });
  const isTerminal = stream.isTTY;
  return {
    isTerminal,
    // Of what is no terminal `isTTY` is undefined, which would be taken for no answer.
    colours: picocolors.createColors(isTerminal ? colour && wantsColours() : false),
    async write(data) {
      if (gone || data.length === 0 || stream.write(data)) return;
      await Promise.race([once(stream, "drain"), once(stream, "close")]).catch(() => undefined);
    },
  };
}

/** As https://no-color.org and terminals without any ask. */
function wantsColours(): boolean {
  return !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}

/** Resolves when all that was written has left this process. */
export async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed) return;
  await new Promise<void>((resolve) => {
    stream.write("", () => resolve());
  });
}
