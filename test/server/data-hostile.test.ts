import { once } from "node:events";
import { get, request } from "node:http";
import { type Socket, connect } from "node:net";
import { describe, expect, test } from "vitest";
import { SandboxError } from "../../src/core/errors.ts";
import { malices } from "../security/hostile-agent.ts";
import { agent, guest, raw, rig, sandboxId, to, until, nextBytes } from "./data-rig.ts";

const envd = 49_983;
const host = `${envd}-${sandboxId}.sbx.localhost`;

/** Plays a malice once the whole head of a request has come; a port is joined first. */
function playing(
  malice: (socket: Socket, request: string) => void,
): (socket: Socket, firstLine: string) => void {
  return (socket, firstLine) => {
    if (firstLine.startsWith("PORT")) socket.write(Buffer.from([0]));
    let seen = "";
    let played = false;
    socket.on("data", (bytes) => {
      seen = (seen + bytes.toString("latin1")).slice(0, 65_536);
      if (played || !seen.includes("\r\n\r\n")) return;
      played = true;
      malice(socket, seen);
    });
  };
}

/** What a client of the proxy sees of an answer. */
async function answerTo(
  port: number,
  path: string,
  bytes: string,
): Promise<{ head: string; body: string; cut: boolean }> {
  const socket = connect(port, "127.0.0.1");
  let said = "";
  let cut = false;
  socket.on("data", (more) => {
    said = (said + more.toString("latin1")).slice(0, 1_000_000);
    if (said.length >= 1_000_000) socket.destroy();
  });
  socket.on("error", () => void (cut = true));
  socket.write(bytes.replace("PATH", path));
  const timer = setTimeout(() => socket.destroy(), 3000);
  await once(socket, "close");
  clearTimeout(timer);
  const [head = "", body = ""] = said.split("\r\n\r\n", 2);
  return { head, body, cut };
}

