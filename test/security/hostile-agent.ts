import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dialSocket } from "../../src/guest/access.ts";
import { agentMachine } from "../../src/guest/machine.ts";
import type { Machine } from "../../src/core/driver.ts";

/** What a guest that owns its agent says on a connection whose request has arrived. */
export type Malice = (socket: Socket, request: string) => void;

/** A machine whose supervisor is honest and whose agent is not. */
export interface HostileMachine extends AsyncDisposable {
  readonly machine: Machine;
}

const supervisorInfo = {
  state: "running",
  startedAt: "2030-01-01T00:00:00.000Z",
  endAt: "2030-01-01T01:00:00.000Z",
  idleTimeoutMs: 0,
  detached: false,
  agentVersion: "0",
  protocolVersion: "0",
  supervisorPid: 1,
};

function answerControl(socket: Socket, text: string): void {
  for (const line of text.split("\n").filter((each) => each.startsWith("{"))) {
    const { id, op }: { id: number; op: string } = JSON.parse(line);
    if (id !== 0) socket.write(`${JSON.stringify({ id, ok: true, info: supervisorInfo })}\n`);
    if (op === "kill") socket.end('{"event":"ended","reason":"killed"}\n');
  }
}

/** Serves one machine on a socket of its own; every connection to the agent gets the malice. */
export async function hostileMachine(malice: Malice): Promise<HostileMachine> {
  const directory = await mkdtemp(join(tmpdir(), "hostile-"));
  const path = join(directory, "machine.sock");
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let control = false;
    let played = false;
    let seen = "";
    socket.on("data", (bytes) => {
      const text = bytes.toString("latin1");
      if (seen === "" && text.startsWith("CONTROL\n")) control = true;
      if (control) return answerControl(socket, text);
      seen = (seen + text).slice(0, 65_536);
      if (played || !(seen.includes("\r\n\r\n") || seen.startsWith("PORT"))) return;
      played = true;
      malice(socket, seen);
    });
  });
  server.listen(path);
  await once(server, "listening");
  const machine = await agentMachine({
    id: "iaaaaaaaaaaaaaaaaaaaa",
    driver: "hostile",
    template: "base",
    metadata: {},
    resources: { cpus: 1, memoryMiB: 64, diskMiB: 64, pids: 64, openFiles: 64 },
    own: true,
    code: true,
    keeps: [],
    givesMemoryBack: false,
    dial: dialSocket(path),
    reach: undefined,
  });
  return {
    machine,
    async [Symbol.asyncDispose]() {
      await machine[Symbol.asyncDispose]();
      for (const socket of sockets) socket.destroy();
      server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Writes the same bytes again and again, as fast as they are taken, until the other side goes away. */
function flood(socket: Socket, bytes: string | Buffer): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on("drain", more);
  more();
}

function head(type: string, more: readonly string[] = []): string {
  return [
    "HTTP/1.1 200 OK",
    `Content-Type: ${type}`,
    "Transfer-Encoding: chunked",
    ...more,
    "",
    "",
  ].join("\r\n");
}

function chunk(bytes: string | Buffer): Buffer {
  const body = Buffer.from(bytes);
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from("\r\n")]);
}

function envelope(
  payload: string | Buffer,
  { flags = 0, length }: { flags?: number; length?: number } = {},
): Buffer {
  const body = Buffer.from(payload);
  const start = Buffer.alloc(5);
  start.writeUInt8(flags, 0);
  start.writeUInt32BE(length ?? body.length, 1);
  return Buffer.concat([start, body]);
}

