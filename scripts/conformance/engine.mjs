// A Docker Engine of the tests' own: its data, its socket and its containerd are in one directory, and it has no network.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { programPath } from "../setup/host.mjs";

const patienceMs = 60_000;
/** A runC without known escapes, which the Engine's own may have. */
const fixedRunc = "/opt/cofferdam/runc/runc";

/** Starts an Engine and waits until it answers. It ends with this process at the latest. */
export async function startEngine() {
  const program = programPath("dockerd");
  if (program === undefined) throw new Error("there is no dockerd");
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-engine-"));
  const socket = join(directory, "engine.sock");
  await writeFile(join(directory, "daemon.json"), JSON.stringify(settings()));
  const start = () => started(program, directory, socket);
  let child = await start();
  // One that was killed may find its containerd still going, and give up.
  const again = (left) =>
    start().catch((cause) => {
      if (left === 0) throw cause;
      return again(left - 1);
    });
  return {
    socket,
    crash: () => over(child, "SIGKILL"),
    async restart() {
      await endOrphan(directory);
      child = await again(2);
    },
    async end() {
      // What an Engine that was killed has left running, the next one ends.
      if (isOver(child)) await this.restart();
      await over(child, "SIGTERM");
      await endOrphan(directory);
      await unmountBelow(directory);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Gives back what an Engine that was killed had mounted, the innermost first. */
async function unmountBelow(directory) {
  const table = await readFile("/proc/self/mountinfo", "utf8");
  const points = table.split("\n").map((line) => line.split(" ")[4] ?? "");
  const own = points.filter((point) => point.startsWith(`${directory}/`));
  for (const point of own.toReversed()) spawnSync("umount", ["--lazy", point]);
}

/** What an Engine calls its machines' containers; it is remembered, as cases look for what is left of them. */
export function containerNames(socket) {
  const known = new Map();
  return async (id) => {
    const name = known.get(id) ?? (await containerId(socket, id).catch(() => undefined));
    if (name === undefined) return [];
    known.set(id, name);
    return [name];
  };
}

async function containerId(socket, id) {
  const { status, body } = await askEngine(socket, `/containers/cofferdam-${id}/json`);
  return status === 200 ? body.Id : undefined;
}

/** Asks an Engine itself, with no driver between. */
export function askEngine(socketPath, path) {
  return new Promise((resolve, reject) => {
    const options = { socketPath, path: `/v1.41${path}`, headers: { host: "engine" } };
    const asked = request(options, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (piece) => {
        text += piece;
      });
      answer.on("error", reject);
      answer.on("end", () => resolve({ status: answer.statusCode, body: JSON.parse(text) }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

function settings() {
  const runsc = programPath("runsc");
  const runtimeArgs = ["--platform=systrap", "--network=none"];
  return {
    runtimes: {
      ...(runsc === undefined ? {} : { runsc: { path: runsc, runtimeArgs } }),
      ...(existsSync(fixedRunc) ? { fixed: { path: fixedRunc } } : {}),
    },
    ...(existsSync(fixedRunc) ? { "default-runtime": "fixed" } : {}),
  };
}

async function started(program, directory, socket) {
  await mkdir(join(directory, "data"), { recursive: true });
  await rm(join(directory, "pid"), { force: true });
  const words = [
    ["--config-file", join(directory, "daemon.json"), "--host", `unix://${socket}`],
    ["--data-root", join(directory, "data"), "--exec-root", join(directory, "exec")],
    ["--pidfile", join(directory, "pid")],
    ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"],
  ].flat();
  const child = spawn("setpriv", ["--pdeathsig", "TERM", program, ...words], {
    stdio: "ignore",
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  const until = performance.now() + patienceMs;
  while (performance.now() < until) {
    if (isOver(child)) throw new Error(`dockerd ended with ${child.exitCode}`);
    if (await answers(socket)) return child;
    await sleep(50);
  }
  await over(child, "SIGKILL");
  throw new Error("dockerd did not answer");
}

/** It listens a while before it answers. */
async function answers(socket) {
  return askEngine(socket, "/version").then(
    ({ status }) => status === 200,
    () => false,
  );
}

function isOver({ exitCode, signalCode }) {
  return exitCode !== null || signalCode !== null;
}

async function over(child, signal) {
  if (isOver(child)) return;
  const ended = new Promise((resolve) => {
    child.once("exit", resolve);
  });
  child.kill(signal);
  await ended;
}

/** An Engine that was killed leaves its containerd, which nobody else would end. */
async function endOrphan(directory) {
  const file = join(directory, "exec/containerd/containerd.pid");
  if (!existsSync(file)) return;
  const pid = Number(await readFile(file, "utf8"));
  if (Number.isInteger(pid) && pid > 1 && (await isOurs(pid, directory)))
    process.kill(pid, "SIGKILL");
  while (await isOurs(pid, directory)) await sleep(20);
  await rm(file, { force: true });
}

async function isOurs(pid, directory) {
  const words = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
  return words.includes(directory);
}
