import type { Machine } from "../../core/driver.ts";
import type { SandboxRecord, SandboxSecrets } from "../../store/sandbox-record.ts";
import type { Target } from "../data/target.ts";
import { reportedNetwork } from "./network.ts";

/** What the proxy sees of a sandbox: a way in while it runs, none while it does not. */
export interface Gate {
  readonly isOpen: boolean;
  /** By which a visit is judged, also while the gate is shut; `undefined` where nothing but the seam reaches the machine. */
  readonly target: Target | undefined;
  open(): void;
  /** Lets nobody in any more; those who are in stay. */
  shut(): void;
  /** Ends all that is under way. */
  cut(): void;
}

/** A sandbox's row and what is kept secret of it. */
export interface Known {
  readonly record: SandboxRecord;
  readonly secrets: SandboxSecrets;
}

/** A gate that is shut. */
export function gateOf({ record, secrets }: Known, machine: Machine, touch: Target["touch"]): Gate {
  let isOpen = false;
  let gone = new AbortController();
  const { allowPublicTraffic, maskRequestHost } = reportedNetwork(record.network);
  const facts = {
    id: record.id,
    tenantId: record.tenantId,
    accessToken: secrets.envdAccessToken ?? undefined,
    trafficToken: secrets.trafficAccessToken ?? undefined,
    allowPublicTraffic,
    maskRequestHost,
    touch,
  };
  return {
    get isOpen() {
      return isOpen;
    },
    get target() {
      if (machine.reach === undefined) return undefined;
      return { ...facts, reach: machine.reach, onEnd: gone.signal };
    },
    open() {
      isOpen = true;
    },
    shut() {
      isOpen = false;
    },
    cut() {
      isOpen = false;
      gone.abort();
      gone = new AbortController();
    },
  };
}
