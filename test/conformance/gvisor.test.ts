import type { Case } from "../../src/conformance/case.ts";
import { gvisor } from "../../src/drivers/gvisor/index.ts";
import { subject } from "./local-driver.ts";
import { conformance } from "./suite.ts";

/** Gigabytes of output, which take minutes; runC has them in the gate, by the same agent. */
const isLong = /\d GiB/;
const isWhole = process.env["COFFERDAM_CONFORMANCE"] === "whole";

function leftOut({ name }: Case): string | undefined {
  return isWhole || !isLong.test(name) ? undefined : "the gate leaves it to npm run conformance";
}

await conformance({ ...(await subject("gvisor", gvisor)), leaveOut: leftOut });