describe("a guest that lies", () => {
  for (const [name, malice] of Object.entries(malices)) {
    test(`${name}: the client gets one answer or a broken connection, the server lives`, async () => {
      await using liar = await guest(playing(malice));
      await using rigged = await rig(liar.path);
      const before = process.memoryUsage().rss;
      const answers = await Promise.all(
        [envd, 8080].map((port) =>
          answerTo(
            rigged.port,
            "/health",
            `GET PATH HTTP/1.1\r\nHost: localhost\r\nE2b-Sandbox-Id: ${sandboxId}\r\nE2b-Sandbox-Port: ${port}\r\nConnection: close\r\n\r\n`,
          ),
        ),
      );
      for (const { head, body } of answers) {
        if (head === "") continue;
        const lines = head.split("\r\n");
        expect(lines[0]).toMatch(/^HTTP\/1\.1 [2-5]\d\d [ -~]*$/);
        for (const line of lines.slice(1))
          expect(line).toMatch(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\u0020-\u007e\u0080-\u00ff]*$/);
        const refusal = head.startsWith("HTTP/1.1 502")
          ? body
          : `{"sandboxId":"${sandboxId}","code":502}`;
        expect(JSON.parse(refusal)).toMatchObject({ sandboxId, code: 502 });
      }
      await until(() => rigged.uses.now === 0, "the uses are over");
      expect(
        (process.memoryUsage().rss - before) / 2 ** 20,
        "MiB that the proxy grew",
      ).toBeLessThan(200);
    });
  }

  test.each([
    ["a head in lines that end early", "HTTP/1.1 200 OK\nX: 1\n\nbody"],
    [
      "a header with a bare carriage return",
      "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: stolen=1\r\nContent-Length: 0\r\n\r\n",
    ],
    ["a folded header", "HTTP/1.1 200 OK\r\nX: a\r\n Y: b\r\nContent-Length: 0\r\n\r\n"],
    ["a name with a space", "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n"],
    ["a zero byte", "HTTP/1.1 200 OK\r\nX: a\u0000b\r\nContent-Length: 0\r\n\r\n"],
    [
      "length and chunks at once",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    ["a status below all", "HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n"],
    ["a status above all", "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"],
    ["another version", "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
    [
      "a thousand headers",
      `HTTP/1.1 200 OK\r\n${Array.from({ length: 1000 }, (_, index) => `X-${index}: v\r\n`).join("")}Content-Length: 0\r\n\r\n`,
    ],
    [
      "a header of 100 KB",
      `HTTP/1.1 200 OK\r\nX: ${"a".repeat(100_000)}\r\nContent-Length: 0\r\n\r\n`,
    ],
    [
      "another protocol that nobody asked for",
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    ],
  ])("%s becomes a 502", async (_, answer) => {
    await using liar = await guest(playing((socket) => void socket.end(answer)));
    await using rigged = await rig(liar.path);
    const said = await raw(
      rigged.port,
      `GET / HTTP/1.1\r\nHost: 8080-${sandboxId}.sbx.localhost\r\nConnection: close\r\n\r\n`,
    );
    expect(said).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
    expect(said).not.toMatch(/stolen|X-1:/);
    expect(JSON.parse(said.split("\r\n\r\n")[1] ?? "")).toMatchObject({ sandboxId, code: 502 });
  });

  test("a second answer on the same connection is given to nobody", async () => {
    let answered = 0;
    await using liar = await guest(
      playing((socket) => {
        answered += 1;
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond`,
        );
      }),
    );
    await using rigged = await rig(liar.path);
    for (let turn = 0; turn < 3; turn += 1) {
      const answer = await fetch(`${rigged.url}/health`, { headers: to(envd) });
      expect(await answer.text()).toBe("first");
      await new Promise((resolve) => void setTimeout(resolve, 20));
    }
    expect(answered).toBeGreaterThan(1);
  });

  test("a word in a WebSocket's agreement cannot end the head early", async () => {
    await using liar = await guest(
      playing(
        (socket) =>
          void socket.write(
            "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: a\u0001b\r\nY: 1\r\n\r\n",
          ),
      ),
    );
    await using rigged = await rig(liar.path);
    const { head } = await answerTo(
      rigged.port,
      "/",
      `GET PATH HTTP/1.1\r\nHost: 8080-${sandboxId}.sbx.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    expect(head).not.toContain("\u0001");
  });
});

describe("a client that lies", () => {
  test.each([
    ["two hosts", `GET /health HTTP/1.1\r\nHost: ${host}\r\nHost: 127.0.0.1\r\n\r\n`],
    ["no host", "GET /health HTTP/1.1\r\n\r\n"],
    ["an address of its own", `GET http://127.0.0.1/health HTTP/1.1\r\nHost: ${host}\r\n\r\n`],
    [
      "length and chunks",
      `POST /health HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "two lengths",
      `POST /health HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde`,
    ],
    [
      "an unknown coding",
      `POST /health HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "two codings",
      `POST /health HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
    ],
    [
      "a space before the colon",
      `GET /health HTTP/1.1\r\nHost: ${host}\r\nContent-Length : 5\r\n\r\n`,
    ],
    ["lines that end early", `GET /health HTTP/1.1\nHost: ${host}\n\n`],
    [
      "a folded header",
      `GET /health HTTP/1.1\r\nHost: ${host}\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n`,
    ],
    [
      "two sandboxes",
      `GET /health HTTP/1.1\r\nHost: localhost\r\nE2b-Sandbox-Id: ${sandboxId}\r\nE2b-Sandbox-Id: ib\r\nE2b-Sandbox-Port: 49983\r\n\r\n`,
    ],
    [
      "a body with another protocol",
      `POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 50\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`,
    ],
  ])("%s: refused, and no sandbox hears of it", async (_, bytes) => {
    await using honest = await guest(
      (socket) => void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    );
    await using rigged = await rig(honest.path);
    const socket = connect(rigged.port, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    socket.write(bytes);
    const answer = await nextBytes(socket);
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
    expect(honest.connections()).toBe(0);
  });

  test("a head that never ends, or is too long, is cut off", async () => {
    await using honest = await agent();
    await using rigged = await rig(honest.path);
    expect(
      await raw(rigged.port, `GET / HTTP/1.1\r\nHost: ${host}\r\nX: ${"a".repeat(40_000)}\r\n\r\n`),
    ).toMatch(/^HTTP\/1\.1 431 /);
    rigged.server.headersTimeout = 200;
    const slow = connect(rigged.port, "127.0.0.1");
    slow.on("error", () => slow.destroy());
    slow.resume().write("GET / HTTP/1.1\r\nHost: ");
    await once(slow, "close");
  });

  test("headers named by Connection do not take the proxy's own away", async () => {
    let head = "";
    await using honest = await guest(
      playing((socket, said) => {
        head = said;
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      }),
    );
    await using rigged = await rig(honest.path);
    await raw(
      rigged.port,
      `POST / HTTP/1.1\r\nHost: 8080-${sandboxId}.sbx.localhost\r\nConnection: close, host, content-length, x-forwarded-for\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 3\r\n\r\nabc`,
    );
    expect(head).toMatch(/\r\nHost: 8080-/);
    expect(head).toMatch(/\r\nContent-Length: 3\r\n/);
    expect(head).toMatch(/\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/);
  });

  test("a path cannot bring headers along", async () => {
    let head = "";
    await using honest = await guest(
      playing((socket, said) => {
        head = said;
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      }),
    );
    await using rigged = await rig(honest.path);
    await fetch(`${rigged.url}/a%0d%0aX-Injected:%201%0d%0a`, { headers: to(8080) });
    expect(head).toMatch(/^GET \/a%0d%0aX-Injected:%201%0d%0a HTTP\/1\.1\r\n/);
    expect(head).not.toMatch(/\r\nX-Injected/);
  });
});

describe("limits", () => {
  test("more connections than a sandbox may have are refused, and the others go on", async () => {
    await using silent = await guest(() => undefined);
    await using rigged = await rig(silent.path, { maxPerSandbox: 3 });
    const waiting = Array.from({ length: 3 }, () => {
      const sent = get(rigged.url, { headers: to(8080) });
      sent.on("error", () => sent.destroy());
      return sent;
    });
    await until(() => rigged.uses.now === 3, "three are under way");
    const refused = await fetch(rigged.url, { headers: to(8080) });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    for (const sent of waiting) sent.destroy();
    await until(() => rigged.uses.now === 0, "they are over");
  });

  test("a sandbox that does not join, or does not answer, is given up", async () => {
    await using silent = await guest(() => undefined);
    await using rigged = await rig(silent.path, { connectTimeoutMs: 100, idleTimeoutMs: 300 });
    expect((await fetch(rigged.url, { headers: to(8080) })).status).toBe(502);
    expect((await fetch(rigged.url, { headers: to(envd) })).status).toBe(504);
    await until(() => rigged.uses.now === 0, "the uses are over");
  });

  test("an upload that stops is given up", async () => {
    await using honest = await agent();
    await using rigged = await rig(honest.path, { idleTimeoutMs: 200 });
    const sent = request(`${rigged.url}/files?path=/tmp/never-${sandboxId}`, {
      method: "POST",
      headers: {
        ...to(envd),
        "x-access-token": "token-of-the-sandbox",
        "content-type": "application/octet-stream",
        "content-length": 1000,
      },
    });
    sent.write("part");
    await Promise.race([once(sent, "response"), once(sent, "error")]).catch(() => undefined);
    sent.destroy();
    await until(() => rigged.uses.now === 0, "the use is over");
  });

  test("connections to the agent are used again, and no more of them are kept than a few", async () => {
    let open = 0;
    await using counting = await guest((socket) => {
      open += 1;
      socket.on("end", () => socket.end());
      socket.on("close", () => void (open -= 1));
      socket.on(
        "data",
        () =>
          void setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 20),
      );
    });
    await using rigged = await rig(counting.path);
    const ask = (): Promise<Response> => fetch(`${rigged.url}/health`, { headers: to(envd) });
    for (let turn = 0; turn < 5; turn += 1) await ask();
    expect(counting.connections()).toBe(1);
    await Promise.all(Array.from({ length: 40 }, ask));
    await until(() => open <= 8, "what is too many is closed");
  });

  test("a thousand idle connections do not keep others out", async () => {
    await using honest = await agent();
    await using rigged = await rig(honest.path);
    const idle = Array.from({ length: 1000 }, () =>
      connect(rigged.port, "127.0.0.1").on("error", () => undefined),
    );
    await Promise.all(idle.map((socket) => once(socket, "connect")));
    expect((await fetch(`${rigged.url}/health`, { headers: to(envd) })).status).toBe(204);
    for (const socket of idle) socket.destroy();
  });
});

describe("what finding a sandbox may end in", () => {
  test.each([
    [new SandboxError("exhausted", "no room to wake it"), 429],
    [new SandboxError("unavailable", "the host is full"), 503],
    [new SandboxError("not-found", "gone"), 502],
    [new Error("secret detail"), 500],
  ])("%s", async (cause, status) => {
    await using rigged = await rig("/nowhere", { find: () => Promise.reject(cause) });
    const answer = await fetch(rigged.url, { headers: to(8080) });
    const body = await answer.text();
    expect([answer.status, JSON.parse(body)]).toMatchObject([status, { code: status, sandboxId }]);
    expect(body).not.toContain("secret");
  });

  test("a client that left meanwhile wakes nothing up", async () => {
    await using honest = await guest((socket) => socket.destroy());
    let found: (() => void) | undefined;
    const own = new Promise<void>((resolve) => void (found = resolve));
    await using waking = await rig(honest.path);
    await using rigged = await rig(honest.path, { find: () => own.then(() => waking.target) });
    let left = false;
    rigged.server.on("request", (_, response) => response.on("close", () => void (left = true)));
    const arrived = once(rigged.server, "request");
    const sent = get(rigged.url, { headers: to(8080) });
    sent.on("error", () => sent.destroy());
    await arrived;
    sent.destroy();
    await until(() => left, "the server notices");
    found?.();
    await fetch(`${waking.url}/`, { headers: to(1) }).catch(() => undefined);
    expect(waking.uses.ever).toBe(1);
  });

  test("what is not for a sandbox is left to others", async () => {
    await using rigged = await rig("/nowhere");
    expect((await fetch(`${rigged.url}/sandboxes`)).status).toBe(421);
  });
});
