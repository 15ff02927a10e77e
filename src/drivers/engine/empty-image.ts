import { PassThrough } from "node:stream";
import { z } from "zod";
import { type Engine, read } from "./engine.ts";
import { askEngine, tellEngine } from "./http.ts";
import type { EngineImage } from "./images.ts";

const name = "cofferdam/empty:1";
const imageSchema = z.object({ Id: z.string() });
const blockBytes = 512;

/** An image that holds nothing but an empty directory: for probes, which need the agent alone. */
export async function emptyImage(engine: Engine): Promise<EngineImage> {
  const made = (await find(engine)) ?? (await make(engine));
  return { id: made, defaultUser: "root", workdir: "/", envs: {}, warm: [] };
}

async function find(engine: Engine): Promise<string | undefined> {
  const { status, text } = await askEngine(engine, { method: "GET", path: `/images/${name}/json` });
  return status === 200 ? read(imageSchema, text).Id : undefined;
}

async function make(engine: Engine): Promise<string> {
  const archive = new PassThrough();
  archive.end(Buffer.concat([directoryHead("empty/"), Buffer.alloc(2 * blockBytes)]));
  const [repo = "", tag = ""] = name.split(":");
  await tellEngine(engine, {
    method: "POST",
    path: "/images/create",
    query: { fromSrc: "-", repo, tag },
    archive,
  });
  return read(
    imageSchema,
    await tellEngine(engine, { method: "GET", path: `/images/${name}/json` }),
  ).Id;
}

/** The head of a directory in a tar archive (POSIX.1-1988). */
function directoryHead(path: string): Buffer {
  const head = Buffer.alloc(blockBytes);
  head.write(path, 0);
  head.write("0000755\0", 100);
  for (const [at, bytes] of [
    [108, 8],
    [116, 8],
    [124, 12],
    [136, 12],
  ] as const)
    head.write(`${"0".repeat(bytes - 1)}\0`, at);
  head.write("        5", 148);
  head.write("ustar\u000000", 257);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return head;
}
