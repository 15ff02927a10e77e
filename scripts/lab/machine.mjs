// One run of the lab: a virtual machine, a program that lends it directories, and the command's streams.
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import process, { env } from "node:process";
import { programPath } from "../setup/host.mjs";
import { root } from "../setup/root.mjs";
import { Failure } from "../terminal/run-process.mjs";

const cpu = "EPYC,+svm,+npt";
/** Variables of the caller that the command sees. */
const passedOn = ["REQUIRE_DRIVERS", "NO_COLOR", "CI"];
/** Of a state directory, what other machines may share: nothing that runs. */
const sharedState = ["templates", "kernels", "images"];
/** The machine's first program, which is this checkout's. */
const first = "mount -t virtiofs lab /mnt && exec tini -g sh /mnt/job/start";
/** Nothing of the lab outlives whoever started it. */
const withParent = ["--pdeathsig", "KILL"];
const keptBytes = 16 * 1024;

/** Runs the command in the lab and resolves with its exit code; its output goes where this process's own goes. */
export async function runInLab(command, { image, memoryMiB, patience, stateDir }) {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-lab-"));
  const children = [];
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.once(signal, () => children.at(-1)?.kill("SIGKILL"));
  try {
    const places = sharedPlaces(stateDir);
    writeJob(join(directory, "job"), { command, patience, places });
    const streams = await listen(directory);
    children.push(share(directory, image, [["job", join(directory, "job")], ...places]));
    const lent = keepLast(children[0].stderr);
    await Promise.race([once(children[0].stdout, "data"), once(children[0], "exit")]);
    if (children[0].exitCode !== null) fail(lent(), "");
    children.push(emulate(directory, { image, memoryMiB }));
    const said = keepLast(children[1].stderr);
    await Promise.race(children.map((child) => once(child, "exit")));
    await end(children[1]);
    await streams.ended();
    return streams.code() ?? fail(said(), streams.console());
  } finally {
    for (const child of children.toReversed()) await end(child);
    rmSync(directory, { recursive: true, force: true });
  }
}

function fail(said, log) {
  const words = said.split("\n").filter((line) => !line.includes("TCG doesn't support"));
  throw new Failure(`The lab ended before the command did.\n${log}\n${words.join("\n")}`.trim());
}

/** Host directories that the lab sees: `[name, source, path there]`. */
function sharedPlaces(stateDir) {
  const modules = realpathSync(join(root, "node_modules"));
  const npm = env.npm_execpath ?? realpathSync(programPath("npm"));
  return [
    ["checkout", root, root],
    ...(modules.startsWith(`${root}/`) ? [] : [["node_modules", modules, modules]]),
    ["npm", dirname(dirname(npm)), "/opt/npm"],
    ...sharedState
      .map((name) => [`state-${name}`, join(stateDir, name), join(stateDir, name)])
      .filter(([, source]) => existsSync(source)),
    ...engines().map(([name, file]) => [`engine-${name}`, dirname(file), `/opt/engines/${name}`]),
  ];
}

/** Engines that Debian does not have, where this host has them: by a variable, or on PATH. */
function engines() {
  return ["firecracker", "jailer"]
    .map((name) => [name, env[`${name.toUpperCase()}_BIN`] ?? programPath(name)])
    .filter(([, file]) => file !== undefined)
    .map(([name, file]) => {
      if (!existsSync(file)) throw new Failure(`${name.toUpperCase()}_BIN names ${file}: no file.`);
      return [name, realpathSync(file)];
    });
}