/** A whole JSON answer to a unary call. */
function jsonAnswer(text: string, status = 200): string {
  return `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

const started = envelope('{"event":{"start":{"pid":7}}}');

/** An answer that is right in form for what was asked, holding the given JSON values as its messages. */
function answerWith(request: string, messages: readonly string[]): Buffer {
  if (/connect\+json/.test(request)) {
    const stream = messages.map((each) => chunk(envelope(each)));
    return Buffer.concat([
      Buffer.from(head("application/connect+json")),
      ...stream,
      chunk(envelope("{}", { flags: 2 })),
      chunk(""),
    ]);
  }
  if (request.includes("/execute"))
    return Buffer.concat([
      Buffer.from(head("application/x-ndjson")),
      ...messages.map((each) => chunk(`${each}\n`)),
      chunk(""),
    ]);
  return Buffer.from(jsonAnswer(messages[0] ?? ""));
}

const say =
  (...messages: readonly string[]): Malice =>
  (socket, request) =>
    void socket.end(answerWith(request, messages));

/** Ways to answer that an honest agent does not have. */
export const malices: Readonly<Record<string, Malice>> = {
  "closes at once": (socket) => socket.destroy(),
  "says nothing and closes in order": (socket) => void socket.end(),
  "sends noise": (socket) => void socket.end(randomBytes(100_000)),
  "sends noise for ever": (socket) => flood(socket, randomBytes(65_536)),
  "sends an endless header": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nX: ");
    flood(socket, "a".repeat(65_536));
  },
  "sends headers without end": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\n");
    flood(socket, `X-${"h".repeat(100)}: v\r\n`.repeat(500));
  },
  "sends informational answers for ever": (socket) =>
    flood(socket, "HTTP/1.1 100 Continue\r\n\r\n".repeat(2000)),
  "redirects elsewhere": (socket) =>
    void socket.end(
      "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
    ),
  "switches protocols": (socket) =>
    void socket.end(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nnoise",
    ),
  "answers with the wrong length": (socket) =>
    void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
  "answers with an impossible length": (socket) =>
    void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx"),
  "answers with a negative length": (socket) =>
    void socket.end("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx"),
  "answers with two lengths": (socket) =>
    void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 3\r\n\r\nabcde"),
  "sends a broken chunk": (socket) =>
    void socket.end(`${head("application/connect+json")}zz\r\nx\r\n`),
  "sends chunk extensions for ever": (socket) => {
    socket.write(`${head("application/json")}1;`);
    flood(socket, "e".repeat(65_536));
  },
  "sends trailers for ever": (socket) => {
    socket.write(`${head("application/json")}0\r\n`);
    flood(socket, "T: t\r\n".repeat(5000));
  },
  "sends a body without end": (socket) => {
    socket.write(head("application/json"));
    flood(socket, chunk("[".repeat(65_536)));
  },
  "sends one line without end": (socket) => {
    socket.write(head("application/x-ndjson"));
    flood(socket, chunk(`"${"x".repeat(65_536)}`));
  },
  "announces a message of 4 GiB": (socket) => {
    socket.write(
      Buffer.concat([
        Buffer.from(head("application/connect+json")),
        chunk(envelope("x", { length: 0xffffffff })),
      ]),
    );
    flood(socket, chunk("x".repeat(65_536)));
  },
  "sends empty messages for ever": (socket) => {
    socket.write(Buffer.concat([Buffer.from(head("application/connect+json")), chunk(started)]));
    flood(
      socket,
      chunk(
        Buffer.concat(Array.from({ length: 1000 }, () => envelope('{"event":{"keepalive":{}}}'))),
      ),
    );
  },
  "starts a process and never says more": (socket) =>
    void socket.write(
      Buffer.concat([Buffer.from(head("application/connect+json")), chunk(started)]),
    ),
  "ends a stream without its end": (socket) =>
    void socket.end(
      Buffer.concat([Buffer.from(head("application/connect+json")), chunk(started), chunk("")]),
    ),
  "cuts a message in the middle": (socket) =>
    void socket.end(
      Buffer.concat([
        Buffer.from(head("application/connect+json")),
        chunk(started.subarray(0, 9)),
        chunk(""),
      ]),
    ),
  "claims a compressed body": (socket) =>
    void socket.end(
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n\u001f\u008b\u0008\u0000",
    ),
  "nests ten thousand arrays": say("[".repeat(10_000) + "]".repeat(10_000)),
  "nests a million objects": say('{"a":'.repeat(1_000_000)),
  "writes to the prototype": say(
    '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"event":{"__proto__":{"start":{"pid":1}}}}',
  ),
  "sends null": say("null"),
  "sends a number": say("1e999"),
  "sends text": say('"text"'),
  "sends nothing": say(""),
  "sends invalid UTF-8": (socket, request) =>
    void socket.end(answerWith(request, ["\u00ff\u00fe"])),
  "sends wrong types": say(
    '{"event":{"start":{"pid":"seven"}},"entries":{},"processes":7,"entry":[],"type":"result","text":5}',
  ),
  "sends impossible numbers": say(
    '{"event":{"start":{"pid":-1}},"entry":{"size":"-5","mode":1e308}}',
    '{"event":{"end":{"exitCode":1e99}}}',
  ),
  "sends an error of an unknown code with escapes": (socket) =>
    void socket.end(
      jsonAnswer(
        '{"code":"\\u001b[31mroot","message":"\\u001b]0;owned\\u0007\\u0000\\u202e"}',
        500,
      ),
    ),
  "sends an error of 100 MB": (socket) => {
    socket.write(
      "HTTP/1.1 500 X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    flood(socket, chunk("e".repeat(65_536)));
  },
  "answers after the end": (socket) =>
    void socket.end(
      Buffer.concat([
        Buffer.from(head("application/connect+json")),
        chunk(started),
        chunk(envelope('{"event":{"end":{"exitCode":0,"exited":true}}}')),
        chunk(envelope("{}", { flags: 2 })),
        chunk(envelope('{"event":{"data":{"stdout":"bGF0ZQ=="}}}')),
        chunk(""),
      ]),
    ),
};
