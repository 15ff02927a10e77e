import { constants } from "node:fs";
import { access, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { readJson } from "../local/facts.ts";

const device = "/dev/kvm";
const noteSchema = z.object({ key: z.string(), reason: z.string() });

/** Throws `unavailable` where there is no KVM, `denied` where it may not be used. That a guest runs, only one that is started shows. */
export async function requireKvm(): Promise<void> {
  if ((await stat(device).catch(() => undefined)) === undefined)
    throw new SandboxError("unavailable", `there is no ${device}`, {
      mend: "use a machine with hardware virtualisation, and load kvm_intel or kvm_amd",
    });
  try {
    await access(device, constants.R_OK | constants.W_OK);
  } catch (cause) {
    throw new SandboxError("denied", `no permission on ${device}`, {
      mend: `let root read and write ${device}`,
      cause,
    });
  }
}

/**
 * Runs what boots a first guest. Where KVM opens and a guest never gets anywhere, that is noted until the host boots again or the
 * programs are others, so that nobody waits for it twice. Throws `unavailable` then.
 */
export async function withGuests<T>(
  stateDir: string,
  programs: string,
  boot: () => Promise<T>,
): Promise<T> {
  const file = join(stateDir, "engines", "firecracker-kvm.json");
  const key = [programs, release(), await bootId()].join(" ");
  const known = noteSchema.safeParse(await readJson(file)).data;
  if (known?.key === key) throw runsNone(known.reason);
  try {
    return await boot();
  } catch (cause) {
    const error = SandboxError.from(cause);
    if (error.code !== "timed-out") throw error;
    await mkdir(join(stateDir, "engines"), { recursive: true, mode: 0o711 });
    await writeFile(file, JSON.stringify({ key, reason: error.message }), { mode: 0o600 });
    throw runsNone(error.message, cause);
  }
}

/** What helps where KVM is there and runs no guest. */
export const otherHost =
  "use a host whose KVM runs ordinary guests (nested virtualisation is often off), or npm run lab";

function runsNone(reason: string, cause?: unknown): SandboxError {
  const message = `${device} runs no ordinary guest here: ${reason}`;
  return new SandboxError("unavailable", message, { mend: otherHost, cause });
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}
