import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { hostOf, program } from "./data-programs.ts";
import { type Guest, type Rig, agent, raw, rig, sandboxId, to, until } from "./data-rig.ts";

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

/** The answer to a WebSocket that was not wanted. */
function refusalOf(client: WebSocket): Promise<IncomingMessage> {
  client.on("error", () => client.terminate());
  return new Promise(
    (resolve) => void client.once("unexpected-response", (_, answer) => resolve(answer)),
  );
}

async function refusedWith(headers: Record<string, string>): Promise<unknown> {
  const client = new WebSocket(`ws://127.0.0.1:${server.port}/`, { headers });
  return JSON.parse(await text(await refusalOf(client)));
}

describe("other protocols", () => {
  test("WebSockets carry messages of all sizes both ways, and close in order", async () => {
    await using own = await program((_, outgoing) => void outgoing.end());
    const sockets = new WebSocketServer({ server: own.server });
    sockets.on("connection", (socket, incoming) => {
      socket.send(`hello ${incoming.url} ${String(incoming.headers["x-forwarded-host"])}`);
      socket.on("message", (bytes, isBinary) => socket.send(bytes, { binary: isBinary }));
    });
    const client = new WebSocket(`ws://127.0.0.1:${server.port}/path?x`, {
      headers: { host: hostOf(own.port) },
    });
    const messages: Buffer[] = [];
    client.on("message", (bytes: Buffer) => void messages.push(bytes));
    await once(client, "open");
    await until(() => messages.length === 1, "the greeting");
    expect(messages[0]?.toString()).toBe(`hello /path?x ${hostOf(own.port)}`);
    expect(server.uses.now).toBe(1);
    const big = Buffer.alloc(5_000_000, "abc");
    client.send("small");
    client.send(big);
    await until(() => messages.length === 3, "the echo");
    expect(messages[2]?.equals(big)).toBe(true);
    client.close(4001, "done");
    expect((await once(client, "close"))[0]).toBe(4001);
    await until(() => server.uses.now === 0, "the use is over");
    sockets.close();
  });

  test("WebSockets break off when the sandbox is killed", async () => {
    await using own = await program((_, outgoing) => void outgoing.end());
    const sockets = new WebSocketServer({ server: own.server });
    await using rigged = await rig(guest.path);
    const client = new WebSocket(`ws://127.0.0.1:${rigged.port}/`, { headers: to(own.port) });
    await once(client, "open");
    rigged.kill();
    expect((await once(client, "close"))[0]).toBe(1006);
    await until(() => sockets.clients.size === 0, "the program notices");
    expect(rigged.uses.now).toBe(0);
  });

  test("a program that refuses a WebSocket is heard", async () => {
    await using own = await program(
      (_, outgoing) => void outgoing.writeHead(401, { "x-why": "no" }).end("who are you?"),
    );
    const client = new WebSocket(`ws://127.0.0.1:${server.port}/`, {
      headers: { host: hostOf(own.port) },
    });
    const answer = await refusalOf(client);
    expect([answer.statusCode, answer.headers["x-why"], await text(answer)]).toEqual([
      401,
      "no",
      "who are you?",
    ]);
  });

  test("a WebSocket to a closed port, or to no sandbox, gets the contract's body", async () => {
    expect(await refusedWith(to(1))).toEqual({
      sandboxId,
      message: "The sandbox is running but port is not open",
      port: 1,
      code: 502,
    });
    expect(await refusedWith({ ...to(1), "e2b-sandbox-id": "igone" })).toEqual({
      sandboxId: "igone",
      message: "The sandbox was not found",
      code: 502,
    });
  });

  test("any other protocol is joined byte by byte, and each side may end first", async () => {
    await using own = await program((_, outgoing) => void outgoing.end());
    own.server.on("upgrade", (incoming: IncomingMessage, socket, head: Buffer) => {
      socket.write(
        `HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: ${incoming.headers.upgrade}\r\n\r\nearly `,
      );
      let said = head.toString();
      socket.on("data", (bytes: Buffer) => void (said += bytes.toString()));
      socket.on("end", () => socket.end(`heard ${said}`));
    });
    const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
    let said = "";
    socket.on("data", (bytes) => void (said += bytes.toString()));
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${hostOf(own.port)}\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\nat once, `,
    );
    await until(() => said.includes("early"), "it is joined");
    expect(said).toMatch(/^HTTP\/1\.1 101 [^]*\r\nUpgrade: echo\/1\r\n/);
    socket.end("and later");
    await once(socket, "end");
    expect(said).toMatch(/early heard at once, and later$/);
    await until(() => server.uses.now === 0, "the use is over");
  });

  test("an offer of HTTP/2 is not passed on: the answer is HTTP/1.1", async () => {
    await using own = await program(
      (incoming, outgoing) => void outgoing.end(`upgrade: ${incoming.headers.upgrade}`),
    );
    const said = await raw(
      server.port,
      `GET / HTTP/1.1\r\nHost: ${hostOf(own.port)}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`,
    );
    expect(said).toMatch(/^HTTP\/1\.1 200 [^]*upgrade: undefined/);
  });
});
