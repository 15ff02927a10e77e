import type { Machine } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import type { MachineAccess } from "./access.ts";

/**
 * A machine whose agent is reached through its `machine.sock`.
 *
 * Opens the control channel first, as the owner's where `access.own` says so. Throws `lost` when the machine is not there.
 */
export async function agentMachine(access: MachineAccess): Promise<Machine> {
  throw new SandboxError("unsupported", `the client of machine ${access.id} is being written`);
}
