import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { SandboxError } from "../../core/errors.ts";

const others = 0o001;

/** Throws `denied` when a program without rights does not get as far as the directory, as one below a private one. */
export async function requireWay(directory: string): Promise<void> {
  const { mode } = await stat(directory);
  if ((mode & others) === 0)
    throw new SandboxError(
      "denied",
      `stateDir: an engine without rights may not enter ${directory}`,
      {
        field: "stateDir",
        mend: `chmod o+x ${directory}, which lets others through and shows them nothing`,
      },
    );
  if (directory !== dirname(directory)) await requireWay(dirname(directory));
}
