import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Sandbox } from "e2b";
import { describe, expect, test } from "vitest";
import { cofferdam, running, stateDir, subjects } from "../cli/cofferdam.ts";
import { postgresqlPrograms, startPostgresql } from "../store/postgresql-server.ts";
import { type Served, call, powersOf, serve, tellClients } from "./serve.ts";

const drivers = await subjects();

async function stateOf(server: Served, id: string): Promise<unknown> {
  const { body } = await call(server, `GET /sandboxes/${id}`);
  return typeof body === "object" && body !== null && "state" in body ? body.state : body;
}

async function make(server: Served, route: string, wish: object): Promise<string> {
  const { body } = await call(server, route, wish);
  if (typeof body === "object" && body !== null && "sandboxID" in body)
    return String(body.sandboxID);
  throw new Error(`no sandbox: ${JSON.stringify(body)}`);
}

async function listed(server: Served): Promise<readonly unknown[]> {
  const { body } = await call(server, "GET /v2/sandboxes");
  return Array.isArray(body) ? body.map((each: { sandboxID: string }) => each.sandboxID) : [];
}

/** What drivers have of servers' snapshots. */
function snapshotsLeft(): readonly string[] {
  const shelf = join(stateDir, "snapshots");
  const names = existsSync(shelf) ? readdirSync(shelf) : [];
  return names.filter((name) => name.startsWith("server-"));
}

async function again(before: Served): Promise<Served> {
  const server = await serve(["--port", String(before.port)]);
  tellClients(server);
  return server;
}

for (const { name: driver, absent } of drivers)
  describe.skipIf(absent !== undefined)(`a server that dies, with ${driver}`, () => {
    const options = { metadata: { "cofferdam.driver": driver }, timeoutMs: 600_000 };

    test("in the middle of pauses and resumptions loses nothing that is paused or runs", async ({
      skip,
    }) => {
      let server = await serve();
      tellClients(server);
      const [kept] = (await powersOf(server, driver)).pauseKeeps;
      if (kept === undefined) {
        await server.end("SIGTERM");
        skip(`${driver} cannot pause`);
      }
      const sandbox = await Sandbox.create("base", options);
      await sandbox.files.write("/home/user/kept", "kept");
      const seen: unknown[] = [];
      for (const delayMs of [0, 2, 5, 10, 20, 40, 80, 160]) {
        const isPaused = (await stateOf(server, sandbox.sandboxId)) === "paused";
        const asked = isPaused
          ? call(server, `POST /sandboxes/${sandbox.sandboxId}/connect`, { timeout: 600 })
          : call(server, `POST /sandboxes/${sandbox.sandboxId}/pause`, {
              memory: kept === "memory",
            });
        const over = asked.catch(() => undefined);
        await sleep(delayMs);
        expect(await server.end("SIGKILL")).toBe("SIGKILL");
        await over;
        server = await again(server);
        seen.push(await stateOf(server, sandbox.sandboxId));
      }
      expect(seen.every((state) => state === "running" || state === "paused")).toBe(true);
      await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 600_000 });
      expect(await sandbox.files.read("/home/user/kept")).toBe("kept");
      expect((await sandbox.commands.run("echo alive")).stdout).toBe("alive\n");
      expect(await sandbox.kill()).toBe(true);
      expect(await running()).toEqual([]);
      expect(await server.end("SIGTERM")).toBe(143);
    });

    test("in the middle of forks leaves no snapshot that is nobody's", async ({ skip }) => {
      let server = await serve();
      tellClients(server);
      if (!(await powersOf(server, driver)).capabilities.includes("snapshot")) {
        await server.end("SIGTERM");
        skip(`${driver} has no snapshots`);
      }
      const sandbox = await Sandbox.create("base", options);
      for (const delayMs of [20, 100, 300]) {
        const body = { count: 2, timeout: 60 };
        const asked = call(server, `POST /sandboxes/${sandbox.sandboxId}/fork`, body);
        const over = asked.catch(() => undefined);
        await sleep(delayMs);
        await server.end("SIGKILL");
        await over;
        server = await again(server);
      }
      await expect.poll(snapshotsLeft, { timeout: 90_000, interval: 500 }).toEqual([]);
      expect((await sandbox.commands.run("echo alive")).stdout).toBe("alive\n");
      const made = await Sandbox.list().nextItems();
      for (const { sandboxId } of made) await Sandbox.kill(sandboxId);
      await expect.poll(running, { timeout: 90_000, interval: 500 }).toEqual([]);
      expect(await server.end("SIGTERM")).toBe(143);
    });

    test("leaves what is paused paused, and what is due is paused without it", async ({ skip }) => {
      const first = await serve();
      tellClients(first);
      const { pauseKeeps } = await powersOf(first, driver);
      if (!pauseKeeps.includes("memory")) {
        await first.end("SIGTERM");
        skip(`${driver} keeps no memory`);
      }
      const lifecycle = { onTimeout: "pause", autoResume: true } as const;
      const due = await Sandbox.create("base", { ...options, lifecycle, timeoutMs: 4000 });
      const { pid } = await due.commands.run("sleep 1000", { background: true });
      const paused = await Sandbox.create("base", options);
      const gone = await Sandbox.create("base", options);
      await paused.files.write("/home/user/kept", "kept");
      for (const sandbox of [paused, gone]) expect(await sandbox.pause()).toBe(true);
      await first.end("SIGKILL");
      expect((await cofferdam(["kill", gone.sandboxId])).code).toBe(0);
      await sleep(6000);

      const second = await again(first);
      expect(await stateOf(second, due.sandboxId)).toBe("paused");
      expect(await stateOf(second, paused.sandboxId)).toBe("paused");
      expect(await stateOf(second, gone.sandboxId)).toMatchObject({ code: 404 });
      expect((await due.commands.list()).map((process) => process.pid)).toContain(pid);
      expect(await stateOf(second, due.sandboxId)).toBe("running");
      await Sandbox.connect(paused.sandboxId);
      expect(await paused.files.read("/home/user/kept")).toBe("kept");
      for (const sandbox of [due, paused]) expect(await sandbox.kill()).toBe(true);
      expect(await running()).toEqual([]);
      expect(await second.end("SIGTERM")).toBe(143);
    });

    test("does not give a sandbox that nobody uses its idle time-out anew", async () => {
      const first = await serve();
      const own = "POST /cofferdam/v1/sandboxes";
      const wish = { templateID: "base", driver, timeout: 300 };
      const older = await make(first, own, { ...wish, idleTimeoutMs: 20_000 });
      await first.end("SIGKILL");
      await sleep(11_000);
      const second = await serve(["--port", String(first.port), "--end-sandboxes"]);
      const newer = await make(second, own, { ...wish, idleTimeoutMs: 17_000 });
      await expect
        .poll(() => stateOf(second, older), { timeout: 40_000, interval: 200 })
        .toMatchObject({ code: 404 });
      expect(await stateOf(second, newer)).toBe("running");
      expect(await second.end("SIGTERM")).toBe(143);
    });
  });

