import { leaseOperations } from "./leases.ts";
import { logOperations } from "./logs.ts";
import type { Operation } from "./operation.ts";
import { operatorOperations } from "./operator.ts";
import { ownOperations } from "./own.ts";
import { ownPowerOperations } from "./own-powers.ts";
import { ownSandboxOperations } from "./own-sandboxes.ts";
import { powerOperations } from "./powers.ts";
import { reportOperations } from "./reports.ts";
import { sandboxOperations } from "./sandboxes.ts";
import { templateOperations } from "./templates.ts";
import { unsupportedOperations } from "./unsupported.ts";

/** Every operation of the control plane; of those whose paths match, the first one counts. */
export const operations: readonly Operation[] = [
  ...ownOperations,
  ...operatorOperations,
  ...ownSandboxOperations,
  ...ownPowerOperations,
  ...reportOperations,
  ...logOperations,
  ...sandboxOperations,
  ...leaseOperations,
  ...powerOperations,
  ...unsupportedOperations,
  ...templateOperations,
];
