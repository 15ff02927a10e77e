import type { IncomingMessage } from "node:http";

/** A request that is for a sandbox. */
export interface Arrival {
  readonly request: IncomingMessage;
  readonly requestId: string;
  readonly sandboxId: string;
  readonly port: number;
}

/** One request while it lasts. */
export interface Passing {
  /** Bytes of a body or a tunnel, to the sandbox or from it. */
  passed(direction: "in" | "out", bytes: number): void;
  /** Whose sandbox it is, once that is known. */
  belongs(tenantId: string | undefined): void;
  /** It is over; 101 for a tunnel. Called once. */
  over(status: number): void;
}

/** Told of what goes to sandboxes. Nothing that it is told with may throw. */
export type Traffic = (arrival: Arrival) => Passing;

const unseen: Passing = {
  passed: () => undefined,
  belongs: () => undefined,
  over: () => undefined,
};

export const untold: Traffic = () => unseen;
