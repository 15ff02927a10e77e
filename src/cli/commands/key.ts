import { Command } from "commander";
import type { ApiKey } from "../../store/api-key.ts";
import { openAuditLog } from "../../audit/audit-log.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Store } from "../../store/store.ts";
import { requireRoot } from "../assemble.ts";
import { type Context, localHostOf } from "../context.ts";
import { jsonText } from "../report.ts";
import { defaultTenant, knownStore, serverStore, tenantNamed } from "../server-store.ts";
import { readableMs, table } from "../table.ts";

interface KeyFlags {
  readonly name: string;
  readonly tenant?: string;
  readonly json?: true;
}

const examples = `
Examples:
  export E2B_API_KEY=$(cofferdam key create --name laptop)
  cofferdam key ls
  cofferdam key revoke k1f0c…`;

/** `cofferdam key` */
export function keyCommand(context: Context): Command {
  return new Command("key")
    .description("who may use the server of this host: make, list and revoke API keys")
    .addHelpText("after", examples)
    .addCommand(create(context))
    .addCommand(list(context))
    .addCommand(revoke(context));
}

function create(context: Context): Command {
  const command = new Command("create")
    .description("make a key and print it, which nothing does again")
    .option("--name <name>", "what it is for", "key")
    .option("--tenant <name>", "whose it is; made when it is new", defaultTenant)
    .option("--json", "print one JSON document");
  return command.action(async ({ name, tenant, json }: KeyFlags) => {
    await using store = await storeOf(command, serverStore);
    const owner = await tenantNamed(store, tenant ?? defaultTenant);
    const { key, secret } = await store.keys.create({ tenantId: owner.id, name });
    await note(store, "key.create", key);
    const text = json === true ? jsonText({ ...key, tenant: owner.name, secret }) : `${secret}\n`;
    await context.terminal.stdout.write(text);
  });
}

function list(context: Context): Command {
  const command = new Command("ls")
    .alias("list")
    .description("list keys, newest first; never the keys themselves")
    .option("--tenant <name>", "only those of one tenant")
    .option("--json", "print one JSON document");
  return command.action(async ({ tenant, json }: Pick<KeyFlags, "tenant" | "json">) => {
    await using store = await storeOf(command, knownStore);
    const owner = tenant === undefined ? undefined : await knownTenant(store, tenant);
    const keys = await store.keys.list(owner?.id);
    const names = new Map((await store.tenants.list()).map(({ id, name }) => [id, name]));
    const rows = keys.map((key) => ({ ...key, tenant: names.get(key.tenantId) ?? "" }));
    await context.terminal.stdout.write(json === true ? jsonText(rows) : keyTable(rows));
  });
}

function keyTable(keys: readonly (ApiKey & { readonly tenant: string })[]): string {
  return table(
    ["ID", "TENANT", "NAME", "KEY", "MADE", "USED", "STATE"],
    keys.map(({ id, tenant, name, prefix, createdAt, lastUsedAt, revokedAt }) => [
      id,
      tenant,
      name,
      `${prefix}…`,
      since(createdAt),
      since(lastUsedAt),
      revokedAt === null ? "good" : "revoked",
    ]),
  );
}

function since(time: string | null): string {
  return time === null ? "never" : `${readableMs(Date.now() - Date.parse(time))} ago`;
}

function revoke(context: Context): Command {
  const command = new Command("revoke")
    .description("close the door to keys, at once")
    .argument("<key...>", "ids, as key ls shows them");
  return command.action(async (ids: readonly string[]) => {
    await using store = await storeOf(command, knownStore);
    for (const id of ids) {
      await note(store, "key.revoke", await store.keys.revoke(id));
      await context.terminal.stdout.write(`${id}\n`);
    }
  });
}

/** A first key may be made before the first server; the rest is about keys that are there. */
function storeOf(command: Command, open: (stateDir: string) => Promise<Store>): Promise<Store> {
  requireRoot();
  return open(localHostOf(command).stateDir);
}

async function knownTenant(store: Store, name: string): ReturnType<typeof tenantNamed> {
  const tenant = await store.tenants.named(name);
  if (tenant !== undefined) return tenant;
  throw new SandboxError("not-found", `there is no tenant ${JSON.stringify(name.slice(0, 64))}`, {
    field: "tenant",
    mend: "cofferdam key ls shows whose keys there are",
  });
}

async function note(store: Store, action: string, key: ApiKey): Promise<void> {
  await openAuditLog(store).append({
    tenantId: key.tenantId,
    actor: "cli",
    action,
    sandboxId: null,
    from: null,
    result: "ok",
    details: { key: key.id, name: key.name },
  });
}
