import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { openStore } from "../../src/store/open-store.ts";
import { cofferdam, running, stateDir, subjects } from "../cli/cofferdam.ts";
import { type Served, call, powersOf, served } from "./serve.ts";

type Caller = Pick<Served, "url" | "key">;

const server = served();
const drivers = await subjects();

async function keyOf(tenant: string): Promise<Caller> {
  const { stdout } = await cofferdam(["key", "create", "--tenant", tenant]);
  return { url: server.now().url, key: stdout.trim() };
}

function idIn(body: unknown): string {
  if (typeof body === "object" && body !== null && "sandboxID" in body)
    return String(body.sandboxID);
  throw new Error(`no sandbox: ${JSON.stringify(body)}`);
}

async function statuses(calls: readonly Promise<{ readonly status: number }>[]): Promise<number[]> {
  return (await Promise.all(calls))
    .map(({ status }) => status)
    .toSorted((left, right) => left - right);
}

function times<T>(count: number, work: () => T): T[] {
  return Array.from({ length: count }, work);
}

function visit(
  id: string,
  port: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(`${server.now().url}/health`, {
    headers: { "E2b-Sandbox-Id": id, "E2b-Sandbox-Port": String(port), ...headers },
  });
}

async function stateOf(who: Caller, id: string): Promise<unknown> {
  return (await call(who, `GET /sandboxes/${id}`)).body;
}

