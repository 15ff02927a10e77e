import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, get, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeEnvelope } from "../../src/wire/envelopes.ts";
import {
  type Guest,
  type Rig,
  accessToken,
  agent,
  raw,
  rig,
  sandboxId,
  to,
  until,
  answerOf,
} from "./data-rig.ts";

const envd = 49_983;
const own = { ...to(envd), "x-access-token": accessToken };

let guest: Guest;
let server: Rig;
let directory: string;

beforeAll(async () => {
  guest = await agent();
  server = await rig(guest.path);
  directory = await mkdtemp(join(tmpdir(), "data-agent-"));
  await chmod(directory, 0o777);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await guest[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** A running command of the sandbox; its output is not read until somebody does. */
async function start(
  at: Rig,
  script: string,
  headers: Record<string, string> = {},
): Promise<IncomingMessage> {
  const sent = request(`${at.url}/process.Process/Start`, {
    method: "POST",
    headers: {
      ...own,
      "content-type": "application/connect+json",
      "connect-protocol-version": "1",
      ...headers,
    },
  });
  sent.end(encodeEnvelope({ process: { cmd: "/bin/sh", args: ["-c", script] }, stdin: false }));
  const answer = await answerOf(sent);
  return answer;
}

async function processes(at: Rig): Promise<number> {
  const answer = await fetch(`${at.url}/process.Process/List`, {
    method: "POST",
    headers: { ...own, "content-type": "application/json" },
    body: "{}",
  });
  const list: unknown = await answer.json();
  return JSON.stringify(list).split('"pid"').length - 1;
}

function signature(parts: readonly string[]): string {
  return `v1_${createHash("sha256").update(parts.join(":")).digest("base64").replaceAll("=", "")}`;
}

describe("the agent behind the proxy", () => {
  test("answers by headers and by host name, with and without keep-alive", async () => {
    expect((await fetch(`${server.url}/health`, { headers: to(envd) })).status).toBe(204);
    const byHost = await raw(
      server.port,
      `GET /health HTTP/1.1\r\nHost: ${envd}-${sandboxId}.sbx.localhost:3999\r\nConnection: close\r\n\r\n`,
    );
    expect(byHost).toMatch(/^HTTP\/1\.1 204 /);
    const old = await raw(
      server.port,
      `GET /health HTTP/1.0\r\nHost: ${envd}-${sandboxId}-client.sbx.localhost\r\n\r\n`,
    );
    expect(old).toMatch(/^HTTP\/1\.1 204 /);
  });

  test("checks the access token itself", async () => {
    const headers = { ...to(envd), "content-type": "application/json" };
    const call = (token?: string): Promise<Response> =>
      fetch(`${server.url}/process.Process/List`, {
        method: "POST",
        headers: token === undefined ? headers : { ...headers, "x-access-token": token },
        body: "{}",
      });
    expect((await call()).status).toBe(401);
    expect((await call("wrong")).status).toBe(401);
    expect((await call(accessToken)).status).toBe(200);
  });

  test("does not show what is for its host alone, nor the code interpreter by way of its own port", async () => {
    for (const path of ["/init", "/freeze", "/%69nit", "/execute", "/contexts"]) {
      const answer = await fetch(`${server.url}${path}`, { method: "POST", headers: own });
      expect([path, answer.status]).toEqual([path, 404]);
    }
  });

  test("a smuggled port header does not make the agent's port the code interpreter's", async () => {
    const host = `${envd}-${sandboxId}.sbx.localhost`;
    const answer = await raw(
      server.port,
      `GET /health HTTP/1.1\r\nHost: ${host}\r\nE2b-Sandbox-Port: 49999\r\nE2b-Sandbox-Port: 1\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 204 /);
  });

  test("takes and gives files of 32 MiB, with a length and in chunks", async () => {
    const bytes = Buffer.alloc(32 * 2 ** 20, "0123456789abcdef");
    for (const length of [true, false]) {
      const path = join(directory, `file-${String(length)}`);
      const sent = request(`${server.url}/files?path=${path}`, {
        method: "POST",
        headers: {
          ...own,
          "content-type": "application/octet-stream",
          ...(length ? { "content-length": bytes.length } : {}),
        },
      });
      for (let from = 0; from < bytes.length; from += 65_536)
        if (!sent.write(bytes.subarray(from, from + 65_536))) await once(sent, "drain");
      sent.end();
      const stored = await answerOf(sent);
      expect(JSON.parse(await text(stored))).toMatchObject([{ path }]);
      const answer = await fetch(`${server.url}/files?path=${path}`, { headers: own });
      expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
    }
  });

  test("a refused upload is told so", async () => {
    const answer = await fetch(`${server.url}/files?path=${directory}/never`, {
      method: "POST",
      headers: {
        ...to(envd),
        "x-access-token": "wrong",
        "content-type": "application/octet-stream",
      },
      body: Buffer.alloc(4 * 2 ** 20),
    });
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 401 }]);
  });

  test("pages of any origin may use it, after asking", async () => {
    const asking = {
      origin: "https://app.example",
      "access-control-request-method": "POST",
      "access-control-request-headers":
        "authorization,e2b-sandbox-id,e2b-sandbox-port,x-access-token",
    };
    const asked = await fetch(`${server.url}/process.Process/Start`, {
      method: "OPTIONS",
      headers: asking,
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-origin")).toBe("*");
    expect(asked.headers.get("access-control-allow-headers")).toBe(
      asking["access-control-request-headers"],
    );
    const answer = await fetch(`${server.url}/health`, {
      headers: { ...to(envd), origin: "https://app.example" },
    });
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  });
});

describe("a stream of the agent", () => {
  test("comes as it is made", async () => {
    const answer = await start(server, "echo one; sleep 30");
    let seen = "";
    for await (const bytes of answer as AsyncIterable<Buffer>) {
      seen += bytes.toString("latin1");
      if (seen.includes(Buffer.from("one\n").toString("base64"))) break;
    }
    expect(seen).toContain('"start"');
  });

  test("a client that goes away closes it and kills nothing", async () => {
    await using rigged = await rig(guest.path);
    const before = await processes(rigged);
    const file = join(directory, "survived");
    const answer = await start(rigged, `echo begun; sleep 1; echo lived > ${file}`);
    await once(answer, "data");
    answer.destroy();
    await until(() => rigged.uses.now === 0, "the use is over");
    for (let tries = 0; tries < 500; tries += 1) {
      const said = await readFile(file, "utf8").catch(() => "");
      if (said === "lived\n") break;
      await new Promise((resolve) => void setTimeout(resolve, 20));
    }
    expect(await readFile(file, "utf8")).toBe("lived\n");
    expect(before).toBeGreaterThanOrEqual(0);
  });

  test("a time limit of the client's is kept by the agent", async () => {
    const answer = await start(server, "echo begun; sleep 60", { "connect-timeout-ms": "500" });
    expect(await text(answer)).toContain('"code":"deadline_exceeded"');
  });

  test("a reader that is slow slows the program, and gets all", async () => {
    const answer = await start(server, "head -c 50000000 /dev/zero");
    await once(answer, "readable");
    await new Promise((resolve) => void setTimeout(resolve, 300));
    const said = await text(answer);
    const pieces = [...said.matchAll(/"stdout":"([A-Za-z0-9+/=]+)"/g)].map(
      ([, piece = ""]) => Buffer.from(piece, "base64").length,
    );
    expect(pieces.reduce((sum, length) => sum + length, 0)).toBe(50_000_000);
  });

  test("is cut, not ended, when the sandbox is killed; right after, it is not found", async () => {
    await using rigged = await rig(guest.path);
    const socket = connect(rigged.port, "127.0.0.1");
    const body = encodeEnvelope({
      process: { cmd: "/bin/sh", args: ["-c", "echo begun; sleep 2"] },
      stdin: false,
    });
    const head = Object.entries({
      ...own,
      host: "localhost",
      "content-type": "application/connect+json",
      "content-length": body.length,
    })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("");
    socket.write(`POST /process.Process/Start HTTP/1.1\r\n${head}\r\n`);
    socket.write(body);
    let seen = "";
    socket.on("data", (bytes) => void (seen += bytes.toString("latin1")));
    socket.on("error", () => socket.destroy());
    await until(
      () => seen.includes(Buffer.from("begun\n").toString("base64")),
      "the command speaks",
    );
    expect(rigged.uses.now).toBe(1);
    rigged.kill();
    await once(socket, "close");
    expect(seen).not.toMatch(/0\r\n\r\n$/);
    await until(() => rigged.uses.now === 0, "the use is over");
    const gone = await fetch(`${rigged.url}/health`, { headers: to(envd) });
    expect(gone.status).toBe(502);
    expect(gone.headers.get("content-type")).toBe("application/json");
    expect(await gone.json()).toEqual({
      sandboxId,
      message: "The sandbox was not found",
      code: 502,
    });
  });

  test("is cut when the agent itself dies", async () => {
    const mortal = await agent();
    await using rigged = await rig(mortal.path);
    const answer = await start(rigged, "echo begun; sleep 60");
    await once(answer, "data");
    answer.resume();
    const broken = once(answer, "error");
    await mortal[Symbol.asyncDispose]();
    expect(await broken).toMatchObject([{ code: "ECONNRESET" }]);
    const gone = await fetch(`${rigged.url}/health`, { headers: to(envd) });
    expect(await gone.json()).toEqual({
      sandboxId,
      message: "The sandbox was not found",
      code: 502,
    });
  });
});

describe("signed file addresses that name no sandbox", () => {
  test("lead to the sandbox whose token made them", async () => {
    const path = join(directory, "signed file +é");
    await writeFile(path, "signed");
    const query = new URLSearchParams({
      path,
      signature: signature([path, "read", "", accessToken]),
    });
    const answer = await fetch(`${server.url}/files?${query.toString()}`);
    expect([answer.status, await answer.text()]).toEqual([200, "signed"]);
    expect(answer.headers.get("content-security-policy")).toBe("sandbox");
  });

  test("also to write, until they expire", async () => {
    const path = join(directory, "written");
    const put = (expires: string): Promise<Response> => {
      const query = new URLSearchParams({
        path,
        signature: signature([path, "write", "", accessToken, expires]),
        signature_expiration: expires,
      });
      return fetch(`${server.url}/files?${query.toString()}`, {
        method: "POST",
        headers: { "content-type": "application/octet-stream" },
        body: "by signature",
      });
    };
    expect((await put("9999999999")).status).toBe(200);
    expect(await readFile(path, "utf8")).toBe("by signature");
    const late = await put("1000000000");
    expect(late.status).toBe(401);
    expect(await late.text()).toBe('{"code":401,"message":"signature is already expired"}');
  });

  test("are refused when no token made them", async () => {
    const query = new URLSearchParams({
      path: "/etc/passwd",
      signature: signature(["/etc/passwd", "read", "", "guessed"]),
    });
    const answer = await fetch(`${server.url}/files?${query.toString()}`);
    expect([answer.status, await answer.json()]).toEqual([
      401,
      { code: 401, message: "invalid signature" },
    ]);
  });
});

test("a dead connection of the pool is not noticed by who asks next", async () => {
  const mortal = await agent();
  await using rigged = await rig(mortal.path);
  const asked = (): Promise<number> =>
    new Promise(
      (resolve, reject) =>
        void get(`${rigged.url}/health`, { headers: to(envd) }, (answer) =>
          resolve(answer.resume().statusCode ?? 0),
        ).on("error", reject),
    );
  expect(await asked()).toBe(204);
  await mortal[Symbol.asyncDispose]();
  await using reborn = await agent();
  rigged.target =
    rigged.target === undefined
      ? undefined
      : { ...rigged.target, reach: { kind: "socket", path: reborn.path } };
  expect(await asked()).toBe(204);
});
