import { availableParallelism } from "node:os";
import { Command } from "commander";
import { atMost, endsAtOnce } from "../../core/at-most.ts";
import { SandboxError, meanings } from "../../core/errors.ts";
import { sandboxIdOf } from "../../core/create.ts";
import { invalid } from "../../core/validate.ts";
import type { Host } from "../assemble.ts";
import { type Context, hostOf } from "../context.ts";
import { jsonText } from "../report.ts";

interface KillFlags {
  readonly all?: true;
  readonly driver?: string;
  readonly json?: true;
}

/** `cofferdam kill` */
export function killCommand(context: Context): Command {
  const command = new Command("kill")
    .description("end sandboxes; answers when nothing of them is left")
    .argument("[sandbox...]", "ids")
    .option("--all", "end all sandboxes of this host")
    .option("--driver <name>", "only those of one driver")
    .option("--json", "print one JSON document");
  return command.action(async (ids: readonly string[], flags: KillFlags) => {
    const host = hostOf(command);
    const wanted = await wantedIds(host, ids, flags);
    const turn = atMost(endsAtOnce(availableParallelism()));
    const ends = await Promise.all(wanted.map((id) => turn(() => endOf(host, id, flags.driver))));
    const killed = ends.flatMap(({ id, killed: done }) => (done ? [id] : []));
    const missing = ends.flatMap(({ id, killed: done }) => (done ? [] : [id]));
    const elsewhere = ends.find(({ missed }) => missed?.field === "driver")?.missed;
    const { stdout } = context.terminal;
    if (flags.json === true) await stdout.write(jsonText({ killed, missing }));
    else await stdout.write(killed.map((id) => `${id}\n`).join(""));
    if (missing.length === 0 || flags.all === true) return;
    if (flags.json === true) return context.exitWith(meanings["not-found"].exit);
    throw (
      elsewhere ??
      new SandboxError("not-found", `no sandbox runs with the id ${missing.join(", ")}`, {
        field: "sandboxId",
        mend: "cofferdam ls lists those that run",
      })
    );
  });
}

async function wantedIds(
  host: Host,
  ids: readonly string[],
  flags: KillFlags,
): Promise<readonly string[]> {
  if ((ids.length === 0) !== (flags.all === true))
    throw invalid(
      "sandboxId",
      "expected ids or --all, and not both",
      "cofferdam kill ID… or cofferdam kill --all",
    );
  if (flags.all !== true) return [...new Set(ids.map(sandboxIdOf))];
  const running = await host.list(flags.driver, {}).nextItems();
  return running.map(({ sandboxId }) => sandboxId);
}

interface End {
  readonly id: string;
  readonly killed: boolean;
  /** Why it was not found. */
  readonly missed?: SandboxError;
}

async function endOf(host: Host, id: string, driver: string | undefined): Promise<End> {
  try {
    const { machine } = await host.open(id, driver);
    await machine[Symbol.asyncDispose]();
    return { id, killed: true };
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.code === "not-found") return { id, killed: false, missed: error };
    throw error;
  }
}
