import { join } from "node:path";
import { Sandbox } from "e2b";
import { Sandbox as Older } from "e2b-2-45";
import { afterAll, describe, expect, test } from "vitest";
import { openStore } from "../../src/store/open-store.ts";
import { cofferdam, running, stateDir, subjects } from "../cli/cofferdam.ts";
import { call, isSdk, powersOf, served } from "./serve.ts";

const drivers = await subjects();
const sdks: readonly (readonly [string, unknown])[] = [
  ["e2b 2.51", Sandbox],
  ["e2b 2.45", Older],
];
const server = served();

async function hasSnapshots(driver: string): Promise<boolean> {
  return (await powersOf(server.now(), driver)).capabilities.includes("snapshot");
}

for (const { name: driver, absent } of drivers)
  describe.skipIf(absent !== undefined).each(sdks)(`${driver} by %s`, (_, sdk) => {
    if (!isSdk(sdk)) throw new Error("not an SDK");
    const made: Sandbox[] = [];
    const kept = (sandbox: Sandbox): Sandbox => {
      made.push(sandbox);
      return sandbox;
    };
    const metadata = { "cofferdam.driver": driver };
    const create = async (): Promise<Sandbox> =>
      kept(await sdk.create("base", { timeoutMs: 120_000, metadata, envs: { GREETING: "hello" } }));
    const unlessSnapshots = async (skip: (note: string) => void): Promise<void> => {
      if (!(await hasSnapshots(driver))) skip(`${driver} has no snapshots`);
    };
    afterAll(async () => {
      await Promise.all(made.map((sandbox) => sandbox.kill()));
    });

    test("what has no snapshot is refused by type, and changes nothing", async ({ skip }) => {
      if (await hasSnapshots(driver)) skip(`${driver} has snapshots`);
      const sandbox = await create();
      await expect(sandbox.createSnapshot()).rejects.toThrow(/501.*has no snapshot/);
      await expect(sandbox.fork()).rejects.toThrow(/501.*has no snapshot/);
      expect(await sandbox.isRunning()).toBe(true);
    });

    test("a snapshot outlives its sandbox, and sandboxes made from it have what it had", async ({
      skip,
    }) => {
      await unlessSnapshots(skip);
      const sandbox = await create();
      await sandbox.files.write("/home/user/kept", "before");
      const { snapshotId, names } = await sandbox.createSnapshot();
      expect(snapshotId).toMatch(/^[a-z0-9]{20}:default$/);
      expect(names).toEqual([]);
      await sandbox.files.write("/home/user/kept", "after");
      expect(await sandbox.files.read("/home/user/kept")).toBe("after");
      expect(await sandbox.kill()).toBe(true);
      const copies = await Promise.all([0, 1].map(() => sdk.create(snapshotId)));
      for (const copy of copies.map(kept)) {
        expect(await copy.files.read("/home/user/kept")).toBe("before");
        expect(await copy.getInfo()).toMatchObject({
          state: "running",
          templateId: snapshotId.replace(":default", ""),
        });
        expect(copy.sandboxId).not.toBe(sandbox.sandboxId);
      }
      await copies[0]?.files.write("/home/user/kept", "mine");
      expect(await copies[1]?.files.read("/home/user/kept")).toBe("before");
      expect(await sdk.deleteSnapshot(snapshotId)).toBe(true);
      expect(await sdk.deleteSnapshot(snapshotId)).toBe(false);
      expect(await copies[1]?.files.read("/home/user/kept")).toBe("before");
      await expect(sdk.create(snapshotId)).rejects.toThrow(/not found/);
    });

    test("a name is its tenant's, is taken over by a later snapshot, and is listed", async ({
      skip,
    }) => {
      await unlessSnapshots(skip);
      const name = `named-${driver}-${made.length}`;
      const sandbox = await create();
      await sandbox.files.write("/home/user/kept", "one");
      const first = await sandbox.createSnapshot({ name });
      expect(first).toEqual({
        snapshotId: `default/${name}:default`,
        names: [`default/${name}:default`],
      });
      await sandbox.files.write("/home/user/kept", "two");
      expect(await sandbox.createSnapshot({ name })).toEqual(first);
      const copy = kept(await sdk.create(first.snapshotId));
      expect(await copy.files.read("/home/user/kept")).toBe("two");
      const query = { sandboxId: sandbox.sandboxId };
      const pages = sdk.listSnapshots({ ...query, limit: 1 });
      const seen = [...(await pages.nextItems()), ...(await pages.nextItems())];
      expect(pages.hasNext).toBe(false);
      expect(seen.map(({ names }) => names)).toEqual([first.names, []]);
      const byName = await call(server.now(), `GET /snapshots?name=${name}`);
      expect(byName.body).toMatchObject([{ snapshotID: first.snapshotId }]);

      const { stdout } = await cofferdam(["key", "create", "--tenant", "somebody-else"]);
      const theirs = { ...server.now(), key: stdout.trim() };
      expect((await call(theirs, "GET /snapshots")).body).toEqual([]);
      for (const { snapshotId } of seen) {
        const route = `DELETE /templates/${encodeURIComponent(snapshotId)}`;
        expect((await call(theirs, route)).body).toMatchObject({ code: 404 });
        for (const templateID of [snapshotId, `server-${snapshotId.split(":")[0]}`])
          expect((await call(theirs, "POST /v2/sandboxes", { templateID })).status).toBe(404);
        expect((await call(theirs, "GET /templates")).body).not.toContainEqual(
          expect.objectContaining({ templateID: expect.stringContaining("server-") }),
        );
      }
      const other = drivers.find((each) => each.name !== driver && each.absent === undefined);
      const elsewhere = {
        templateID: first.snapshotId,
        metadata: { "cofferdam.driver": other?.name ?? "none" },
      };
      expect((await call(server.now(), "POST /v2/sandboxes", elsewhere)).status).toBe(400);
      for (const wrong of ["", "a b", "../x", "somebody-else/x", "base"])
        expect([
          wrong,
          (
            await call(server.now(), `POST /sandboxes/${sandbox.sandboxId}/snapshots`, {
              name: wrong,
            })
          ).status,
        ]).toEqual([wrong, wrong === "base" ? 409 : 400]);
      for (const { snapshotId } of seen) expect(await sdk.deleteSnapshot(snapshotId)).toBe(true);
      expect(await sdk.listSnapshots(query).nextItems()).toEqual([]);
    });

    test("copies are made of one that runs, each of its own, and the one goes on", async ({
      skip,
    }) => {
      await unlessSnapshots(skip);
      const sandbox = await create();
      await sandbox.files.write("/home/user/kept", "kept");
      const forks = await sandbox.fork({ count: 3, timeoutMs: 60_000 });
      expect(forks).toHaveLength(3);
      for (const fork of forks) {
        if (!(fork instanceof sdk)) throw fork;
        kept(fork);
        expect(await fork.files.read("/home/user/kept")).toBe("kept");
        expect((await fork.commands.run("echo $GREETING")).stdout).toBe("hello\n");
        await fork.files.write("/home/user/kept", fork.sandboxId);
      }
      expect(await sandbox.files.read("/home/user/kept")).toBe("kept");
      expect(
        new Set([sandbox, ...forks].map((each) => ("sandboxId" in each ? each.sandboxId : "")))
          .size,
      ).toBe(4);
      expect(await sdk.listSnapshots({ sandboxId: sandbox.sandboxId }).nextItems()).toEqual([]);
      const templates = JSON.stringify((await call(server.now(), "GET /templates")).body);
      expect(templates).not.toContain("server-");
    });

    test("a copy that may not be is told on its own, and nothing of it is left", async ({
      skip,
    }) => {
      await unlessSnapshots(skip);
      const tenant = `forks-${driver}-${sdk === Sandbox ? "new" : "old"}`;
      const { stdout } = await cofferdam(["key", "create", "--tenant", tenant]);
      {
        await using store = await openStore({ directory: join(stateDir, "server") });
        const found = await store.tenants.named(tenant);
        await store.tenants.setLimits(found?.id ?? "", { maxSandboxes: 3 });
      }
      const theirs = { apiKey: stdout.trim() };
      const sandbox = kept(await sdk.create("base", { metadata, ...theirs }));
      const before = await running();
      const forks = await sandbox.fork({ count: 4, timeoutMs: 60_000 });
      const copies = forks.filter((fork) => fork instanceof sdk);
      const errors = forks.filter((fork) => !(fork instanceof sdk));
      for (const copy of copies) kept(copy);
      expect([copies.length, errors.length]).toEqual([2, 2]);
      for (const error of errors)
        expect(error).toMatchObject({ message: expect.stringContaining("3 of 3 sandboxes") });
      const known = new Set(before);
      const fresh = (await running()).filter((id) => !known.has(id));
      expect(fresh.toSorted()).toEqual(copies.map(({ sandboxId }) => sandboxId).toSorted());
      const longest = { count: 1, timeout: 100_000_000 };
      const route = `POST /sandboxes/${sandbox.sandboxId}/fork`;
      const tooLong = await call({ ...server.now(), key: theirs.apiKey }, route, longest);
      expect(tooLong.body).toMatchObject({ code: 400 });
    });
  });
