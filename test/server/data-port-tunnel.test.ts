import { once } from "node:events";
import { type Socket, connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Guest,
  type Rig,
  accessToken,
  agent,
  nextBytes,
  portOf,
  rig,
  sandboxId,
  until,
} from "./data-rig.ts";

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

/** A connection to the proxy that has asked for a port's bytes. */
function asking(port: number, token: string): Socket {
  const client = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
  const lines = [
    "GET / HTTP/1.1",
    `host: 127.0.0.1:${server.port}`,
    `e2b-sandbox-id: ${sandboxId}`,
    `e2b-sandbox-port: ${port}`,
    `x-access-token: ${token}`,
    "connection: Upgrade",
    "upgrade: cofferdam-port",
  ];
  client.write(`${lines.join("\r\n")}\r\n\r\n`);
  return client;
}

describe("a port's bytes as they are", () => {
  test("go both ways, with half-closes, to who has the sandbox's token", async () => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket));
    echo.listen(0, "127.0.0.1");
    await once(echo, "listening");
    try {
      const client = asking(portOf(echo), accessToken);
      expect((await nextBytes(client)).toString()).toMatch(
        /^HTTP\/1\.1 101 [^]*Upgrade: cofferdam-port\r\n\r\n$/,
      );
      expect(server.uses.now).toBe(1);
      client.end("no HTTP at all\n");
      expect(await text(client)).toBe("no HTTP at all\n");
      await until(() => server.uses.now === 0, "the use is over");
    } finally {
      echo.close();
    }
  });

  test("are refused without the token, whoever may ask the port by HTTP", async () => {
    for (const token of ["", "wrong"])
      expect(await text(asking(8080, token))).toMatch(/^HTTP\/1\.1 401 /);
  });

  test("of a port that nobody listens on are told to be none", async () => {
    const closed = createServer();
    closed.listen(0, "127.0.0.1");
    await once(closed, "listening");
    const port = portOf(closed);
    closed.close();
    await once(closed, "close");
    expect(await text(asking(port, accessToken))).toMatch(/^HTTP\/1\.1 502 [^]*port is not open/);
  });
});
