import { randomBytes } from "node:crypto";
import { basename } from "node:path";
import { SandboxError } from "../../core/errors.ts";
import { guestLayer } from "../../images/guest-layer.ts";
import { archiveOf } from "./archive.ts";
import { stateName } from "./container.ts";
import type { Engine } from "./engine.ts";
import { askEngine, tellEngine } from "./http.ts";
import { makerNote } from "../local/maker.ts";
import { guestPlace } from "./places.ts";

/** Volumes that are known to be whole, by Engine and name, for as long as this process lives. */
const known: Map<string, Promise<string>> = new Map();

/**
 * The volume that holds the agent and the kernels, read-only in every machine and shared by all, so that any image will do.
 *
 * It is filled through the Engine, which may have another file system than this host. Its name says what it holds.
 */
export async function guestVolume(
  engine: Engine,
  stateDir: string,
  image: string,
): Promise<string> {
  const layer = await guestLayer(stateDir);
  const name = `cofferdam-guest-${basename(layer).slice(0, 32)}`;
  const key = `${engine.socket} ${name}`;
  const earlier = known.get(key);
  if (earlier !== undefined && (await isThere(engine, name))) return earlier;
  const filled = fill(engine, { stateDir, name, layer, image });
  known.set(key, filled);
  filled.catch(() => known.delete(key));
  return filled;
}

async function isThere(engine: Engine, name: string): Promise<boolean> {
  return (await askEngine(engine, { method: "GET", path: `/volumes/${name}` })).status === 200;
}

interface Filling {
  readonly stateDir: string;
  readonly name: string;
  readonly layer: string;
  /** Any image: nothing of it runs. */
  readonly image: string;
}

/**
 * Fills it by way of a container that is never started. What is written is what is there already where another process was
 * quicker, and the mark that it is whole comes last.
 */
async function fill(engine: Engine, { stateDir, name, layer, image }: Filling): Promise<string> {
  await tellEngine(engine, {
    method: "POST",
    path: "/volumes/create",
    body: { Name: name, Labels: { "cofferdam.guest": basename(layer) } },
  });
  const carrier = `cofferdam-filling-${randomBytes(8).toString("hex")}`;
  await tellEngine(engine, {
    method: "POST",
    path: "/containers/create",
    query: { name: carrier },
    body: {
      Image: image,
      Entrypoint: ["/nothing"],
      Labels: {
        "cofferdam.filling": name,
        "cofferdam.maker": makerNote(),
        "cofferdam.state": stateName(stateDir),
        // It is no machine, whatever the image's own label says, which it would inherit.
        "cofferdam.machine": "",
      },
      NetworkDisabled: true,
      HostConfig: {
        NetworkMode: "none",
        Mounts: [
          { Type: "volume", Source: name, Target: guestPlace, VolumeOptions: { NoCopy: true } },
        ],
      },
    },
  });
  try {
    if (!(await holds(engine, carrier, markOf(layer)))) await copy(engine, carrier, layer);
    return name;
  } finally {
    await tellEngine(engine, {
      method: "DELETE",
      path: `/containers/${carrier}`,
      query: { force: "1" },
    });
  }
}

async function copy(engine: Engine, carrier: string, layer: string): Promise<void> {
  const put = { method: "PUT", path: `/containers/${carrier}/archive` } as const;
  const query = { path: guestPlace };
  const directory = `${layer}${guestPlace}`;
  await tellEngine(engine, { ...put, query, archive: archiveOf({ directory, names: ["."] }) });
  const mark = archiveOf({ directory, names: ["kernels/bash"], prefix: markOf(layer) });
  await tellEngine(engine, { ...put, query, archive: mark });
  if (!(await holds(engine, carrier, markOf(layer))))
    throw new SandboxError("internal", "the Engine did not keep the agent");
}

function markOf(layer: string): string {
  return `whole-${basename(layer).slice(0, 16)}`;
}

async function holds(engine: Engine, carrier: string, name: string): Promise<boolean> {
  const path = `/containers/${carrier}/archive`;
  const query = { path: `${guestPlace}/${name}` };
  return (await askEngine(engine, { method: "HEAD", path, query })).status === 200;
}
