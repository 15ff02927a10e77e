import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { cancelled, notAborted } from "../../core/validate.ts";
import { nativeFile } from "../../images/native.ts";
import { type DiskPlace, engineArguments } from "./arguments.ts";
import { type Monitor, monitor } from "./qmp.ts";
import type { QemuProgram } from "./program.ts";
import type { MachineShape } from "./shape.ts";

export interface Saving {
  readonly engine: QemuProgram;
  readonly jail: string;
  readonly shape: MachineShape;
  /** Belongs to the user and group of this number, as whom the engine runs. */
  readonly directory: string;
  readonly hostId: number;
  readonly groups: readonly number[];
  readonly signal: AbortSignal | undefined;
  /** How long the machine has to boot. Milliseconds. */
  readonly patienceMs: number;
}

const run = promisify(execFile);
const environment = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
const longestWord = 4096;
const migration = z.object({ status: z.string(), "error-desc": z.string().optional() });

/**
 * Boots a machine without disks of anybody's and writes its memory and devices to `memory` and `devices` of the directory.
 *
 * It runs the pinned kernel and our agent, nothing else. Returns the rate of the processor's clock that the kernel was told.
 */
export async function saveState(saving: Saving): Promise<number> {
  const { shape, directory, hostId, signal } = saving;
  notAborted(signal);
  const tscKhz = shape.accelerator === "tcg" ? await clockRate() : 0;
  for (const name of ["memory", "devices", ...diskNames])
    await (await open(join(directory, name), "wx", 0o600)).close();
  const sizes = { memory: shape.memoryMiB * 1_048_576, devices: 0 };
  for (const [name, size] of Object.entries(sizes))
    await prepare(join(directory, name), size, hostId);
  for (const name of diskNames) await prepare(join(directory, name), 1_048_576, hostId);
  const child = start(saving, tscKhz);
  const kill = (): boolean => child.kill("SIGKILL");
  signal?.addEventListener("abort", kill, { once: true });
  const ended = once(child, "close");
  try {
    await saved(child, saving);
  } catch (error) {
    if (signal?.aborted === true) throw cancelled(signal);
    throw error;
  } finally {
    signal?.removeEventListener("abort", kill);
    kill();
    await ended;
  }
  return tscKhz;
}

/** Disks of the names that machines have, which nobody reads. */
const diskNames = ["guest", "template", "disk"];

async function prepare(path: string, size: number, owner: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.truncate(size);
    await file.chown(owner, owner);
  } finally {
    await file.close();
  }
}

/** How fast the processor's clock goes. Thousands of cycles a second. */
async function clockRate(): Promise<number> {
  const { stdout } = await run(nativeFile("supervisor"), ["cycles"], { env: {}, cwd: "/" });
  return Number(stdout);
}

/** In namespaces of its own, as nobody, and ended with this process. */
function start(saving: Saving, tscKhz: number): ChildProcess {
  const { engine, jail, shape, directory, hostId, groups } = saving;
  const disks: readonly DiskPlace[] = diskNames.map((serial) => ({
    serial,
    path: join(directory, serial),
    writable: serial === "disk",
  }));
  const places = {
    firmware: join(jail, "firmware"),
    vmlinux: shape.vmlinux.path,
    initramfs: shape.initramfs.path,
    memory: { path: join(directory, "memory"), writable: true },
    tscKhz,
    disks,
  };
  const identity = [
    ["--pdeathsig", "KILL", "--reuid", String(hostId), "--regid", String(hostId)],
    [
      "--no-new-privs",
      ...(groups.length === 0 ? ["--clear-groups"] : ["--groups", groups.join(",")]),
    ],
  ].flat();
  const words = [
    ["--pdeathsig", "KILL", "unshare", "--net", "--ipc", "--uts", "setpriv", ...identity],
    engineArguments(engine.path, shape, places),
    ["-chardev", "socket,id=monitor,fd=4", "-mon", "chardev=monitor,mode=control"],
  ].flat();
  return spawn("setpriv", words, {
    env: environment,
    cwd: "/",
    stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
  });
}

async function saved(
  child: ChildProcess,
  { directory, patienceMs, signal }: Saving,
): Promise<void> {
  const said = complaints(child);
  const [agent, control] = [child.stdio[3], child.stdio[4]];
  if (!(agent instanceof Socket) || !(control instanceof Socket))
    throw new SandboxError("internal", "QEMU could not be started");
  agent.on("error", () => undefined);
  const over = new AbortController();
  try {
    const gone = once(child, "close", { signal: over.signal }).then(() => {
      throw new SandboxError("unavailable", `QEMU ended before the machine had booted: ${said()}`, {
        mend: "see cofferdam doctor",
      });
    });
    gone.catch(() => undefined);
    const late = sleep(patienceMs, undefined, { signal: over.signal }).then(() => {
      throw new SandboxError("timed-out", `a machine did not boot within ${patienceMs} ms`);
    });
    late.catch(() => undefined);
    await Promise.race([waits(agent), gone, late]);
    await Promise.race([write(await monitor(control), directory), gone, late]);
    notAborted(signal);
  } finally {
    over.abort();
  }
}

/** Resolves when the agent has said its first word, which is that it waits. */
function waits(agent: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let held = "";
    agent.on("data", (chunk: Buffer) => {
      held = (held + chunk.toString("latin1")).slice(-longestWord);
      if (held.includes('"waiting"')) resolve();
      else if (held.includes('"failed"'))
        reject(new SandboxError("internal", `the machine could not boot: ${plain(held)}`));
    });
  });
}

async function write(control: Monitor, directory: string): Promise<void> {
  const capabilities = [{ capability: "x-ignore-shared", state: true }];
  await control.ask("migrate-set-capabilities", { capabilities });
  await control.ask("migrate", { uri: `file:${join(directory, "devices")}` });
  for (;;) {
    const { status, ...rest } = migration.parse(await control.ask("query-migrate"));
    if (status === "completed") return;
    if (status === "failed" || status === "cancelled")
      throw new SandboxError("internal", `QEMU could not save it: ${rest["error-desc"] ?? status}`);
    await sleep(5);
  }
}

/** The last of what the engine writes about itself. */
function complaints(child: ChildProcess): () => string {
  let held = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    held = (held + chunk.toString("latin1")).slice(-longestWord);
  });
  return () => plain(held);
}

function plain(text: string): string {
  return text
    .replace(/[^\x20-\x7e]+/g, " ")
    .trim()
    .slice(-500);
}
