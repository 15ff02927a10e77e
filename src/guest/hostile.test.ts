import * as fc from "fast-check";
import { mkdtemp, rm } from "node:fs/promises";
import { type Server, type Socket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Machine } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import { dialSocket } from "./access.ts";
import { agentMachine } from "./machine.ts";

/** The supervisor's answer to its owner's first question. */
const owned = '{"id":1,"ok":true}\n';

/** A machine's socket behind which somebody answers each request with bytes of their choice, in pieces of theirs. */
class HostileMachine {
  answer: readonly Uint8Array[] = [];
  readonly #sockets: Set<Socket> = new Set();
  readonly #server: Server = createServer((socket) => this.#serve(socket));

  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(path, resolve);
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let begun = false;
    socket.on("data", (chunk) => {
      if (begun) return;
      begun = true;
      if (chunk.toString("latin1").startsWith("CONTROL")) {
        socket.write(owned);
        return;
      }
      for (const piece of this.answer) socket.write(piece);
      socket.end();
    });
  }
}

const calls: Readonly<Record<string, (machine: Machine) => Promise<unknown>>> = {
  "spawn and read all": async (machine) => {
    const process = await machine.spawn({ argv: ["true"] });
    for await (const { bytes } of process.output) if (bytes.length < 0) break;
    return process.end;
  },
  processes: (machine) => machine.processes(),
  "read a file": async (machine) => (await machine.files.read("/x")).bytes(),
  "read a stream": async (machine) => {
    for await (const chunk of (await machine.files.read("/x")).stream())
      if (chunk.length < 0) break;
  },
  "write a file": (machine) => machine.files.write("/x", Buffer.from("x")),
  list: (machine) => machine.files.list("/"),
  watch: async (machine) => {
    const watch = await machine.files.watch("/");
    for await (const event of watch.events) if (event.name === "never") break;
  },
  "run code": async (machine) => {
    for await (const event of machine.code?.run({ code: "1" }) ?? [])
      if (event.type === "stdout") continue;
  },
  contexts: async (machine) => machine.code?.list(),
};

/** Answers that reach deep: good heads before bad bodies. */
const heads = fc.constantFrom(
  "",
  "HTTP/1.1 200 OK\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nContent-Length: 30\r\n\r\n",
  "HTTP/1.1 206 Partial\r\nContent-Length: 999999999999999\r\n\r\n",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
  "HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\n",
  "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\0\0\0\0\x02{}",
  'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\0\0\0\0\x1d{"event":{"start":{"pid":17}}}',
  'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"type":"stdout","text":"x"}\n',
  'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[{"id":"a","language":"cobol","cwd":"/"}]',
);
const answers = fc
  .tuple(heads, fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }))
  .map(([head, body]) => [Buffer.from(head, "latin1"), ...body]);

describe("a machine whose bytes are hostile", () => {
  const hostile = new HostileMachine();
  let directory = "";
  let machine: Machine;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "hostile-"));
    const path = join(directory, "machine.sock");
    await hostile.listen(path);
    machine = await agentMachine({
      id: "iaaaaaaaaaaaaaaaaaaaa",
      driver: "none",
      template: "none",
      metadata: {},
      resources: { cpus: 1, memoryMiB: 64, diskMiB: 64, pids: 64, openFiles: 64 },
      own: true,
      code: true,
      keeps: [],
      givesMemoryBack: false,
      dial: dialSocket(path),
      reach: undefined,
      patienceMs: 0,
    });
  });

  afterAll(async () => {
    hostile.close();
    await rm(directory, { recursive: true });
  });

  test.each(Object.entries(calls))("%s ends, with a result or a typed error", async (_, call) => {
    await fc.assert(
      fc.asyncProperty(answers, async (answer) => {
        hostile.answer = answer;
        const outcome = await call(machine).catch((cause: unknown) => cause);
        expect(outcome instanceof Error && !(outcome instanceof SandboxError)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });
});