const programs = postgresqlPrograms();
const driver = drivers.find(({ absent }) => absent === undefined)?.name;

test.skipIf("absent" in programs || driver === undefined)(
  "two servers that share a store look after their own sandboxes alone",
  async () => {
    await using database = await startPostgresql("directory" in programs ? programs.directory : "");
    const otherDir = mkdtempSync(join(tmpdir(), "cofferdam-other-state-"));
    symlinkSync(join(stateDir, "templates"), join(otherDir, "templates"));
    const environment = { DATABASE_URL: database.urlOf("public") };
    const one = await serve(["--port", "0", "--end-sandboxes"], { environment });
    const place = { environment, stateDir: otherDir, key: one.key };
    const other = await serve(["--port", "0"], place);
    const wish = {
      templateID: "base",
      metadata: { "cofferdam.driver": driver ?? "" },
      timeout: 300,
    };
    const [here, there] = [
      await make(one, "POST /v2/sandboxes", wish),
      await make(other, "POST /v2/sandboxes", wish),
    ];
    expect([await listed(one), await listed(other)]).toEqual([[here], [there]]);
    const foreign = await call(one, `DELETE /sandboxes/${there}`);
    expect(foreign.body).toMatchObject({ code: 404 });
    await other.end("SIGKILL");
    const back = await serve(["--port", "0", "--end-sandboxes"], place);
    expect(back.lines.find((line) => line.includes("the server is ready"))).toMatch(
      /"adopted":1,"closed":0,"ended":0/,
    );
    expect([await listed(one), await listed(back)]).toEqual([[here], [there]]);
    for (const server of [back, one]) expect(await server.end("SIGTERM")).toBe(143);
    rmSync(otherDir, { recursive: true });
  },
);
