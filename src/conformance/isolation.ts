import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { plantCanary } from "./canary.ts";
import { type Case, topic } from "./case.ts";
import { descriptorsProbe, nodesProbe, searchProbe } from "./probes/search.ts";
import { output, probe, run, start } from "./run.ts";

const reversed = (token: string): string => token.split("").toReversed().join("");
const newToken = (): string => `token${randomBytes(12).toString("hex")}`;

/** null, zero, full, random, urandom, tty, console, ptmx. */
const nullFamily = ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2"];

/** fuse and tun as a kernel of the sandbox's own offers them; behind them is nothing of the host. */
const ownKernelDevices = ["10:229", "10:200"];

export const isolationCases: readonly Case[] = topic("isolation", [
  {
    name: "the host's files, arguments, sockets and their names are not found anywhere inside",
    async check({ create, host, track }) {
      host();
      const canary = track(await plantCanary());
      const machine = await create();
      for (const user of ["user", "root"]) {
        const hits = await probe(machine, searchProbe, { user, values: reversed(canary.token) });
        assert.deepEqual(hits, [], `as ${user}`);
      }
    },
  },
  {
    name: "the environment of the process that makes a machine does not get in",
    async check({ elsewhere, driver, track }) {
      const token = newToken();
      const program = `
        const spec = { template: "base", resources: { cpus: 1, memoryMiB: 256, diskMiB: 128, pids: 128, openFiles: 512 },
          lease: { lifetimeMs: 120000, idleTimeoutMs: 0, detached: false }, egress: { allowOut: [], denyOut: [] }, envs: {}, metadata: {}, seccomp: undefined };
        say((await driver.create(spec)).id);
        await new Promise(() => setInterval(() => {}, 1000));`;
      const other = elsewhere(program, {
        envs: { CANARY_SECRET: token, AWS_SECRET_ACCESS_KEY: token },
      });
      const id: string = JSON.parse(await other.line());
      const machine = track(await driver.open(id));
      for (const user of ["user", "root"])
        assert.deepEqual(await probe(machine, searchProbe, { user, values: reversed(token) }), []);
      const { stdout: first } = await run(machine, "tr '\\0' '\\n' < /proc/1/environ", {
        user: "root",
      });
      assert.doesNotMatch(
        first,
        /NODE|npm|SSH|AWS|TOKEN|SECRET|E2B_/i,
        "the first process knows nothing of the host",
      );
    },
  },
  {
    name: "files of the host are not reachable through any link, dot-dot or process directory",
    async check({ create, host, track }) {
      host();
      const canary = track(await plantCanary());
      const machine = await create();
      const prefixes = [
        "",
        "/proc/1/root",
        "/proc/self/root",
        "/proc/1/cwd/../../..",
        "/proc/self/cwd/../../../..",
        "/../../../..",
        "/tmp/to-root",
        "/tmp/up",
      ];
      await output(machine, "ln -s / /tmp/to-root; ln -s ../../../../../.. /tmp/up");
      const escapes = prefixes.map((prefix) => `${prefix}${canary.file}`);
      const deep = Array.from(
        { length: 24 },
        (_, fd) => `/proc/self/fd/${fd}/../../../../../..${canary.file}`,
      );
      const found = await probe(
        machine,
        "print(json.dumps([p for p in values if os.path.exists(p)]))",
        { user: "root", values: [...escapes, ...deep] },
      );
      assert.deepEqual(found, []);
      for (const path of escapes)
        await assert.rejects(machine.files.read(path, { user: "root" }), `reading ${path}`);
      for (const path of escapes)
        await machine.files
          .write(path, Buffer.from("overwritten"), { user: "root" })
          .catch(() => undefined);
      assert.equal(
        await readFile(canary.file, "utf8"),
        `content ${canary.token}\n`,
        "the host's file is untouched",
      );
    },
  },
  {
    name: "a working directory or a program given through a descriptor does not lead to the host",
    async check({ create, host, track }) {
      host();
      const canary = track(await plantCanary());
      const machine = await create();
      for (let fd = 3; fd < 12; fd += 1)
        for (const cwd of [
          `/proc/self/fd/${fd}`,
          `/proc/1/fd/${fd}`,
          `/proc/self/fd/${fd}/../../..`,
        ]) {
          const ran = await run(
            machine,
            `ls -d ../../../../../..${canary.file} ./${dirname(canary.file)}`,
            { cwd, user: "root" },
          ).catch(() => undefined);
          assert.ok(ran === undefined || !ran.stdout.includes(canary.token), cwd);
          const groups =
            "test -e cgroup.procs || exit 0; mkdir made; echo $$ > cgroup.procs; echo 1 > cgroup.kill; mkdir -p c1/a c2/a c3/a; ls -d made c?/a 2>/dev/null; true";
          const grouped = await run(machine, groups, { cwd, user: "root" }).catch(() => undefined);
          assert.equal(grouped?.stdout ?? "", "", `control groups at ${cwd}`);
        }
    },
  },
  {
    name: "a command has no descriptor but its own three, and no process has a directory of the host open",
    async check({ create }) {
      const machine = await create();
      for (const user of ["user", "root"]) {
        const [found, own] = await probe<[[number, number, string, boolean][], number]>(
          machine,
          descriptorsProbe,
          { user },
        );
        const mine = found.filter(
          ([pid, fd, target]) => pid === own && fd > 2 && !target.startsWith("/proc"),
        );
        assert.deepEqual(mine, [], "the command's descriptors");
        const directories = found.filter(
          ([pid, , target, isDirectory]) =>
            isDirectory && pid !== own && !/^\/(sys\/fs\/cgroup|proc)/.test(target),
        );
        assert.deepEqual(directories, [], "open directories");
      }
    },
  },
  {
    name: "there is no device of the host but the null family, and no socket of the host",
    async check({ create, isolation }) {
      const machine = await create();
      const nodes = await probe<[string, string, number, number][]>(machine, nodesProbe, {
        user: "root",
      });
      const own = isolation === "container" ? [] : ownKernelDevices;
      const wrong = nodes.filter(
        ([, kind, major, minor]) =>
          kind !== "character" ||
          (major !== 136 && ![...nullFamily, ...own].includes(`${major}:${minor}`)),
      );
      assert.deepEqual(wrong, []);
      const sockets = [
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/dbus/system_bus_socket",
        "/run/systemd/private",
        "/run/podman/podman.sock",
        "/run/crio/crio.sock",
      ];
      assert.deepEqual(
        await probe(machine, "print(json.dumps([p for p in values if os.path.exists(p)]))", {
          values: sockets,
          user: "root",
        }),
        [],
      );
    },
  },
  {
    name: "two sandboxes do not see each other's processes, files, shared memory or environment",
    async check({ create }) {
      const token = newToken();
      const [one, two] = await Promise.all([create({ envs: { HIDDEN: token } }), create()]);
      const program = `
import time, mmap
for path in ("/tmp/", "/dev/shm/", "/home/user/", "/var/tmp/"):
    open(path + sys.argv[1], "w").write(sys.argv[1])
shared = os.open("/dev/shm/" + sys.argv[1], os.O_RDWR)
import ctypes
libc = ctypes.CDLL(None)
segment = libc.shmget(0x1234, 4096, 0o1666)
print("ready", segment, flush=True)
time.sleep(1000)`;
      const holder = await start(one, ["python3", "-c", `import os, sys\n${program}`, token]);
      await holder.output[Symbol.asyncIterator]().next();
      assert.notDeepEqual(
        await probe(one, searchProbe, { values: reversed(token) }),
        [],
        "the search finds it where it is",
      );
      for (const user of ["user", "root"])
        assert.deepEqual(await probe(two, searchProbe, { user, values: reversed(token) }), []);
      const segment = await probe<number>(
        two,
        "import ctypes\nprint(json.dumps(ctypes.CDLL(None).shmget(0x1234, 4096, 0o666)))",
        { user: "root" },
      );
      assert.equal(segment, -1, "its shared memory is not there");
      assert.equal(await output(two, "ls /proc | grep -c '^[0-9]' | awk '{print ($1 < 20)}'"), "1");
    },
  },
  {
    name: "what one sandbox writes into the template or the guest layer no other sees, also a later one",
    async check({ create }) {
      const changed =
        "for f in /usr/bin/python3 /etc/passwd /etc/hosts /.cofferdam/agent; do echo changed >> $f; done; echo x > /etc/new; rm -rf /usr/share/doc /.cofferdam/agent; chmod 777 /etc; true";
      const sums =
        "sha256sum /etc/passwd /etc/hostname-probe $(readlink -f /usr/bin/python3) 2>/dev/null; stat -c %a /etc; ls /etc/new 2>/dev/null; ls -ld /usr/share/doc | cut -c1-10; true";
      const [one, two] = await Promise.all([create(), create()]);
      const before = await output(two, sums, { user: "root" });
      await run(one, changed, { user: "root" });
      assert.equal(await output(two, sums, { user: "root" }), before);
      const later = await create();
      assert.equal(await output(later, sums, { user: "root" }), before);
      assert.equal(await output(later, "echo works"), "works");
    },
  },
  {
    name: "the user cannot change the guest layer, the agent or anything of the system",
    async check({ create }) {
      const machine = await create();
      const program = `
failed = []
for path in ["/.cofferdam", "/", "/etc", "/usr/bin", "/root", "/proc/1", "/sys", "/boot"]:
    try: open(path + "/probe", "w"); failed.append(path)
    except OSError: pass
for top, _, files in os.walk("/.cofferdam"):
    for name in files:
        if os.access(os.path.join(top, name), os.W_OK): failed.append(os.path.join(top, name))
print(json.dumps(failed))`;
      assert.deepEqual(await probe(machine, program), []);
    },
  },
  {
    name: "the mounts inside name no directory of the host as their source",
    async check({ create, host, track }) {
      const view = host();
      const machine = track(await create());
      const lines = (await output(machine, "cat /proc/self/mountinfo", { user: "root" })).split(
        "\n",
      );
      const leaking = lines.filter(
        (line) =>
          line.includes(machine.id) || /\/var\/lib\/docker|upperdir=\/(home|root)\b/.test(line),
      );
      assert.deepEqual(leaking, []);
      assert.ok((await view.traces(machine.id)).length > 0, "the host itself shows the machine");
    },
  },
]);
