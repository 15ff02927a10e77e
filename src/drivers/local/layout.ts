import { createHash } from "node:crypto";
import { join } from "node:path";

/** Where one machine has its files on the host. */
export interface MachinePlaces {
  readonly id: string;
  readonly stateDir: string;
  /** All of the machine; only root can enter it. */
  readonly directory: string;
  /** Which process makes it. */
  readonly maker: string;
  readonly plan: string;
  readonly facts: string;
  readonly bundle: string;
  readonly socket: string;
  /** There while the machine is paused. */
  readonly paused: string;
  readonly lock: string;
  /** What the supervisor and the runtime say that nobody reads unless it failed. */
  readonly supervisorLog: string;
  readonly runtimeLog: string;
  /** The runtime's own state. */
  readonly runtime: string;
  readonly pidFile: string;
  /** Where the supervisor mounts the machine's user namespace, if it has one. */
  readonly userNamespace: string;
}

/** Where every machine's root is mounted, each in a mount namespace of its own. */
export const mountPoint = "/run/cofferdam";

export function machinePlaces(stateDir: string, id: string): MachinePlaces {
  const directory = join(stateDir, "machines", id);
  return {
    id,
    stateDir,
    directory,
    maker: `${directory}/maker`,
    plan: `${directory}/plan.json`,
    facts: `${directory}/facts.json`,
    bundle: `${directory}/bundle`,
    socket: `${directory}/machine.sock`,
    paused: `${directory}/paused.json`,
    lock: `${directory}/lock`,
    supervisorLog: `${directory}/supervisor.log`,
    runtimeLog: `${directory}/runtime.log`,
    runtime: `${directory}/runtime`,
    pidFile: `${directory}/pid`,
    userNamespace: `${directory}/userns`,
  };
}

/** The note that says for an hour why a machine ended. */
export function endNoteFile(stateDir: string, id: string): string {
  return join(stateDir, "ended", `${id}.json`);
}

/** A machine's control group, below each hierarchy's root. */
export function controlGroup(stateDir: string, id: string): string {
  const digest = createHash("sha256").update(stateDir).digest("hex");
  return `cofferdam/${digest.slice(0, 8)}/${id}`;
}
