export interface OwnEngine {
  readonly socket: string;
  /** Ends it as a crash would. */
  crash(): Promise<void>;
  /** Starts it again, with what it had. */
  restart(): Promise<void>;
  /** Ends it and removes all of it. */
  end(): Promise<void>;
}

export function startEngine(): Promise<OwnEngine>;

/** What an Engine calls the container of a machine. */
export function containerNames(socket: string): (id: string) => Promise<readonly string[]>;

/** Asks an Engine itself, with no driver between. Rejects when it does not answer. */
export function askEngine(
  socket: string,
  path: string,
): Promise<{ readonly status: number; readonly body: unknown }>;
