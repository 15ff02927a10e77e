/** From what helps to find a fault to what somebody must look at. */
export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Facts of a log line, never a secret. */
export type LogFacts = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Takes one line of the server's log. Must not throw. */
export type Log = (level: LogLevel, message: string, facts?: LogFacts) => void;

export interface LogFormat {
  readonly format: "json" | "text";
  /** What is below it is not written. */
  readonly level: LogLevel;
}

const longestText = 8192;

/** A log of one line for each event. What has the form of a secret is struck out, wherever it stands. */
export function lineLog({ format, level: lowest }: LogFormat, write: (line: string) => void): Log {
  const least = logLevels.indexOf(lowest);
  const line = format === "json" ? jsonLine : textLine;
  return (level, message, facts = {}) => {
    if (logLevels.indexOf(level) < least) return;
    const safe = Object.entries(facts).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, shown(value)] as const],
    );
    write(`${line({ time: new Date().toISOString(), level, message: shown(message) }, safe)}\n`);
  };
}

interface Head {
  readonly time: string;
  readonly level: LogLevel;
  readonly message: string;
}
type Fact = readonly [name: string, value: string | number | boolean | null];

function jsonLine(head: Head, facts: readonly Fact[]): string {
  return JSON.stringify({ ...head, ...Object.fromEntries(facts) });
}

function textLine({ time, level, message }: Head, facts: readonly Fact[]): string {
  const words = facts.map(([name, value]) => `${name}=${wordOf(value)}`);
  return [time, level.padEnd(5), wordOf(message, / /g), ...words].join(" ");
}

/** As it is where it is a plain word, else as a JSON text, so that a line stays a line. */
function wordOf(value: Fact[1], plain: RegExp = /(?!)/g): string {
  const text = String(value);
  return /^[\w./:@%+,*()-]+$/.test(text.replaceAll(plain, "")) ? text : JSON.stringify(text);
}

function shown<T>(value: T): T | string {
  return typeof value === "string" ? withoutSecrets(value.slice(0, longestText)) : value;
}

const secretForms: readonly (readonly [RegExp, string])[] = [
  [/\be2b_[0-9a-f]{8,}/gi, "e2b_…"],
  [/\bcofferdam_operator_[\w-]+/g, "cofferdam_operator_…"],
  [/\bv1_[A-Za-z0-9+/%]{43,}/g, "v1_…"],
  [/\b[0-9a-f]{64}\b/gi, "…"],
  [/(:\/\/[^\s/:@]{0,256}:)[^\s/@]{1,256}@/g, "$1…@"],
];

/** Keys, tokens, signatures and passwords in addresses are known by their form. */
function withoutSecrets(text: string): string {
  return secretForms.reduce((kept, [form, instead]) => kept.replaceAll(form, instead), text);
}
