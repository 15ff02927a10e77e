import { Sandbox } from "e2b";
import { Sandbox as Older } from "e2b-2-45";
import { afterAll, describe, expect, test } from "vitest";
import { subjects } from "../cli/cofferdam.ts";
import { isSdk, served } from "./serve.ts";

const drivers = await subjects();
const sdks: readonly (readonly [string, unknown])[] = [
  ["e2b 2.51", Sandbox],
  ["e2b 2.45", Older],
];
served();

for (const { name: driver, absent } of drivers)
  describe.skipIf(absent !== undefined).each(sdks)(`${driver} by %s`, (_, sdk) => {
    if (!isSdk(sdk)) throw new Error("not an SDK");
    const made: Sandbox[] = [];
    const create = async (metadata: Record<string, string> = {}): Promise<Sandbox> => {
      const sandbox = await sdk.create("base", {
        metadata: { "cofferdam.driver": driver, ...metadata },
        envs: { GREETING: "hello there" },
        timeoutMs: 120_000,
      });
      made.push(sandbox);
      return sandbox;
    };
    afterAll(async () => {
      await Promise.all(made.map((sandbox) => sandbox.kill()));
    });

    test("a sandbox is made, says what it is, and ends", async () => {
      const sandbox = await create({ purpose: "to be told" });
      expect(sandbox.sandboxId).toMatch(/^i[a-z0-9]{20}$/);
      const info = await sandbox.getInfo();
      expect(info).toMatchObject({
        sandboxId: sandbox.sandboxId,
        templateId: "base",
        name: "base",
        state: "running",
        envdVersion: "0.6.13",
        allowInternetAccess: false,
        metadata: { purpose: "to be told" },
      });
      const remaining = info.endAt.getTime() - info.startedAt.getTime();
      expect(Math.abs(remaining - 120_000)).toBeLessThan(30_000);
      const { stdout } = await sandbox.commands.run("echo $GREETING");
      expect(stdout).toBe("hello there\n");
      expect(await sandbox.isRunning()).toBe(true);
      expect(await sandbox.kill()).toBe(true);
      expect(await sandbox.isRunning()).toBe(false);
      expect(await sdk.kill(sandbox.sandboxId)).toBe(false);
      await expect(sdk.getInfo(sandbox.sandboxId)).rejects.toThrow(/not found/);
      await expect(sdk.connect(sandbox.sandboxId)).rejects.toThrow(/not found/);
    });

    test("connecting finds the same sandbox and never shortens its life", async () => {
      const sandbox = await create();
      await sandbox.files.write("/tmp/kept", "kept");
      const before = await sandbox.getInfo();
      const again = await sdk.connect(sandbox.sandboxId, { timeoutMs: 5000 });
      expect(await again.files.read("/tmp/kept")).toBe("kept");
      expect((await again.getInfo()).endAt).toEqual(before.endAt);
      await sdk.connect(sandbox.sandboxId, { timeoutMs: 600_000 });
      const longer = await sandbox.getInfo();
      expect(longer.endAt.getTime() - before.endAt.getTime()).toBeGreaterThan(400_000);
    });

    test("a time-out is set anew, and keeps its word", async () => {
      const sandbox = await create();
      await sandbox.setTimeout(60_000);
      const shorter = (await sandbox.getInfo()).endAt.getTime() - Date.now();
      expect(shorter).toBeLessThan(60_500);
      const running = sandbox.commands.run("sleep 100").then(
        () => "ended well",
        () => "failed",
      );
      await sandbox.setTimeout(1000);
      expect(await running).toBe("failed");
      await expect.poll(() => sandbox.isRunning(), { timeout: 20_000 }).toBe(false);
      await expect(sdk.getInfo(sandbox.sandboxId)).rejects.toThrow(/not found/);
    });

    test("lists come in pages and by metadata with odd characters", async () => {
      const mark = `y z&=%ü ${Math.random()}`;
      const ids: string[] = [];
      for (let count = 0; count < 3; count += 1)
        ids.unshift((await create({ "odd key+": mark })).sandboxId);
      const query = { metadata: { "odd key+": mark } };
      const pages = sdk.list({ query, limit: 2 });
      const first = await pages.nextItems();
      expect(pages.hasNext).toBe(true);
      const second = await pages.nextItems();
      expect(pages.hasNext).toBe(false);
      expect([first.length, second.length]).toEqual([2, 1]);
      expect([...first, ...second].map(({ sandboxId }) => sandboxId)).toEqual(ids);
      const none = sdk.list({ query: { metadata: { "odd key+": "another" } } });
      expect(await none.nextItems()).toEqual([]);
      const paused = sdk.list({ query: { ...query, state: ["paused"] } });
      expect(await paused.nextItems()).toEqual([]);
    });

    test("readings come before the first sample and after", async () => {
      const sandbox = await create();
      const [reading] = await sandbox.getMetrics();
      expect(reading?.memTotal).toBe(512 * 1_048_576);
      expect(reading?.diskTotal).toBeGreaterThan(0);
    });

    test("what no driver does yet is refused by type", async () => {
      await expect(sdk.create("base", { network: { allowOut: ["example.org"] } })).rejects.toThrow(
        /501.*network.allowOut/,
      );
      await expect(sdk.create("no-such-template")).rejects.toThrow(/no-such-template.*not found/);
    });
  });
