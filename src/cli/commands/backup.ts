import { resolve } from "node:path";
import { Command } from "commander";
import { openAuditLog } from "../../audit/audit-log.ts";
import { requireRoot } from "../assemble.ts";
import { type Context, localHostOf } from "../context.ts";
import { hostFileError } from "../host-files.ts";
import { knownStore } from "../server-store.ts";

const restoring = `
To restore: end the server, put the file in the place of server/store.sqlite below the state directory, remove
store.sqlite-wal and store.sqlite-shm beside it, and start the server. Sandboxes that the copy does not know are ended.`;

/** `cofferdam backup` */
export function backupCommand(context: Context): Command {
  const command = new Command("backup")
    .description("copy the server's store into a new file, while the server runs or not")
    .argument("<file>", "must not exist; only its owner may read it")
    .addHelpText("after", restoring);
  return command.action(async (given: string) => {
    requireRoot();
    const file = resolve(given);
    await using store = await knownStore(localHostOf(command).stateDir);
    try {
      await store.backup(file);
    } catch (cause) {
      throw hostFileError("file", file, cause);
    }
    await openAuditLog(store).append({
      tenantId: null,
      actor: "cli",
      action: "store.backup",
      sandboxId: null,
      from: null,
      result: "ok",
      details: {},
    });
    await context.terminal.stdout.write(`${file}\n`);
  });
}
