import type { EndReason } from "../../core/driver.ts";
import { parseEndReason } from "../../guest/control-messages.ts";
import type { ToldSandbox } from "../../wire/control/service-answers.ts";

/** Why a sandbox has ended, as far as its service says it in our words. */
export function reasonOf({ endReason }: ToldSandbox): EndReason {
  return parseEndReason(endReason) ?? "runtime-lost";
}
