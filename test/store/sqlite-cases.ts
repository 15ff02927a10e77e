import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { openAuditLog } from "../../src/audit/audit-log.ts";
import { openStore } from "../../src/store/open-store.ts";
import { refusalOf } from "../support/refusals.ts";
import { entry } from "./audit-entries.ts";
import { newSandbox, newTenant } from "./rows.ts";

/** What a store in a directory promises besides. */
export function sqliteCases(parent: string): void {
  const newDirectory = (): string => mkdtempSync(join(parent, "place-"));

  test("its directory and files are their owner's alone, whatever they were before", async () => {
    const directory = join(newDirectory(), "made", "here");
    await using store = await openStore({ directory });
    await newTenant(store);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const files = readdirSync(directory);
    expect(files).toContain("store.sqlite-wal");
    for (const file of files) expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
  });

  test("nothing of an ended sandbox's secrets is left in its files", async () => {
    const directory = newDirectory();
    const requireNone = (): void => {
      for (const file of readdirSync(directory))
        expect(readFileSync(join(directory, file), "latin1")).not.toMatch(/0f1e2d3c4b5a|9a8b7c6d/);
    };
    {
      await using store = await openStore({ directory });
      const { id: tenantId } = await newTenant(store);
      const secret = {
        envdAccessToken: "0f1e2d3c4b5a",
        trafficAccessToken: null,
        envs: { A: "9a8b7c6d" },
      };
      const { id } = await store.sandboxes.create(newSandbox(tenantId, { secrets: secret }));
      await store.sandboxes.move(id, {
        from: "creating",
        to: "ended",
        changes: { endReason: "killed" },
      });
      await store.scrub();
      requireNone();
    }
    requireNone();
  });

  test("a backup that is taken while others write is a whole store, and overwrites nothing", async () => {
    const directory = newDirectory();
    await using store = await openStore({ directory });
    const log = openAuditLog(store);
    const writing = Array.from({ length: 300 }, () => log.append(entry()));
    const copies = join(directory, "copies");
    await openStore({ directory: copies }).then((made) => made[Symbol.asyncDispose]());
    expect(await refusalOf(store.backup(join(copies, "store.sqlite")))).toMatchObject({
      code: "already-exists",
    });
    const other = newDirectory();
    await store.backup(join(other, "store.sqlite"));
    expect(statSync(join(other, "store.sqlite")).mode & 0o777).toBe(0o600);
    await Promise.all(writing);
    await using copy = await openStore({ directory: other });
    expect(await openAuditLog(copy).verify()).toMatchObject({ ok: true });
    const missing = join(directory, "none", "copy");
    expect((await refusalOf(store.backup(missing))).code).toBe("unavailable");
    expect(existsSync(missing)).toBe(false);
  });

  test("a full disk is told as such, and what was written before stands", async () => {
    await using store = await openStore({ directory: newDirectory() });
    const log = openAuditLog(store);
    await log.append(entry());
    const { rows } = await store.database.read((queries) =>
      sql<{ page_count: number }>`pragma page_count`.execute(queries),
    );
    const pages = sql.lit((rows[0]?.page_count ?? 0) + 5);
    await store.database.read((queries) => sql`pragma max_page_count = ${pages}`.execute(queries));
    const fill = async (): Promise<never> => {
      for (;;) await log.append(entry({ details: { filler: "x".repeat(4000) } }));
    };
    const refusal = await refusalOf(fill());
    expect(refusal).toMatchObject({ code: "disk-full", mend: expect.stringContaining("room") });
    expect(await log.verify()).toMatchObject({ ok: true });
    await store.database.read((queries) => sql`pragma max_page_count = 100000`.execute(queries));
    await log.append(entry());
    expect(await log.verify()).toMatchObject({ ok: true });
  });

  test("a place that is no store, or none that may be written, is unavailable with what mends it", async () => {
    const directory = newDirectory();
    writeFileSync(
      join(directory, "store.sqlite"),
      "this is not a database, and long enough to be read as one".repeat(50),
    );
    expect(await refusalOf(openStore({ directory }))).toMatchObject({
      code: "unavailable",
      mend: expect.stringContaining("backup"),
    });
    const file = join(newDirectory(), "file");
    writeFileSync(file, "");
    expect(await refusalOf(openStore({ directory: join(file, "below") }))).toMatchObject({
      code: "unavailable",
    });
  });
}