for (const { name: driver, absent } of drivers)
  describe.skipIf(absent !== undefined)(driver, () => {
    const wish = { templateID: "base", metadata: { "cofferdam.driver": driver }, timeout: 300 };
    const make = async (who: Caller, more: object = {}): Promise<string> =>
      idIn((await call(who, "POST /v2/sandboxes", { ...wish, ...more })).body);
    let memory: boolean | undefined;
    beforeAll(async () => {
      const [most] = (await powersOf(server.now(), driver)).pauseKeeps;
      memory = most === undefined ? undefined : most === "memory";
    });
    const unlessPauses = (skip: (note: string) => void): void => {
      if (memory === undefined) skip(`${driver} cannot pause`);
    };
    const unlessKeepsMemory = (skip: (note: string) => void): void => {
      if (memory !== true) skip(`${driver} keeps no memory`);
    };

    test("of many that pause at once one does, of many that connect at once one resumes", async ({
      skip,
    }) => {
      unlessPauses(skip);
      const who = server.now();
      const id = await make(who);
      for (let round = 0; round < 3; round += 1) {
        const pauses = times(6, () => call(who, `POST /sandboxes/${id}/pause`, { memory }));
        expect(await statuses(pauses)).toEqual([204, 409, 409, 409, 409, 409]);
        expect(await stateOf(who, id)).toMatchObject({ state: "paused" });
        const connects = times(8, () =>
          call(who, `POST /v2/sandboxes/${id}/connect`, { timeout: 300 }),
        );
        expect(await statuses(connects)).toEqual([200, 200, 200, 200, 200, 200, 200, 201]);
        expect(await stateOf(who, id)).toMatchObject({ state: "running" });
      }
      expect((await call(who, `POST /sandboxes/${id}/pause`, { memory })).status).toBe(204);
      const resumed = await call(who, `POST /sandboxes/${id}/resume`, { timeout: 60 });
      expect(resumed).toMatchObject({ status: 201, body: { sandboxID: id } });
      const later = { timeout: 60, autoPause: true };
      expect((await call(who, `POST /sandboxes/${id}/resume`, later)).status).toBe(501);
      expect((await call(who, `DELETE /sandboxes/${id}`)).status).toBe(204);
    });

    test("a kill in the middle of a pause or a resumption wins, and nothing is left", async ({
      skip,
    }) => {
      unlessPauses(skip);
      const who = server.now();
      for (const delayMs of [0, 1, 5, 20, 60]) {
        const [pausing, resuming] = [await make(who), await make(who)];
        await call(who, `POST /sandboxes/${resuming}/pause`, { memory });
        const changes = [
          call(who, `POST /sandboxes/${pausing}/pause`, { memory }),
          call(who, `POST /sandboxes/${resuming}/connect`, { timeout: 60 }),
        ];
        await new Promise((resolve) => {
          setTimeout(resolve, delayMs);
        });
        const kills = [pausing, resuming].map((id) => call(who, `DELETE /sandboxes/${id}`));
        expect(await statuses(kills)).toEqual([204, 204]);
        const outcomes = await statuses(changes);
        expect(outcomes.filter((status) => ![200, 201, 204, 404].includes(status))).toEqual([]);
        for (const id of [pausing, resuming])
          expect(await stateOf(who, id)).toMatchObject({ code: 404 });
      }
      expect(await running()).toEqual([]);
    });

    test("a paused one is nobody else's to see, resume, end or copy, and not to be reached", async ({
      skip,
    }) => {
      unlessPauses(skip);
      const [mine, theirs] = [await keyOf("pauser"), await keyOf("stranger")];
      const id = await make(mine);
      await call(mine, `POST /sandboxes/${id}/pause`, { memory });
      for (const route of [
        `GET /sandboxes/${id}`,
        `POST /sandboxes/${id}/connect`,
        `POST /v2/sandboxes/${id}/connect`,
        `POST /sandboxes/${id}/resume`,
        `POST /sandboxes/${id}/pause`,
        `POST /sandboxes/${id}/snapshots`,
        `POST /sandboxes/${id}/fork`,
        `DELETE /sandboxes/${id}`,
      ]) {
        const body = /^(GET|DELETE)/.test(route) ? undefined : { timeout: 5 };
        expect([route, (await call(theirs, route, body)).body]).toMatchObject([
          route,
          { code: 404 },
        ]);
      }
      expect((await call(theirs, "GET /v2/sandboxes?state=paused")).body).toEqual([]);
      for (const port of [49_983, 49_999, 3000]) {
        const answer = await visit(id, port);
        expect(answer.status).toBe(502);
        expect(await answer.json()).toEqual({
          sandboxId: id,
          message: "The sandbox was not found",
          code: 502,
        });
      }
      for (const route of ["timeout", "refreshes", "snapshots", "fork"]) {
        const { status } = await call(mine, `POST /sandboxes/${id}/${route}`, { timeout: 60 });
        expect([route, [409, 501].includes(status)]).toEqual([route, true]);
      }
      expect((await call(mine, `GET /sandboxes/${id}/metrics`)).status).toBe(200);
      expect(await stateOf(mine, id)).toMatchObject({ state: "paused" });
      expect((await call(mine, `DELETE /sandboxes/${id}`)).status).toBe(204);
    });

    test("who may not pass the gate does not wake what is behind it", async ({ skip }) => {
      unlessKeepsMemory(skip);
      const who = server.now();
      const { body } = await call(who, "POST /v2/sandboxes", {
        ...wish,
        autoPause: true,
        autoResume: { enabled: true },
        network: { allowPublicTraffic: false },
      });
      const id = idIn(body);
      const tokens = z.object({ trafficAccessToken: z.string(), envdAccessToken: z.string() });
      const { trafficAccessToken: token, envdAccessToken } = tokens.parse(body);
      await call(who, `POST /sandboxes/${id}/pause`, { memory });
      const access = { "x-access-token": envdAccessToken };
      for (const headers of [{}, { "x-access-token": "0".repeat(64) }])
        expect((await visit(id, 49_983, headers)).status).toBe(502);
      expect(await stateOf(who, id)).toMatchObject({ state: "paused" });
      expect((await visit(id, 49_983, access)).status).toBe(204);
      expect(await stateOf(who, id)).toMatchObject({ state: "running" });
      await call(who, `POST /sandboxes/${id}/pause`, { memory });
      const wrong = { "e2b-traffic-access-token": "0".repeat(64) };
      expect((await visit(id, 3000)).status).toBe(403);
      expect((await visit(id, 3000, wrong)).status).toBe(403);
      expect(await stateOf(who, id)).toMatchObject({ state: "paused" });
      const right = { "e2b-traffic-access-token": token };
      expect(await (await visit(id, 3000, right)).json()).toMatchObject({ port: 3000, code: 502 });
      expect(await stateOf(who, id)).toMatchObject({
        state: "running",
        lifecycle: { onTimeout: "pause", autoResume: true },
      });
      expect((await call(who, `DELETE /sandboxes/${id}`)).status).toBe(204);
    });

    test("more requests than may wait are told so, and the others are answered", async ({
      skip,
    }) => {
      unlessKeepsMemory(skip);
      const who = server.now();
      const id = await make(who, { autoPause: true, autoResume: { enabled: true } });
      await call(who, `POST /sandboxes/${id}/pause`, { memory });
      const answers = await statuses(times(200, () => visit(id, 49_983)));
      expect(answers.filter((status) => status === 204).length).toBeGreaterThanOrEqual(100);
      expect(answers.every((status) => status === 204 || status === 429)).toBe(true);
      expect((await visit(id, 49_983)).status).toBe(204);
      expect((await call(who, `DELETE /sandboxes/${id}`)).status).toBe(204);
    });

    test("a paused one takes no place of its tenant's, and needs one to be resumed", async ({
      skip,
    }) => {
      unlessPauses(skip);
      const who = await keyOf(`narrow-${driver}`);
      {
        await using store = await openStore({ directory: join(stateDir, "server") });
        const tenant = await store.tenants.named(`narrow-${driver}`);
        await store.tenants.setLimits(tenant?.id ?? "", { maxSandboxes: 1 });
      }
      const first = await make(who);
      expect((await call(who, "POST /v2/sandboxes", wish)).status).toBe(429);
      await call(who, `POST /sandboxes/${first}/pause`, { memory });
      const second = await make(who);
      const refused = await call(who, `POST /sandboxes/${first}/connect`, { timeout: 60 });
      expect(refused).toMatchObject({ status: 429, body: { code: 429 } });
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(await stateOf(who, first)).toMatchObject({ state: "paused" });
      expect((await call(who, `DELETE /sandboxes/${second}`)).status).toBe(204);
      const resumed = await call(who, `POST /sandboxes/${first}/connect`, { timeout: 60 });
      expect(resumed.status).toBe(201);
      expect((await call(who, `DELETE /sandboxes/${first}`)).status).toBe(204);
    });

    test("a time-out of nothing pauses what was made so, and one that is connected to in the same moment runs or is resumed", async ({
      skip,
    }) => {
      unlessPauses(skip);
      const who = server.now();
      const id = await make(who, { autoPause: true, autoPauseMemory: memory });
      expect((await call(who, `POST /sandboxes/${id}/timeout`, { timeout: 0 })).status).toBe(204);
      expect(await stateOf(who, id)).toMatchObject({ state: "paused" });
      for (let round = 0; round < 4; round += 1) {
        const [ended, connected] = await Promise.all([
          call(who, `POST /sandboxes/${id}/timeout`, { timeout: 0 }),
          call(who, `POST /sandboxes/${id}/connect`, { timeout: 60 }),
        ]);
        expect([204, 409]).toContain(ended.status);
        expect([200, 201]).toContain(connected.status);
        await call(who, `POST /sandboxes/${id}/connect`, { timeout: 60 });
        expect(await stateOf(who, id)).toMatchObject({ state: "running" });
      }
      expect((await call(who, `DELETE /sandboxes/${id}`)).status).toBe(204);
    });

    test("one that nobody uses is paused where the end of its time pauses it", async ({ skip }) => {
      unlessPauses(skip);
      const who = server.now();
      const body = {
        ...wish,
        driver,
        autoPause: true,
        autoPauseMemory: memory,
        idleTimeoutMs: 1000,
      };
      const id = idIn((await call(who, "POST /cofferdam/v1/sandboxes", body)).body);
      await expect
        .poll(async () => stateOf(who, id), { timeout: 20_000 })
        .toMatchObject({ state: "paused" });
      expect((await call(who, `DELETE /sandboxes/${id}`)).status).toBe(204);
    });

    test("the end of a lifetime that keeps files alone is one pause, whoever begins it and however long programs take", async ({
      skip,
    }) => {
      const who = server.now();
      if (!(await powersOf(who, driver)).pauseKeeps.includes("files")) skip("it keeps no files");
      const body = { ...wish, driver, autoPause: true, autoPauseMemory: false, timeout: 8 };
      const id = idIn((await call(who, "POST /cofferdam/v1/sandboxes", body)).body);
      const at = ["--server", who.url, "--api-key-file", join(stateDir, "server/first-key")];
      const deaf = "trap '' TERM; while :; do sleep 1; done";
      const words = [
        ...at,
        "exec",
        id,
        "--",
        "sh",
        "-c",
        `nohup sh -c "${deaf}" >/dev/null 2>&1 &`,
      ];
      expect(await cofferdam(words, { isAfar: true })).toMatchObject({ code: 0 });
      await expect
        .poll(async () => stateOf(who, id), { timeout: 30_000 })
        .toMatchObject({ state: "paused" });
      const told = server.now().lines.filter((line) => line.includes(id));
      expect(told.filter((line) => line.includes("could not be paused")).join("\n")).toBe("");
      expect((await call(who, `DELETE /sandboxes/${id}`)).status).toBe(204);
    });

    test("pauses and resumptions stand in the audit log", async ({ skip }) => {
      unlessPauses(skip);
      const who = server.now();
      const id = await make(who);
      await call(who, `POST /sandboxes/${id}/pause`, { memory });
      await call(who, `POST /sandboxes/${id}/connect`, { timeout: 60 });
      await call(who, `DELETE /sandboxes/${id}`);
      const { body } = await call(who, `GET /sandboxes/${id}/logs`);
      const told = JSON.stringify(body);
      for (const line of [
        "sandbox.pause: ok",
        "machine.pause: ok",
        "sandbox.connect: ok",
        "machine.resume: ok",
      ])
        expect(told).toContain(line);
    });
  });
