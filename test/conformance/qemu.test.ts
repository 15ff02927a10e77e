import type { Case } from "../../src/conformance/case.ts";
import { qemu } from "../../src/drivers/qemu/index.ts";
import { subject } from "./local-driver.ts";
import { conformance } from "./suite.ts";

/** What the gate runs where processors may be emulated, which takes many times as long: a case or two for each promise. */
const brief = [
  "output, error output and exit code of a command come back apart",
  "kill ends the whole tree, and has ended it when it answers",
  "a part of a file is read by offset and length",
  "a machine tells what it is: id, template, resources, metadata, times and the agent's version",
  "nothing of a machine is left on the host when its end has been answered",
  "kill -9 of the process that made a machine ends the machine and leaves nothing",
  "all processes of a machine killed at once: typed errors, and a sweep leaves nothing",
  "what was written just before a pause, without a flush, is there after it",
  "a snapshot leaves the machine running, and machines made from it have its files, without a flush too",
  "a disk filler gets ENOSPC at its limit, and a neighbour can write",
  "there is no network card but loopback, for nobody inside",
  "there is no device of the host but the null family, and no socket of the host",
  "the user's code holds no capability and cannot get one",
  "an unknown template, or a name that is a path, is refused by field with the mend",
];
const isWhole = process.env["COFFERDAM_CONFORMANCE"] === "whole";

function leftOut({ name }: Case): string | undefined {
  return isWhole || brief.includes(name) ? undefined : "the gate leaves it to npm run conformance";
}

await conformance({ ...(await subject("qemu", qemu)), leaveOut: leftOut });
