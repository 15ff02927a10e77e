import { EventEmitter, once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, hostOf, program } from "./data-programs.ts";
import {
  type Guest,
  type Rig,
  agent,
  guest as guestOf,
  to,
  raw,
  rig,
  until,
  answerOf,
  nextBytes,
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

describe("bodies", () => {
  test("are streamed both ways at the same time", async () => {
    await using own = await program((incoming, outgoing) => void incoming.pipe(outgoing));
    const sent = request({
      host: "127.0.0.1",
      port: server.port,
      method: "POST",
      headers: { host: hostOf(own.port) },
    });
    sent.write("first");
    const answer = await answerOf(sent);
    for (const word of ["first", "second", "third"]) {
      const bytes = await nextBytes(answer);
      expect(bytes.toString()).toBe(word);
      if (word === "first") sent.write("second");
      if (word === "second") sent.write("third");
    }
    sent.end();
    await once(answer, "end");
  });

  test("carry trailers both ways", async () => {
    await using own = await program((incoming, outgoing) => {
      incoming.resume().on("end", () => {
        outgoing.writeHead(200, { trailer: "x-sum" });
        outgoing.write("body");
        outgoing.addTrailers({ "x-sum": `of ${incoming.trailers["x-digest"]}` });
        outgoing.end();
      });
    });
    const sent = request({
      host: "127.0.0.1",
      port: server.port,
      method: "POST",
      headers: { host: hostOf(own.port), trailer: "x-digest" },
    });
    sent.write("some");
    sent.addTrailers({ "x-digest": "123" });
    sent.end();
    const answer = await answerOf(sent);
    expect(await text(answer)).toBe("body");
    expect(answer.trailers).toEqual({ "x-sum": "of 123" });
  });

  test("wait for a program that is to say whether it wants them", async () => {
    await using own = await program((_, outgoing) => void outgoing.end("never"));
    const seen: string[] = [];
    own.server.on("checkContinue", (incoming: IncomingMessage, outgoing) => {
      seen.push("asked");
      if (incoming.url === "/no") {
        outgoing.writeHead(413, { connection: "close" }).end("too much");
        return;
      }
      outgoing.writeContinue();
      incoming.resume().on("end", () => outgoing.end("taken"));
    });
    const upload = (path: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const sent = request({
          host: "127.0.0.1",
          port: server.port,
          method: "POST",
          path,
          headers: { host: hostOf(own.port), expect: "100-continue", "content-length": 4 },
        });
        sent.on("continue", () => void sent.end("body"));
        sent.on("response", (answer) => {
          text(answer).then((said) => resolve(`${answer.statusCode} ${said}`), reject);
        });
        sent.on("error", reject);
      });
    expect(await upload("/yes")).toBe("200 taken");
    expect(await upload("/no")).toBe("413 too much");
    expect(seen).toEqual(["asked", "asked"]);
  });

  test("that a program does not wait for, and hangs up on, do not cost its answer", async () => {
    await using hasty = await guestOf((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 413 X\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much");
        socket.destroy();
      });
    });
    await using rigged = await rig(hasty.path);
    for (let turn = 0; turn < 20; turn += 1) {
      const headers = { ...to(49_983), "content-length": String(8 * 2 ** 20) };
      const sent = request(rigged.url, { method: "POST", headers });
      sent.on("error", () => sent.destroy());
      sent.end(Buffer.alloc(8 * 2 ** 20));
      const answer = await answerOf(sent);
      expect([answer.statusCode, await text(answer)]).toEqual([413, "too much"]);
    }
  });

  test("of server-sent events come one by one, and end when the client goes away", async () => {
    let gone = false;
    const events = new EventEmitter();
    await using own = await program((incoming, outgoing) => {
      outgoing.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      events.on("event", (event: string) => void outgoing.write(`data: ${event}\n\n`));
      incoming.on("close", () => void (gone = true));
    });
    const answer = await ask(server, own.port);
    for (const event of ["one", "two"]) {
      events.emit("event", event);
      const bytes = await nextBytes(answer);
      expect(bytes.toString()).toBe(`data: ${event}\n\n`);
    }
    answer.destroy();
    await until(() => gone, "the program notices");
    await until(() => server.uses.now === 0, "the use is over");
  });

  test("that nobody reads stop their maker", async () => {
    let written = 0;
    await using own = await program((_, outgoing) => {
      const more = (): void => {
        while (outgoing.write(Buffer.alloc(65_536))) written += 65_536;
        written += 65_536;
      };
      outgoing.on("drain", more);
      more();
    });
    const answer = await ask(server, own.port);
    answer.pause();
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolve) => void setTimeout(resolve, 300));
    }
    expect(written / 2 ** 20, "MiB under way").toBeLessThan(32);
    answer.destroy();
  });

  test("whose maker breaks off are broken off", async () => {
    await using own = await program((_, outgoing) => {
      outgoing.write("part");
      setTimeout(() => outgoing.destroy(), 50);
    });
    const answer = await ask(server, own.port);
    await expect(text(answer)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  test("are without chunks for a client of HTTP/1.0", async () => {
    await using own = await program((_, outgoing) => {
      outgoing.write("one ");
      outgoing.end("two");
    });
    const said = await raw(server.port, `GET / HTTP/1.0\r\nHost: ${hostOf(own.port)}\r\n\r\n`);
    expect(said).toMatch(/\r\n\r\none two$/);
    expect(said).not.toMatch(/transfer-encoding/i);
  });
});
