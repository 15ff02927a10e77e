import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createNetServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { ask, hostOf, program } from "./data-programs.ts";
import { type Guest, type Rig, agent, portOf, rig, sandboxId, to, nextBytes } from "./data-rig.ts";

let guest: Guest;
let server: Rig;

beforeAll(async () => {
  guest = await agent();
  server = await rig(guest.path);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await guest[Symbol.asyncDispose]();
});

describe("a port of the sandbox", () => {
  test("is reached by host name and by headers; a real server in Python answers", async () => {
    const directory = await mkdtemp(join(tmpdir(), "data-ports-"));
    await writeFile(join(directory, "page.html"), "<h1>from Python</h1>");
    const python = spawn("python3", [
      "-u",
      "-m",
      "http.server",
      "0",
      "--bind",
      "127.0.0.1",
      "--directory",
      directory,
    ]);
    try {
      const line = await nextBytes(python.stdout);
      const port = Number(/port (\d+)/.exec(line.toString())?.[1]);
      expect(await text(await ask(server, port, { path: "/page.html" }))).toBe(
        "<h1>from Python</h1>",
      );
      const byHeaders = await fetch(`${server.url}/page.html`, { headers: to(port) });
      expect(await byHeaders.text()).toBe("<h1>from Python</h1>");
      const head = await ask(server, port, { method: "HEAD", path: "/page.html" });
      expect([head.statusCode, head.headers["content-length"], await text(head)]).toEqual([
        200,
        "20",
        "",
      ]);
      expect((await ask(server, port, { path: "/none" })).statusCode).toBe(404);
    } finally {
      python.kill("SIGKILL");
      await rm(directory, { recursive: true });
    }
  });

  test("that is closed answers with the contract's body", async () => {
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const port = portOf(free);
    free.close();
    const answer = await ask(server, port);
    expect([answer.statusCode, answer.headers["content-type"]]).toEqual([502, "application/json"]);
    expect(JSON.parse(await text(answer))).toEqual({
      sandboxId,
      message: "The sandbox is running but port is not open",
      port,
      code: 502,
    });
  });

  test("that hangs up without an answer is a 502", async () => {
    const rude = createNetServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(rude, "listening");
    const answer = await ask(server, portOf(rude));
    expect([answer.statusCode, JSON.parse(await text(answer))]).toMatchObject([
      502,
      { sandboxId, code: 502 },
    ]);
    rude.close();
  });

  test("sees the request as it was, and who asked", async () => {
    await using own = await program(
      (incoming, outgoing) =>
        void outgoing.end(
          JSON.stringify({ method: incoming.method, url: incoming.url, headers: incoming.headers }),
        ),
    );
    const answer = await ask(server, own.port, {
      method: "PATCH",
      path: "/a%20b?c=%2F&d",
      headers: {
        "x-own": "1",
        "x-access-token": "the app's own",
        "x-forwarded-for": "6.6.6.6",
        forwarded: "for=6.6.6.6",
        connection: "x-secret, close",
        "x-secret": "for this hop",
        "proxy-authorization": "no",
        te: "gzip",
      },
      body: "{}",
    });
    const seen: { headers: unknown } = JSON.parse(await text(answer));
    expect(seen).toMatchObject({ method: "PATCH", url: "/a%20b?c=%2F&d" });
    expect(seen.headers).toMatchObject({
      host: hostOf(own.port),
      "x-own": "1",
      "x-access-token": "the app's own",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-host": hostOf(own.port),
      "x-forwarded-proto": "http",
    });
    for (const name of ["forwarded", "x-secret", "proxy-authorization", "te"])
      expect(seen.headers).not.toHaveProperty(name);
  });

  test("is told another Host where that is asked for", async () => {
    await using own = await program(
      (incoming, outgoing) => void outgoing.end(incoming.headers.host),
    );
    await using masked = await rig(guest.path, {
      target: { maskRequestHost: "localhost:${PORT}" },
    });
    const answer = await fetch(masked.url, { headers: to(own.port) });
    expect(await answer.text()).toBe(`localhost:${own.port}`);
  });

  test("asks for the traffic token where public traffic is off, and does not see it", async () => {
    await using own = await program(
      (incoming, outgoing) => void outgoing.end(JSON.stringify(incoming.headers)),
    );
    await using closed = await rig(guest.path, {
      target: { allowPublicTraffic: false, trafficToken: "secret-traffic" },
    });
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await fetch(closed.url, { headers: to(own.port, headers) })).status;
    expect(await status({})).toBe(403);
    expect(await status({ "e2b-traffic-access-token": "wrong" })).toBe(403);
    const open = await fetch(closed.url, {
      headers: to(own.port, { "e2b-traffic-access-token": "secret-traffic" }),
    });
    expect([open.status, await open.text()]).toEqual([
      200,
      expect.not.stringContaining("secret-traffic"),
    ]);
    expect((await fetch(`${closed.url}/health`, { headers: to(49_983) })).status).toBe(204);
    expect((await fetch(`${closed.url}/contexts`, { headers: to(49_999) })).status).toBe(403);
  });

  test("cannot set cookies for its neighbours, nor headers for this hop", async () => {
    await using own = await program((_, outgoing) => {
      outgoing.setHeader("set-cookie", ["a=1; Path=/; Domain=sbx.localhost", "b=2; Secure"]);
      outgoing.setHeader("keep-alive", "timeout=999999");
      outgoing.end("x");
    });
    const answer = await ask(server, own.port);
    expect(answer.headers["set-cookie"]).toEqual(["a=1; Path=/", "b=2; Secure"]);
    expect(answer.headers["keep-alive"]).not.toBe("timeout=999999");
    answer.resume();
  });
});

test("a sandbox that is reached over HTTP is reached at the address of its port, with its headers", async () => {
  await using own = await program(
    (incoming, outgoing) =>
      void outgoing.end(JSON.stringify({ url: incoming.url, headers: incoming.headers })),
  );
  const sockets = new WebSocketServer({ server: own.server });
  sockets.on("connection", (socket, incoming) => socket.send(String(incoming.url)));
  await using rigged = await rig("", {
    target: {
      reach: {
        kind: "http",
        url: (port) => `http://127.0.0.1:${own.port}/of/${port}/`,
        headers: { "x-key": "secret", "e2b-sandbox-id": "remote" },
      },
    },
  });
  const answer = await fetch(`${rigged.url}/path?query`, {
    headers: to(8080, { "x-key": "forged" }),
  });
  expect(await answer.json()).toMatchObject({
    url: "/of/8080/path?query",
    headers: {
      host: `127.0.0.1:${own.port}`,
      "x-key": "secret",
      "e2b-sandbox-id": "remote",
      "e2b-sandbox-port": "8080",
    },
  });
  const client = new WebSocket(`ws://127.0.0.1:${rigged.port}/socket`, { headers: to(8080) });
  expect(String((await once(client, "message"))[0])).toBe("/of/8080/socket");
  client.terminate();
  sockets.close();
});
