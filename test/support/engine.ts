import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A Docker Engine of a test's own: its data, its socket and its containerd are in one directory, and it has no network. */
export interface OwnEngine {
  readonly socket: string;
  readonly pid: number;
  /** Ends it as a crash would. */
  crash(): Promise<void>;
  /** Starts it again, with what it had. */
  restart(): Promise<void>;
  /** Ends it and removes all of it. */
  end(): Promise<void>;
}

export interface EngineRuntime {
  readonly path: string;
  readonly runtimeArgs?: readonly string[];
}

const patienceMs = 30_000;
const fixedRunc = "/opt/cofferdam/runc/runc";

/** The Engine's program; `undefined`: it is not installed. */
function engineProgram(): string | undefined {
  return ["/usr/sbin/dockerd", "/usr/bin/dockerd", "/usr/local/bin/dockerd"].find((path) =>
    existsSync(path),
  );
}

/** Runtimes as the tests register them: a runC without known escapes, which the Engine's own may have, and gVisor's. */
const registered: Readonly<Record<string, EngineRuntime>> = {
  ...(existsSync(fixedRunc) ? { fixed: { path: fixedRunc } } : {}),
  runsc: { path: "/usr/bin/runsc", runtimeArgs: ["--platform=systrap", "--network=none"] },
};

/** Starts an Engine and waits until it answers. */
export async function startEngine(): Promise<OwnEngine> {
  const program = engineProgram();
  if (program === undefined) throw new Error("there is no dockerd");
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-engine-"));
  const socket = join(directory, "engine.sock");
  const settings = join(directory, "daemon.json");
  const runtime = "fixed" in registered ? { "default-runtime": "fixed" } : {};
  await writeFile(settings, JSON.stringify({ runtimes: registered, ...runtime }));
  const start = (): Promise<ChildProcess> =>
    started(program, directory, ["--config-file", settings, "--host", `unix://${socket}`]);
  let child = await start();
  return {
    socket,
    get pid() {
      return child.pid ?? 0;
    },
    crash: () => over(child, "SIGKILL"),
    async restart() {
      await endOrphans(directory);
      child = await start();
    },
    async end() {
      await over(child, "SIGTERM");
      await endOrphans(directory);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function started(
  program: string,
  directory: string,
  words: readonly string[],
): Promise<ChildProcess> {
  await mkdir(join(directory, "data"), { recursive: true });
  const own = [
    ["--data-root", join(directory, "data")],
    ["--exec-root", join(directory, "exec")],
    ["--pidfile", join(directory, "pid")],
    ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"],
  ].flat();
  await rm(join(directory, "pid"), { force: true });
  const child = spawn(program, [...words, ...own], {
    stdio: "ignore",
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 50) {
    if (child.exitCode !== null) throw new Error(`dockerd ended with ${child.exitCode}`);
    if (await answers(join(directory, "engine.sock"))) return child;
    await sleep(50);
  }
  await over(child, "SIGKILL");
  throw new Error("dockerd did not answer");
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(socket, () => {
      connection.destroy();
      resolve(true);
    });
    connection.on("error", () => resolve(false));
  });
}

async function over(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await ended;
}

/** An Engine that was killed leaves its containerd, which the next one would take over, and nobody would end. */
async function endOrphans(directory: string): Promise<void> {
  const file = join(directory, "exec/containerd/containerd.pid");
  if (!existsSync(file)) return;
  const pid = Number(await readFile(file, "utf8"));
  if (!Number.isInteger(pid) || pid <= 1 || !(await isOurs(pid, directory))) return;
  process.kill(pid, "SIGKILL");
  while (await isOurs(pid, directory)) await sleep(20);
}

async function isOurs(pid: number, directory: string): Promise<boolean> {
  const words = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
  return words.includes(directory);
}
