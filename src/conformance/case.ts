import type { Capability } from "../core/driver.ts";
import type { Context } from "./context.ts";

export const topics = [
  "exec",
  "code",
  "files",
  "lifecycle",
  "power",
  "limits",
  "network",
  "isolation",
  "bad-input",
] as const;

export type Topic = (typeof topics)[number];

/** One promise that every driver makes. Data, so that tests, `doctor` and the printed table share it. */
export interface Case {
  /** The promise, as a sentence without a full stop. Unique in the suite. */
  readonly name: string;
  readonly topic: Topic;
  /** Not run against a driver that does not list it. */
  readonly needs?: Capability;
  /** Whether a typed `unsupported` from the driver keeps the promise as well. */
  readonly mayRefuse?: boolean;
  /** Whether other cases must not run beside it: it fills memory, counts processes or measures shares. */
  readonly alone?: boolean;
  /** How long it may take before it counts as failed. Milliseconds; default 60 000. */
  readonly limitMs?: number;
  /** Throws when the promise is not kept. Calls `context.skip` when this host cannot show it. */
  check(context: Context): Promise<void>;
}

/** Cases of one topic without repeating the topic in each. */
export function topic(name: Topic, cases: readonly Omit<Case, "topic">[]): readonly Case[] {
  return cases.map((each) => ({ ...each, topic: name }));
}