/** What the lab's first program reads: where directories go, and a script that is the command. */
function writeJob(directory, { command, patience, places }) {
  mkdirSync(directory);
  copyFileSync(join(root, "scripts/lab/start.sh"), join(directory, "start"));
  copyFileSync(join(root, "scripts/lab/hold.py"), join(directory, "hold.py"));
  const lines = places.map(([name, , path]) => `${name} ${path}\n`);
  writeFileSync(join(directory, "places"), lines.join(""));
  const variables = [
    ["COFFERDAM_LAB", "1"],
    ["COFFERDAM_PATIENCE", String(patience)],
    ...engines().map(([name, file]) => [
      `${name.toUpperCase()}_BIN`,
      `/opt/engines/${name}/${basename(file)}`,
    ]),
    ...passedOn.filter((name) => env[name] !== undefined).map((name) => [name, env[name]]),
  ];
  const script = [
    `cd ${quoted(process.cwd())} 2> /dev/null || cd ${quoted(root)}`,
    ...variables.map(([name, value]) => `export ${name}=${quoted(value)}`),
    command.map(quoted).join(" "),
  ];
  writeFileSync(join(directory, "run"), `${script.join("\n")}\n`);
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Lends the directories, read-only, from a mount namespace of its own. Writes a line when its socket is there. */
function share(directory, image, places) {
  const tree = join(directory, "share");
  mkdirSync(tree);
  const mounts = places.map(([name, source]) => {
    const at = quoted(join(tree, name));
    return `mkdir ${at} && mount --bind ${quoted(source)} ${at} && mount -o remount,ro,bind ${at}`;
  });
  const socket = quoted(join(directory, "share.sock"));
  const flags = `--socket-path=${socket} --shared-dir=${quoted(tree)} --cache=always --no-announce-submounts`;
  const script = [
    `mount -t tmpfs tmpfs ${quoted(tree)}`,
    ...mounts,
    `{ while [ ! -S ${socket} ]; do sleep 0.02; done; echo there; } &`,
    `exec ${quoted(join(image.lender, "start"))} ${flags}`,
  ];
  const words = ["unshare", "--mount", "sh", "-e", "-c", script.join("\n")];
  return spawn("setpriv", [...withParent, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function emulate(directory, { image, memoryMiB }) {
  const chardev = (name, file) => ["-chardev", `socket,id=${name},path=${join(directory, file)}`];
  const port = (name, number) => [
    ...chardev(name, name),
    "-device",
    `virtserialport,chardev=${name},nr=${number},name=lab.${name}`,
  ];
  const boot = `console=ttyS0 quiet panic=-1 root=/dev/vda rw init=/bin/sh -- -c "${first}"`;
  const words = [
    ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", cpu, "-smp", "2"],
    ["-m", String(memoryMiB), "-nodefaults", "-no-user-config", "-no-reboot"],
    ["-display", "none", "-kernel", image.kernel, "-initrd", image.initrd, "-append", boot],
    ["-drive", `file=${image.disk},format=raw,if=none,id=root,snapshot=on`],
    ["-device", "virtio-blk-pci,drive=root", "-device", "virtio-rng-pci"],
    ["-object", `memory-backend-memfd,id=memory,size=${memoryMiB}M,share=on`],
    ["-numa", "node,memdev=memory"],
    chardev("share", "share.sock"),
    ["-device", "vhost-user-fs-pci,chardev=share,tag=lab"],
    chardev("console", "console"),
    ["-serial", "chardev:console", "-device", "virtio-serial-pci"],
    port("stdout", 1),
    port("stderr", 2),
    port("result", 3),
  ];
  return spawn("setpriv", [...withParent, "qemu-system-x86_64", ...words.flat()], {
    stdio: ["ignore", "ignore", "pipe"],
  });
}

/** Sockets that QEMU connects to: two go on to this process's own streams, two are kept. */
async function listen(directory) {
  const kept = { result: () => "", console: () => "" };
  const take = {
    stdout: (socket) => socket.pipe(process.stdout, { end: false }),
    stderr: (socket) => socket.pipe(process.stderr, { end: false }),
    result: (socket) => (kept.result = keepLast(socket)),
    console: (socket) => (kept.console = keepLast(socket)),
  };
  const ends = [];
  for (const [name, taken] of Object.entries(take)) {
    const server = createServer((socket) => {
      ends.push(once(socket, "close"));
      taken(socket);
    });
    server.unref().listen(join(directory, name));
    await once(server, "listening");
  }
  return {
    /** Resolves when all that was written has been read. */
    ended: () => Promise.all(ends),
    code: () => (/^\d+$/.test(kept.result().trim()) ? Number(kept.result()) : undefined),
    console: () => kept.console(),
  };
}

/** Gathers a stream's last words, which the function gives. */
function keepLast(stream) {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk) => {
    text = (text + chunk).slice(-keptBytes);
  });
  return () => text;
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
