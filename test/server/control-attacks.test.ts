import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { type Socket, connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { cofferdam, subjects } from "../cli/cofferdam.ts";
import { call, served } from "./serve.ts";

const driver = (await subjects()).find(({ absent }) => absent === undefined)?.name;
const server = served();
const made = z.object({ sandboxID: z.string(), envdAccessToken: z.string() });

interface Made {
  readonly id: string;
  readonly token: string;
}

async function sandbox(): Promise<Made> {
  const wish = { templateID: "base", driver, timeout: 300 };
  const { body } = await call(server.now(), "POST /cofferdam/v1/sandboxes", wish);
  const { sandboxID: id, envdAccessToken: token } = made.parse(body);
  return { id, token };
}

/** A request to the agent of a sandbox, as a client that has its token sends it. */
function toAgent(
  { id, token }: Made,
  path: string,
  {
    headers = {},
    ...init
  }: { method?: string; headers?: Record<string, string>; body?: Uint8Array },
): Promise<Response> {
  const routing = { "e2b-sandbox-id": id, "e2b-sandbox-port": "49983", "x-access-token": token };
  return fetch(`${server.now().url}${path}`, { ...init, headers: { ...routing, ...headers } });
}

async function isWell(victim: Made): Promise<void> {
  expect((await toAgent(victim, "/health", {})).status).toBe(204);
}

/** Uploads a file whose part says this name, byte for byte. */
async function upload(victim: Made, name: string): Promise<Response> {
  const part = `--b\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\nattack\r\n--b--\r\n`;
  return toAgent(victim, "/files?username=user", {
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=b" },
    body: Buffer.from(part, "latin1"),
  });
}

/** The answer to one streaming call whose body is exactly this: its status, and what its last envelope says. */
async function streamed(victim: Made, body: Uint8Array): Promise<string> {
  const answer = await toAgent(victim, "/process.Process/Start", {
    method: "POST",
    headers: { "content-type": "application/connect+json", "connect-protocol-version": "1" },
    body,
  });
  return `${answer.status} ${await answer.text()}`;
}

function envelope(flags: number, length: number, content: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, Buffer.from(content)]);
}

