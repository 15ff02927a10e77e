import { Command } from "commander";
import type { Context } from "../context.ts";
import { jsonText } from "../report.ts";
import { askedServer } from "../asked-server.ts";
import { ownStatus, ownText, wholeStatus, wholeText } from "../server-status.ts";

const examples = `
Examples:
  cofferdam status                                     the server of this host, as root
  cofferdam status --server https://sandboxes.example.org --api-key-file key
  The operator's token in the key's place shows the whole server; a tenant's key what is the tenant's.`;

/** `cofferdam status` */
export function statusCommand(context: Context): Command {
  const command = new Command("status")
    .description("what a server is and does: drivers, sandboxes, store, certificate, limits")
    .option("--json", "print one JSON document")
    .addHelpText("after", examples);
  return command.action(async ({ json }: { readonly json?: true }) => {
    const client = askedServer(command, context);
    const { stdout } = context.terminal;
    if (client.isOperator) {
      const status = wholeStatus(await client.get("/cofferdam/v1/operator/status"));
      return stdout.write(json === true ? jsonText(status) : wholeText(status));
    }
    const status = ownStatus(await client.get("/cofferdam/v1/status"));
    return stdout.write(json === true ? jsonText(status) : ownText(client.url, status));
  });
}
