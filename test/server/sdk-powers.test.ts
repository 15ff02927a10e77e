import { readFileSync } from "node:fs";
import { Sandbox } from "e2b";
import { Sandbox as Older } from "e2b-2-45";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { subjects } from "../cli/cofferdam.ts";
import { isSdk, powersOf, served } from "./serve.ts";

const drivers = await subjects();
const sdks: readonly (readonly [string, unknown])[] = [
  ["e2b 2.51", Sandbox],
  ["e2b 2.45", Older],
];
const server = served();
/** Of a machine with a kernel of its own, a new one tells a new start; others show the host's. */
const bootIdFile = "/proc/sys/kernel/random/boot_id";
const patient = { timeout: 30_000, interval: 100 };

async function output(sandbox: Sandbox, command: string): Promise<string> {
  return (await sandbox.commands.run(command)).stdout.trim();
}

async function isPaused(sandbox: Sandbox): Promise<boolean> {
  return (await sandbox.getInfo()).state === "paused";
}

for (const { name: driver, absent } of drivers)
  describe.skipIf(absent !== undefined).each(sdks)(`${driver} by %s`, (_, sdk) => {
    if (!isSdk(sdk)) throw new Error("not an SDK");
    const made: Sandbox[] = [];
    let keeps: readonly string[] = [];
    beforeAll(async () => {
      keeps = (await powersOf(server.now(), driver)).pauseKeeps;
    });
    afterAll(async () => {
      await Promise.all(made.map((sandbox) => sandbox.kill()));
    });

    type Options = NonNullable<Parameters<typeof Sandbox.create>[1]>;
    const create = async (options: Options = {}): Promise<Sandbox> => {
      const metadata = { "cofferdam.driver": driver };
      const sandbox = await sdk.create("base", { timeoutMs: 120_000, metadata, ...options });
      made.push(sandbox);
      return sandbox;
    };

    test("what is paused with its memory goes on with its processes when somebody connects", async ({
      skip,
    }) => {
      if (!keeps.includes("memory")) skip(`${driver} keeps no memory`);
      const sandbox = await create();
      await sandbox.files.write("/tmp/kept", "kept");
      const counting = await sandbox.commands.run(
        "for i in $(seq 1 100000); do echo $i > /tmp/count; sleep 0.05; done",
        { background: true },
      );
      const bootId = await output(sandbox, `cat ${bootIdFile}`);
      expect(await sandbox.pause()).toBe(true);
      expect(await sandbox.pause()).toBe(false);
      const paused = await sandbox.getInfo();
      expect(paused).toMatchObject({ sandboxId: sandbox.sandboxId, state: "paused" });
      const listed = await sdk.list({ query: { state: ["paused"] } }).nextItems();
      expect(listed.map(({ sandboxId }) => sandboxId)).toContain(sandbox.sandboxId);
      expect(await sandbox.isRunning()).toBe(false);
      await expect(sandbox.files.read("/tmp/kept")).rejects.toThrow(/not found|paused/);
      await expect(sandbox.setTimeout(60_000)).rejects.toThrow(/409.*is paused/);

      const again = await sdk.connect(sandbox.sandboxId, { timeoutMs: 300_000 });
      expect(await sandbox.isRunning()).toBe(true);
      expect(await again.files.read("/tmp/kept")).toBe("kept");
      expect(await output(sandbox, `cat ${bootIdFile}`)).toBe(bootId);
      expect((await again.commands.list()).map(({ pid }) => pid)).toContain(counting.pid);
      const before = await output(sandbox, "cat /tmp/count");
      await expect.poll(() => output(sandbox, "cat /tmp/count"), patient).not.toBe(before);
      const info = await again.getInfo();
      expect(info).toMatchObject({ state: "running", startedAt: paused.startedAt });
      expect(info.endAt.getTime()).toBeGreaterThan(Date.now() + 200_000);
    });

    test("the end of a lifetime pauses it where that was asked for", async ({ skip }) => {
      if (!keeps.includes("memory")) skip(`${driver} keeps no memory`);
      const sandbox = await create({ timeoutMs: 3000, lifecycle: { onTimeout: "pause" } });
      const { lifecycle } = await sandbox.getInfo();
      expect(lifecycle).toEqual({ onTimeout: "pause", autoResume: false });
      const { pid } = await sandbox.commands.run("sleep 1000", { background: true });
      await expect.poll(() => isPaused(sandbox), patient).toBe(true);
      expect(await sandbox.isRunning()).toBe(false);
      await sdk.connect(sandbox.sandboxId, { timeoutMs: 60_000 });
      expect((await sandbox.commands.list()).map((process) => process.pid)).toContain(pid);
    });

    test("traffic of any kind resumes one that asked for it, however much comes at once", async ({
      skip,
    }) => {
      if (!keeps.includes("memory")) skip(`${driver} keeps no memory`);
      const lifecycle = { onTimeout: "pause", autoResume: true } as const;
      const sandbox = await create({ timeoutMs: 60_000, lifecycle });
      await sandbox.commands.run("python3 -m http.server 8000 -d /tmp", { background: true });
      await sandbox.files.write("/tmp/page", "a page");
      const page = async (): Promise<string> => {
        const headers = { "E2b-Sandbox-Id": sandbox.sandboxId, "E2b-Sandbox-Port": "8000" };
        return (await fetch(`${server.now().url}/page`, { headers })).text();
      };
      await expect.poll(page, patient).toBe("a page");
      for (const visit of [
        () => output(sandbox, "echo awake"),
        () => sandbox.files.read("/tmp/page"),
        page,
        async () => (await fetch(await sandbox.downloadUrl("/tmp/page"))).text(),
      ]) {
        expect(await sandbox.pause()).toBe(true);
        expect(await isPaused(sandbox)).toBe(true);
        const answers = await Promise.all(Array.from({ length: 8 }, visit));
        expect(new Set(answers).size).toBe(1);
        expect(answers[0]).toMatch(/^(awake|a page)$/);
        expect(await isPaused(sandbox)).toBe(false);
      }
    });

    test("what is paused with its files alone starts anew from them", async ({ skip }) => {
      if (!keeps.includes("files")) skip(`${driver} keeps no files alone`);
      const sandbox = await create({ envs: { GREETING: "hello again" } });
      await sandbox.files.write("/home/user/kept", "kept");
      await sandbox.commands.run("echo in memory > /dev/shm/lost");
      const bootId = await output(sandbox, `cat ${bootIdFile}`);
      await sandbox.commands.run("sleep 1000", { background: true });
      expect(await sandbox.pause({ keepMemory: false })).toBe(true);
      expect(await isPaused(sandbox)).toBe(true);
      await sdk.connect(sandbox.sandboxId, { timeoutMs: 60_000 });
      expect(await sandbox.files.read("/home/user/kept")).toBe("kept");
      expect(await sandbox.commands.list()).toEqual([]);
      expect(await output(sandbox, "echo $GREETING")).toBe("hello again");
      expect(await output(sandbox, "ls /dev/shm")).toBe("");
      const isOwn = bootId !== readFileSync(bootIdFile, "utf8").trim();
      const isSame = (await output(sandbox, `cat ${bootIdFile}`)) === bootId;
      expect(isOwn && isSame).toBe(false);
    });

    test("the end of a lifetime keeps the files alone where that was asked for, and no traffic starts it", async ({
      skip,
    }) => {
      if (!keeps.includes("files")) skip(`${driver} keeps no files alone`);
      const lifecycle = { onTimeout: { action: "pause", keepMemory: false } } as const;
      const sandbox = await create({ timeoutMs: 5000, lifecycle });
      await sandbox.files.write("/home/user/kept", "kept");
      await expect.poll(() => isPaused(sandbox), patient).toBe(true);
      expect(await sandbox.isRunning()).toBe(false);
      expect(await isPaused(sandbox)).toBe(true);
      await sdk.connect(sandbox.sandboxId, { timeoutMs: 60_000 });
      expect(await sandbox.files.read("/home/user/kept")).toBe("kept");
    });

    test("one that was paused is killed like any other, and nothing is there any more", async ({
      skip,
    }) => {
      if (keeps.length === 0) skip(`${driver} cannot pause`);
      const sandbox = await create();
      expect(await sandbox.pause({ keepMemory: keeps.includes("memory") })).toBe(true);
      expect(await sandbox.kill()).toBe(true);
      expect(await sandbox.kill()).toBe(false);
      await expect(sdk.connect(sandbox.sandboxId)).rejects.toThrow(/not found/);
      await expect(sandbox.pause()).rejects.toThrow(/not found/);
      const listed = await sdk.list().nextItems();
      expect(listed.map(({ sandboxId }) => sandboxId)).not.toContain(sandbox.sandboxId);
    });

    test("what the driver cannot keep is refused, and changes nothing", async () => {
      for (const [kept, keepMemory] of [
        ["memory", true],
        ["files", false],
      ] as const) {
        if (keeps.includes(kept)) continue;
        const sandbox = await create();
        await expect(sandbox.pause({ keepMemory })).rejects.toThrow(/^501: .*keepMemory: false/);
        expect(await output(sandbox, "echo still here")).toBe("still here");
        const lifecycle = { onTimeout: { action: "pause", keepMemory } } as const;
        await expect(create({ lifecycle })).rejects.toThrow(/^501: .*autoPause.*keepMemory: false/);
      }
    });
  });

test.skipIf(drivers.every(({ absent }) => absent !== undefined))(
  "a newer client starts one anew from its files although its memory was kept",
  async ({ skip }) => {
    for (const { name: driver, absent } of drivers) {
      const keeps = absent === undefined ? (await powersOf(server.now(), driver)).pauseKeeps : [];
      if (keeps.length < 2) continue;
      const sandbox = await Sandbox.create("base", { metadata: { "cofferdam.driver": driver } });
      try {
        await sandbox.files.write("/home/user/kept", "kept");
        await sandbox.commands.run("sleep 1000", { background: true });
        await sandbox.pause();
        await Sandbox.connect(sandbox.sandboxId, { onResume: "reboot" });
        expect(await sandbox.files.read("/home/user/kept")).toBe("kept");
        expect(await sandbox.commands.list()).toEqual([]);
      } finally {
        await sandbox.kill();
      }
      return;
    }
    skip("no driver keeps both");
  },
);
