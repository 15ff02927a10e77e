import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { SandboxError } from "../core/errors.ts";
import type { ApiKey, ApiKeys, Authenticated, CreatedApiKey, NewApiKey } from "./api-key.ts";
import type { StoreDatabase } from "./database.ts";
import { parsed, shortText } from "./door.ts";
import { isMissingReference } from "./faults.ts";
import { newId } from "./ids.ts";
import type { Schema } from "./schema.ts";
import { tenantOf } from "./tenants.ts";
import { timeAt, timeNow } from "./times.ts";

const form = /^e2b_[0-9a-f]{40}$/;
const prefixCharacters = 8;
/** A use is noted when the last note is this old, so that not every request writes. Milliseconds. */
const useIsNotedEveryMs = 60_000;

export function apiKeys(database: StoreDatabase): ApiKeys {
  return {
    create: (key) => create(database, key),
    list: (tenantId) =>
      database.read(async (queries) => {
        const rows = await queries
          .selectFrom("api_keys")
          .selectAll()
          .$if(tenantId !== undefined, (query) => query.where("tenant_id", "=", tenantId ?? ""))
          .orderBy("created_at", "desc")
          .orderBy("id", "desc")
          .execute();
        return rows.map(keyOf);
      }),
    revoke: (id) => revoke(database, id),
    authenticate: (secret) => authenticate(database, secret),
  };
}

async function create(database: StoreDatabase, key: NewApiKey): Promise<CreatedApiKey> {
  const { tenantId, name } = parsed(z.strictObject({ tenantId: shortText, name: shortText }), key);
  const secret = `e2b_${randomBytes(20).toString("hex")}`;
  const row = {
    id: newId("k"),
    tenant_id: tenantId,
    name,
    prefix: secret.slice(0, prefixCharacters),
    hash: hashOf(secret).toString("hex"),
    created_at: timeNow(),
    last_used_at: null,
    revoked_at: null,
  };
  return database.write(
    async (writing) => {
      try {
        await writing.insertInto("api_keys").values(row).execute();
      } catch (cause) {
        if (!isMissingReference(cause)) throw cause;
        throw new SandboxError("not-found", `there is no tenant ${tenantId}`, { cause });
      }
      return { key: keyOf(row), secret };
    },
    { survivesPowerLoss: true },
  );
}

async function revoke(database: StoreDatabase, id: string): Promise<ApiKey> {
  return database.write(
    async (writing) => {
      await writing
        .updateTable("api_keys")
        .set({ revoked_at: timeNow() })
        .where("id", "=", id)
        .where("revoked_at", "is", null)
        .execute();
      const row = await writing
        .selectFrom("api_keys")
        .selectAll()
        .where("id", "=", id)
        .executeTakeFirst();
      if (row === undefined)
        throw new SandboxError("not-found", `there is no key ${id}`, {
          mend: "cofferdam key ls lists those that there are",
        });
      return keyOf(row);
    },
    { survivesPowerLoss: true },
  );
}

async function authenticate(database: StoreDatabase, secret: string): Promise<Authenticated> {
  const hash = hashOf(secret);
  const found = await database.read(async (queries) => {
    const row = await queries
      .selectFrom("api_keys")
      .selectAll()
      .where("hash", "=", hash.toString("hex"))
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const tenant = await queries
      .selectFrom("tenants")
      .selectAll()
      .where("id", "=", row.tenant_id)
      .executeTakeFirstOrThrow();
    return { row, tenant: tenantOf(tenant) };
  });
  if (found === undefined || !opens(found.row, { secret, hash }))
    throw new SandboxError("unauthenticated", "the API key is not valid", {
      mend: "send a key that `cofferdam key create` has shown",
    });
  await noteUse(database, found.row);
  return { key: keyOf(found.row), tenant: found.tenant };
}

function opens(
  row: Schema["api_keys"],
  { secret, hash }: { readonly secret: string; readonly hash: Buffer },
): boolean {
  const isSame = timingSafeEqual(Buffer.from(row.hash, "hex"), hash);
  return isSame && form.test(secret) && row.revoked_at === null;
}

async function noteUse(database: StoreDatabase, key: Schema["api_keys"]): Promise<void> {
  const noteBefore = timeAt(Date.now() - useIsNotedEveryMs);
  if (key.last_used_at !== null && key.last_used_at > noteBefore) return;
  await database.write(async (writing) => {
    await writing
      .updateTable("api_keys")
      .set({ last_used_at: timeNow() })
      .where("id", "=", key.id)
      .execute();
  });
}

function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

function keyOf(row: Schema["api_keys"]): ApiKey {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    prefix: row.prefix,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
  };
}