describe.skipIf(driver === undefined)("an attacker with a key of their own", () => {
  let victim: Made;
  beforeAll(async () => {
    victim = await sandbox();
  });
  afterAll(async () => {
    await call(server.now(), `DELETE /sandboxes/${victim.id}`);
  });

  test("names of uploaded files lead nowhere but into the sandbox, with the user's rights", async () => {
    const canary = `canary-${randomBytes(8).toString("hex")}`;
    const up = "../".repeat(20);
    for (const name of [`${up}tmp/${canary}`, `/tmp/${canary}`, `..\\..\\tmp\\${canary}`])
      expect([name, (await upload(victim, name)).status < 500]).toEqual([name, true]);
    expect(existsSync(`/tmp/${canary}`)).toBe(false);
    const inside = await toAgent(victim, `/files?username=user&path=/tmp/${canary}`, {});
    expect(await inside.text()).toBe("attack");
    for (const name of [`${up}etc/shadow`, "/proc/1/mem", "/etc/cron.d/x", "/run/x"])
      expect([name, (await upload(victim, name)).status]).toEqual([
        name,
        expect.toSatisfy((status: number) => status >= 400 && status < 600),
      ]);
    for (const name of ["a\0b", "a".repeat(5000), "", "/", "."])
      expect([name, (await upload(victim, name)).status]).toEqual([name, 400]);
    await isWell(victim);
  });

  test("paths of addresses lead to no other operation and to no file of the server", async () => {
    const { url } = server.now();
    for (const path of [
      "/sandboxes/../cofferdam/v1/operator/status",
      "/sandboxes/%2e%2e/cofferdam/v1/operator/status",
      "/cofferdam/v1/sandboxes/..%2foperator%2fstatus",
      "/templates/..%2f..%2f..%2fetc%2fpasswd",
      "/snapshots/%00",
      "//etc/passwd",
      "/%c0%ae%c0%ae/etc/passwd",
    ]) {
      const answer = await raw(
        url,
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: ${server.now().key}\r\nConnection: close\r\n\r\n`,
      );
      expect([path, answer.slice(0, 12)]).toEqual([path, expect.stringMatching(/^HTTP\/1\.1 4/)]);
      expect(answer).not.toContain("root:");
    }
  });

  test("envelopes that are none are refused in the protocol's words, and the agent lives", async () => {
    const good = JSON.stringify({ process: { cmd: "/bin/true" } });
    for (const [what, body] of [
      ["nothing", Buffer.alloc(0)],
      ["half a head", Buffer.from([0, 0])],
      ["a length of 4 GiB", envelope(0, 0xff_ff_ff_ff, good)],
      ["less than it says", envelope(0, good.length + 1, good)],
      ["compressed, unasked", envelope(1, good.length, good)],
      ["an end in the place of a message", envelope(2, 2, "{}")],
      ["no JSON", envelope(0, 4, "{{{{")],
      ["JSON of another shape", envelope(0, 7, '["a",1]')],
      ["a thousand arrays", envelope(0, 200_000, "[".repeat(200_000))],
      ["bytes of no meaning", randomBytes(65_536)],
    ] as const)
      expect([what, await streamed(victim, body)]).toEqual([
        what,
        expect.stringMatching(/invalid_argument|resource_exhausted|unimplemented|^4\d\d /),
      ]);
    await isWell(victim);
  });

  test("the token of another's sandbox opens none, by any door", async () => {
    const key = (await cofferdam(["key", "create", "--tenant", "attacker"])).stdout.trim();
    const attacker = { url: server.now().url, key };
    const wish = { templateID: "base", driver, timeout: 300 };
    const own = made.parse((await call(attacker, "POST /cofferdam/v1/sandboxes", wish)).body);
    const stolen = { id: victim.id, token: own.envdAccessToken };
    expect((await toAgent(stolen, "/files?path=/etc/hostname", {})).status).toBe(401);
    expect((await upload(stolen, "/tmp/x")).status).toBe(401);
    expect(await streamed(stolen, Buffer.alloc(0))).toMatch(/^401 |unauthenticated/);
    for (const route of [
      `POST /cofferdam/v1/sandboxes/${victim.id}/hold`,
      `POST /cofferdam/v1/sandboxes/${victim.id}/resume`,
      `POST /cofferdam/v1/sandboxes/${victim.id}/snapshots`,
      `POST /sandboxes/${victim.id}/fork`,
    ]) {
      const body = { lifetimeMs: 1000, name: "stolen" };
      expect([route, (await call(attacker, route, body)).status]).toEqual([route, 404]);
    }
    const taken = await call(server.now(), `POST /sandboxes/${victim.id}/snapshots`, {
      name: "my",
    });
    expect(taken.status).toBe(201);
    const mine = z.object({ snapshotID: z.string() }).parse(taken.body).snapshotID;
    for (const templateID of [mine, "my", mine.replace(/^.*\//, "")])
      expect((await call(attacker, "POST /v2/sandboxes", { templateID })).status).toBe(404);
    expect((await call(attacker, "GET /cofferdam/v1/snapshots")).body).toEqual([]);
    expect((await call(attacker, `DELETE /templates/${encodeURIComponent(mine)}`)).status).toBe(
      404,
    );
    expect((await call(server.now(), "DELETE /templates/my")).status).toBe(204);
    await call(attacker, `DELETE /sandboxes/${own.sandboxID}`);
    await isWell(victim);
  });

  test("two thousand connections that say nothing keep nobody out", async () => {
    const idle: Socket[] = [];
    try {
      for (let batch = 0; batch < 20; batch += 1)
        idle.push(...(await Promise.all(Array.from({ length: 100 }, () => opened()))));
      expect((await call(server.now(), "GET /v2/sandboxes")).status).toBe(200);
      await isWell(victim);
    } finally {
      for (const socket of idle) socket.destroy();
    }
  });
});

function opened(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.now().port, "127.0.0.1", () => resolve(socket));
    socket.on("error", reject);
  });
}

function raw(url: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () => void socket.write(bytes));
    let said = "";
    socket.on("data", (piece) => void (said += piece.toString("latin1")));
    socket.on("error", reject);
    socket.on("close", () => resolve(said));
  });
}
