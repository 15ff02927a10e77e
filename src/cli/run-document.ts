import { errorDocument, jsonText } from "./report.ts";
import type { RunFacts, RunWriter } from "./run-script.ts";
import type { Terminal } from "./terminal.ts";

const maxKeptCharacters = 16 * 1024 * 1024;

/** Prints one JSON document when the run is over, and nothing else. */
export function documentWriter({ stdout }: Terminal): RunWriter {
  const logs: Logs = { stdout: keeping(), stderr: keeping() };
  return {
    output(message) {
      (message.error ? logs.stderr : logs.stdout).keep(message.line);
      return Promise.resolve();
    },
    result: () => Promise.resolve(),
    ended: (facts, { exitCode, error }) =>
      stdout.write(jsonText({ exitCode, error: error ?? null, ...told(facts, logs) })),
    async failed(facts, error, exitCode) {
      await stdout.write(jsonText({ exitCode, error: errorDocument(error), ...told(facts, logs) }));
      return true;
    },
  };
}

interface Logs {
  readonly stdout: Keeping;
  readonly stderr: Keeping;
}

function told(facts: RunFacts, logs: Logs): Readonly<Record<string, unknown>> {
  const { hints, timings } = facts;
  return { ...made(facts), ...shown(facts, logs), ...files(facts), hints, timings };
}

function made({ sandboxId, script, choice }: RunFacts): Readonly<Record<string, unknown>> {
  return {
    sandboxId: sandboxId ?? null,
    language: script.language,
    driver: choice?.driver ?? null,
    choice: choice ?? null,
  };
}

function shown({ execution }: RunFacts, logs: Logs): Readonly<Record<string, unknown>> {
  return {
    text: execution?.text ?? null,
    results: execution?.results ?? [],
    logs: { stdout: logs.stdout.pieces, stderr: logs.stderr.pieces },
    truncated: [logs.stdout, logs.stderr, execution].some((each) => each?.truncated === true),
  };
}

function files({ pictures, uploaded, downloaded }: RunFacts): Readonly<Record<string, unknown>> {
  return {
    pictures,
    downloads: downloaded?.written ?? [],
    leftOut: [...(uploaded?.leftOut ?? []), ...(downloaded?.leftOut ?? [])],
  };
}

interface Keeping {
  readonly pieces: readonly string[];
  readonly truncated: boolean;
  keep(piece: string): void;
}

/** What a program printed, up to a bound, so that a time-out does not lose what came before it. */
function keeping(): Keeping {
  const pieces: string[] = [];
  let room = maxKeptCharacters;
  let truncated = false;
  return {
    pieces,
    get truncated() {
      return truncated;
    },
    keep(piece) {
      const kept = piece.slice(0, room);
      truncated ||= kept.length < piece.length;
      room -= kept.length;
      if (kept === "") return;
      const last = pieces.length - 1;
      if (pieces.length < 65_536) pieces.push(kept);
      else pieces[last] = `${pieces[last] ?? ""}${kept}`;
    },
  };
}
