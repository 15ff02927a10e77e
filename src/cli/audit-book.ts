import type { Command } from "commander";
import { z } from "zod";
import { openAuditLog } from "../audit/audit-log.ts";
import type { AuditHead, AuditQuery, AuditRecord, AuditVerdict } from "../audit/audit-record.ts";
import { SandboxError } from "../core/errors.ts";
import { invalid } from "../core/validate.ts";
import type { Store } from "../store/store.ts";
import { requireRoot } from "./assemble.ts";
import { type Context, localHostOf, serverOf } from "./context.ts";
import { type ServerClient, serverClient } from "./server-client.ts";
import { knownStore } from "./server-store.ts";

type Wanted = { readonly [Name in keyof AuditQuery]?: AuditQuery[Name] | undefined };

/** The record of a server: in the store of this host, or asked for from afar. */
export interface AuditBook extends AsyncDisposable {
  page(query: Wanted): Promise<{
    readonly records: readonly AuditRecord[];
    readonly nextToken: string | undefined;
  }>;
  /** The id of a tenant that is known by name, or the id itself. Throws `not-found`. */
  tenantId(name: string): Promise<string>;
  verify(expected: AuditHead | undefined): Promise<AuditVerdict>;
}

export async function auditBook(command: Command, { interruption }: Context): Promise<AuditBook> {
  const { signal } = interruption;
  const named = serverOf(command);
  if (named !== undefined) return remoteBook(serverClient(named, signal));
  requireRoot();
  return localBook(await knownStore(localHostOf(command).stateDir), signal);
}

/** Reads the store itself: the server's word is not needed, nor that it runs. */
function localBook(store: Store, signal: AbortSignal): AuditBook {
  const log = openAuditLog(store);
  return {
    async page(query) {
      const { records, nextToken } = await log.query(given(query));
      return { records, nextToken };
    },
    async tenantId(name) {
      const tenants = await store.tenants.list();
      const tenant = tenants.find((each) => each.name === name || each.id === name);
      if (tenant !== undefined) return tenant.id;
      throw new SandboxError(
        "not-found",
        `there is no tenant ${JSON.stringify(name.slice(0, 64))}`,
        { field: "tenant", mend: "cofferdam key ls shows whose keys there are" },
      );
    },
    verify: (expected) => log.verify({ signal, ...(expected === undefined ? {} : { expected }) }),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

const recordSchema: z.ZodType<AuditRecord> = z.object({
  seq: z.number(),
  at: z.string(),
  tenantId: z.string().nullable(),
  actor: z.string(),
  action: z.string(),
  sandboxId: z.string().nullable(),
  from: z.string().nullable(),
  result: z.string(),
  details: z.record(z.string(), z.string()),
  previous: z.string(),
  hash: z.string(),
});
const pageSchema = z.object({ records: z.array(recordSchema), nextToken: z.string().nullable() });
const verdictSchema: z.ZodType<AuditVerdict> = z.discriminatedUnion("ok", [
  z.object({ ok: z.literal(true), head: z.object({ seq: z.number(), hash: z.string() }) }),
  z.object({
    ok: z.literal(false),
    fault: z.enum(["changed", "removed", "inserted", "reordered", "truncated"]),
    seq: z.number(),
    reason: z.string(),
  }),
]);

function remoteBook(client: ServerClient): AuditBook {
  const path = client.isOperator ? "/cofferdam/v1/operator/audit" : "/cofferdam/v1/audit";
  return {
    async page(query) {
      const texts = Object.entries(given(query)).map(([name, value]) => [name, String(value)]);
      const page = read(pageSchema, await client.get(path, Object.fromEntries(texts)));
      return { records: page.records, nextToken: page.nextToken ?? undefined };
    },
    async tenantId(name) {
      requireOperator(client);
      if (/^t[0-9a-f]{8,64}$/.test(name)) return name;
      throw invalid(
        "tenant",
        "from afar tenants are known by their ids",
        "cofferdam audit ls --json on the host of the server shows them",
      );
    },
    async verify(expected) {
      requireOperator(client);
      const head = expected === undefined ? {} : { seq: String(expected.seq), hash: expected.hash };
      return read(verdictSchema, await client.get(`${path}/verify`, head));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function requireOperator({ isOperator }: ServerClient): void {
  if (isOperator) return;
  throw new SandboxError("denied", "this is about all tenants, and the key is one tenant's", {
    field: "apiKey",
    mend: "give the operator's token in the key's place",
  });
}

function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const { data, error } = schema.safeParse(body);
  if (data !== undefined) return data;
  throw new SandboxError("untrusted", "the server does not answer as a record is asked for", {
    field: "server",
    mend: "see whether it is a Cofferdam, and of this version",
    cause: error,
  });
}

function given(query: Wanted): AuditQuery {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}
