import { afterAll, beforeEach, describe } from "vitest";
import { Client } from "pg";
import type { StorePlace } from "../../src/store/store.ts";
import { postgresqlPrograms, startPostgresql } from "./postgresql-server.ts";
import { postgresqlCases } from "./postgresql-cases.ts";
import type { Subject } from "./subject.ts";
import { storeSuite } from "./suite.ts";

const programs = postgresqlPrograms();
const isRequired = (process.env["REQUIRE_POSTGRES"] ?? "") !== "";
if ("absent" in programs && isRequired)
  throw new Error(`PostgreSQL is required here but absent: ${programs.absent}`);

const server = "directory" in programs ? await startPostgresql(programs.directory) : undefined;
afterAll(() => server?.[Symbol.asyncDispose](), 60_000);

async function connect(place: StorePlace): Promise<Client> {
  if (!("url" in place)) throw new Error("not a place of PostgreSQL's");
  const client = new Client({ connectionString: place.url });
  await client.connect();
  return client;
}

async function newPlace(): Promise<StorePlace> {
  if (server === undefined) throw new Error("no server runs");
  const name = `s${crypto.randomUUID().replaceAll("-", "")}`;
  const client = await connect({ url: server.urlOf("public") });
  await client.query(`create schema ${name}`);
  await client.end();
  return { url: server.urlOf(name) };
}

describe("a store in PostgreSQL", () => {
  beforeEach(({ skip }) => {
    if ("absent" in programs) skip(`not run: ${programs.absent}`);
  });
  const subject: Subject = {
    kind: "postgresql",
    newPlace,
    behindItsBack: async (place, statements, options) => {
      const client = await connect(place);
      try {
        if (options !== undefined) {
          await client.query("alter table audit disable trigger user");
          await client.query("alter table audit_head disable trigger user");
        }
        for (const statement of statements) await client.query(statement);
      } finally {
        await client.end();
      }
    },
    lock: async (place) => {
      const client = await connect(place);
      await client.query("begin");
      await client.query("lock table tenants, sandboxes, audit in exclusive mode");
      return {
        [Symbol.asyncDispose]: async () => {
          await client.query("rollback");
          await client.end();
        },
      };
    },
  };
  storeSuite(subject);
  postgresqlCases(subject);
});
