import { type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import { z } from "zod";
import { clock } from "../bench/clock.ts";
import type { RawContainer, RawService } from "../bench/raw-runtime.ts";
import { SandboxError } from "../core/errors.ts";
import { engineSocket } from "../drivers/engine/address.ts";
import { type Engine, connectEngine, read } from "../drivers/engine/engine.ts";
import { askEngine, tellEngine } from "../drivers/engine/http.ts";
import { engineRefusal } from "../drivers/engine/refusals.ts";

const made = z.object({ Id: z.string() });
const images = z.array(z.object({ Id: z.string() }));

/** An Engine without us, with the images that the driver has given it; `undefined` where there is none. */
export async function rawEngine(): Promise<RawService | undefined> {
  const engine = await found();
  if (engine === undefined) return undefined;
  return {
    name: "docker run",
    version: engine.title,
    run: async (template, argv) => {
      const image = await imageOf(engine, template);
      const startedAtMs = clock();
      const container = await start(engine, image, argv);
      const firstByteAtMs = await container.firstByteAtMs;
      await container.ended;
      return firstByteAtMs - startedAtMs;
    },
    container: async (template, argv) => {
      const started = await start(engine, await imageOf(engine, template), argv);
      await started.firstByteAtMs;
      return lasting(engine, started);
    },
  };
}

async function found(): Promise<Engine | undefined> {
  try {
    return await connectEngine(engineSocket(undefined, process.env));
  } catch (cause) {
    if (SandboxError.from(cause).code === "unavailable") return undefined;
    throw cause;
  }
}

interface Started {
  readonly id: string;
  readonly stream: Socket;
  readonly firstByteAtMs: Promise<number>;
  /** Resolves when the Engine has closed its output. */
  readonly ended: Promise<void>;
}

/** The least that an Engine can be asked for: `docker run --rm --log-driver none`, without even a network that is none. */
async function start(engine: Engine, Image: string, argv: readonly string[]): Promise<Started> {
  const body = {
    Image,
    Cmd: argv,
    NetworkDisabled: true,
    OpenStdin: true,
    StdinOnce: true,
    HostConfig: { NetworkMode: "none", AutoRemove: true, LogConfig: { Type: "none" } },
  };
  const call = { method: "POST", path: "/containers/create", body } as const;
  const { Id: id } = read(made, await tellEngine(engine, call));
  const stream = await joined(
    engine,
    `/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`,
  );
  const firstByteAtMs = new Promise<number>((resolve, reject) => {
    stream.once("data", () => resolve(clock()));
    stream.once("close", () => reject(new SandboxError("lost", "the container said nothing")));
  });
  firstByteAtMs.catch(() => undefined);
  const ended = new Promise<void>((resolve) => {
    stream.once("close", () => resolve());
  });
  await tellEngine(engine, { method: "POST", path: `/containers/${id}/start` });
  return { id, stream, firstByteAtMs, ended };
}

/** The image that the driver has made of the template last. */
async function imageOf(engine: Engine, template: string): Promise<string> {
  const filters = JSON.stringify({ label: [`cofferdam.template=${template}`] });
  const query = { filters };
  const text = await tellEngine(engine, { method: "GET", path: "/images/json", query });
  const [latest] = read(images, text);
  if (latest !== undefined) return latest.Id;
  throw new SandboxError("not-found", `the Engine has no image of the template ${template} yet`);
}

function joined(engine: Engine, path: string, body?: unknown): Promise<Socket> {
  const json = body === undefined ? "" : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const asked = request({
      socketPath: engine.socket,
      method: "POST",
      path: `${engine.api}${path}`,
      headers: {
        host: "engine",
        connection: "Upgrade",
        upgrade: "tcp",
        "content-type": "application/json",
        "content-length": Buffer.byteLength(json),
      },
    });
    asked.once("upgrade", (_: IncomingMessage, socket: Socket, head: Buffer) => {
      if (head.length > 0) socket.unshift(head);
      socket.on("error", () => socket.destroy());
      resolve(socket);
    });
    asked.once("response", ({ statusCode = 0 }) => reject(engineRefusal(statusCode, "")));
    asked.once("error", reject);
    asked.end(json);
  });
}

function lasting(engine: Engine, { id, stream, ended }: Started): RawContainer {
  let ending: Promise<number> | undefined;
  const end = (): Promise<number> => (ending ??= endContainer(engine, id, ended));
  return {
    id,
    exec: (argv) => exec(engine, id, argv),
    ask: (line) =>
      new Promise((resolve, reject) => {
        const startedAtMs = clock();
        stream.once("data", () => resolve(clock() - startedAtMs));
        stream.once("close", () => reject(new SandboxError("lost", "the container has ended")));
        stream.write(`${line}\n`);
      }),
    end,
    async [Symbol.asyncDispose]() {
      await end();
    },
  };
}

async function exec(engine: Engine, id: string, argv: readonly string[]): Promise<number> {
  const startedAtMs = clock();
  const body = { Cmd: argv, AttachStdout: true, AttachStderr: true };
  const call = { method: "POST", path: `/containers/${id}/exec`, body } as const;
  const { Id } = read(made, await tellEngine(engine, call));
  const stream = await joined(engine, `/exec/${Id}/start`, { Detach: false, Tty: false });
  await new Promise<void>((resolve) => {
    stream.resume().once("close", () => resolve());
  });
  return clock() - startedAtMs;
}

async function endContainer(engine: Engine, id: string, ended: Promise<void>): Promise<number> {
  const startedAtMs = clock();
  const call = { method: "DELETE", path: `/containers/${id}`, query: { force: "1" } } as const;
  await askEngine(engine, call);
  await ended;
  while (
    (await askEngine(engine, { method: "GET", path: `/containers/${id}/json` })).status === 200
  );
  return clock() - startedAtMs;
}
