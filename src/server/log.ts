/** Facts of a log line, never a secret. */
export type LogFacts = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Takes one line of the server's log. Must not throw. */
export type Log = (level: "info" | "warn" | "error", message: string, facts?: LogFacts) => void;
