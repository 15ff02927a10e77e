import type { EndReason } from "../../core/driver.ts";
import { type Whereabouts, pausedError } from "../../guest/lifeline.ts";
import type { ToldSandbox } from "../../wire/control/service-answers.ts";
import { isGone } from "./calls.ts";

/** Whether a sandbox of a service runs or is paused, as far as this process has heard; what may have changed is asked. */
export interface Place extends Whereabouts {
  hear(state: ToldSandbox["state"]): void;
  look(): Promise<void>;
}

interface Subject {
  readonly id: string;
  readonly ended: Promise<EndReason>;
  readonly state: ToldSandbox["state"];
  readonly find: () => Promise<ToldSandbox>;
}

export function placeOf({ id, ended, state, find }: Subject): Place {
  let isPaused = state === "paused";
  const look = async (): Promise<void> => {
    try {
      isPaused = (await find()).state === "paused";
    } catch (cause) {
      if (!isGone(cause)) throw cause;
      isPaused = false;
    }
  };
  return {
    ended,
    get isPaused() {
      return isPaused;
    },
    hear(told) {
      isPaused = told === "paused";
    },
    look,
    async admit() {
      if (!isPaused) return;
      await look();
      if (isPaused) throw pausedError(id);
    },
  };
}
