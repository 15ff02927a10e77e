import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, copyFile, link, mkdir, open, rename } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SandboxError } from "../../core/errors.ts";
import { cancelled, notAborted } from "../../core/validate.ts";
import { systemCode } from "../../images/file-errors.ts";
import { engineApi } from "./api.ts";
import { type MachineShape, agentPort, bootCalls, disks, saveCalls, socketName } from "./calls.ts";
import { apiSocket, jailRoot, jailerCommand } from "./jail.ts";
import { otherHost } from "./kvm.ts";
import type { Programs } from "./programs.ts";

export interface Saving {
  readonly programs: Programs;
  readonly shape: MachineShape;
  /** Files that Firecracker finds, by their names. */
  readonly files: Readonly<Record<string, string>>;
  /** Where the jail is made, and `memory` and `devices` are put. Its own directory. */
  readonly directory: string;
  readonly hostId: number;
  readonly signal: AbortSignal | undefined;
  /** How long the machine has to boot. Milliseconds. */
  readonly patienceMs: number;
}

const environment = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
const longestWord = 4096;
const pauseMs = 5;
/** How long the agent has to come back to where it waits, after it was found there. Milliseconds. */
const settleMs = 100;
const emptyDiskBytes = 1_048_576;

/**
 * Boots a machine without disks of anybody's and writes its memory and devices to the directory.
 *
 * It runs the pinned kernel and our agent, nothing else. Throws `timed-out` or `unavailable` where no guest runs here.
 */
export async function saveState(saving: Saving): Promise<void> {
  const { programs, directory, patienceMs, signal } = saving;
  const root = join(directory, jailRoot(programs));
  await layOut(root, saving);
  const late = AbortSignal.timeout(patienceMs);
  const child = start(saving);
  const kill = (): boolean => child.kill("SIGKILL");
  const ended = once(child, "close");
  const over = new AbortController();
  const either = AbortSignal.any([late, over.signal, ...(signal === undefined ? [] : [signal])]);
  either.addEventListener("abort", kill, { once: true });
  const said = complaints(child);
  try {
    await Promise.race([boot(root, saving, either), failure(ended, said)]);
  } catch (error) {
    if (signal?.aborted === true) throw cancelled(signal);
    if (late.aborted)
      throw new SandboxError("timed-out", `a machine did not boot within ${patienceMs} ms`);
    throw error;
  } finally {
    over.abort();
    kill();
    await ended;
  }
  for (const name of ["memory", "devices"]) await rename(join(root, name), join(directory, name));
}

async function failure(ended: Promise<unknown>, said: () => string): Promise<never> {
  await ended;
  throw new SandboxError(
    "unavailable",
    `Firecracker ended before a machine had booted: ${said()}`,
    {
      mend: otherHost,
    },
  );
}

async function boot(root: string, { shape }: Saving, signal: AbortSignal): Promise<void> {
  using api = await engineApi(join(root, apiSocket), signal);
  for (const call of bootCalls(shape)) await api.ask(call);
  while (!(await listens(join(root, socketName)))) {
    notAborted(signal);
    await sleep(pauseMs);
  }
  await sleep(settleMs);
  for (const call of saveCalls) await api.ask(call);
}

/** Whether the agent waits for a connection. One that ends without a word is no order. */
async function listens(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    socket.write(`CONNECT ${agentPort}\n`);
    const [answer] = await Promise.race([once(socket, "data"), once(socket, "close")]);
    return Buffer.isBuffer(answer) && answer.toString("latin1").startsWith("OK ");
  } catch (error) {
    if (["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"].includes(systemCode(error) ?? ""))
      return false;
    throw error;
  } finally {
    socket.destroy();
  }
}

/** What Firecracker finds in its root, as every machine will. */
async function layOut(root: string, { files, hostId }: Saving): Promise<void> {
  const work = join(root, "machine");
  await mkdir(work, { recursive: true, mode: 0o755 });
  for (const [name, from] of Object.entries(files)) await share(from, join(work, name));
  for (const name of disks) {
    const file = await open(join(work, name), "wx", 0o600);
    await file.truncate(emptyDiskBytes);
    await file.close();
    await chown(join(work, name), hostId, hostId);
  }
}

/** By another name of the same file, which belongs to root; on another file system, by a copy. */
async function share(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (systemCode(error) !== "EXDEV") throw error;
    await copyFile(from, to);
  }
}

/** In namespaces of its own, and ended with this process: the first of them is a shell, which dies with its parent. */
function start({ programs, directory, hostId, shape, files }: Saving): ChildProcess {
  const jailer = jailerCommand({
    programs,
    directory,
    hostId,
    group: undefined,
    fileBytes: 2 * shape.memoryMiB * 1_048_576,
    apart: false,
    seccompFilter: "seccomp" in files,
  });
  const apart =
    "--pdeathsig KILL unshare --pid --net --ipc --uts --mount-proc --fork --kill-child=KILL";
  const words = [...apart.split(" "), "sh", "-c", '"$@"; exit $?', "sh", ...jailer];
  return spawn("setpriv", words, {
    env: environment,
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** The last of what Firecracker and its jailer write. */
function complaints(child: ChildProcess): () => string {
  let held = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      held = (held + chunk.toString("latin1")).slice(-longestWord);
    });
  return () =>
    held
      .replace(/[^\x20-\x7e]+/g, " ")
      .trim()
      .slice(-500);
}
