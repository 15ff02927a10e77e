import { constants } from "node:fs";
import { access, readFile, stat, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { readJson } from "../local/facts.ts";
import type { Accelerator } from "./shape.ts";

/** What runs the machine's processors on this host, and why it is no faster one. */
export interface Acceleration {
  readonly accelerator: Accelerator;
  readonly reason: string;
  readonly groups: readonly number[];
}

/** How long an ordinary guest may take to boot before KVM counts as one that runs none. Milliseconds. */
export const kvmPatienceMs = 15_000;

const device = "/dev/kvm";
const noteSchema = z.object({ key: z.string(), runs: z.boolean(), reason: z.string() });

/**
 * KVM where it runs ordinary guests, which only a guest that is started shows: a device that opens may belong to a host that runs none.
 *
 * `tryGuest` boots one. What was found is kept until the host boots again or QEMU is another.
 */
export async function acceleration(
  stateDir: string,
  engine: string,
  tryGuest: (groups: readonly number[]) => Promise<void>,
): Promise<Acceleration> {
  const facts = await stat(device).catch(() => undefined);
  if (facts === undefined) return emulated(`there is no ${device}`);
  try {
    await access(device, constants.R_OK | constants.W_OK);
  } catch {
    return emulated(`no permission on ${device}`);
  }
  const groups = [facts.gid];
  const file = join(stateDir, "engines", "kvm.json");
  const key = [engine, release(), await bootId()].join(" ");
  const known = noteSchema.safeParse(await readJson(file)).data;
  const note = known?.key === key ? known : await tried(file, key, () => tryGuest(groups));
  return note.runs ? { accelerator: "kvm", reason: "", groups } : emulated(note.reason);
}

function emulated(reason: string): Acceleration {
  return { accelerator: "tcg", reason, groups: [] };
}

async function tried(
  file: string,
  key: string,
  tryGuest: () => Promise<void>,
): Promise<z.infer<typeof noteSchema>> {
  let note = { key, runs: true, reason: "" };
  try {
    await tryGuest();
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.code !== "timed-out" && error.code !== "unavailable") throw error;
    note = { key, runs: false, reason: `${device} runs no ordinary guest: ${error.message}` };
  }
  await writeFile(file, JSON.stringify(note), { mode: 0o600 });
  return note;
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}
