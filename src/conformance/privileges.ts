import assert from "node:assert/strict";
import type { Machine } from "../core/driver.ts";
import { type Case, topic } from "./case.ts";
import type { Context } from "./context.ts";
import { patient } from "./patience.ts";
import { kernelFilesProbe, syscallProbe, terminalProbe } from "./probes/syscalls.ts";
import {
  eventually,
  finish,
  goneInside,
  output,
  probe,
  refused,
  run,
  sleep,
  start,
  within,
} from "./run.ts";

/** What a call answers that was refused before it did anything. */
const refusals = new Set([
  "EPERM",
  "EACCES",
  "ENOSYS",
  "EAFNOSUPPORT",
  "ESOCKTNOSUPPORT",
  "EPROTONOSUPPORT",
  "EOPNOTSUPP",
  "ENOENT",
  "ENODEV",
  "ENXIO",
  "EROFS",
  "ENOSPC",
  "EUSERS",
]);

/** What must be refused to the unprivileged user whatever stands between it and the host: it concerns others inside. */
const refusedToUsers = [
  "ptrace 1",
  "process_vm_readv 1",
  "process_vm_writev 1",
  "read /proc/1/mem",
  "write /proc/1/mem",
  "setuid 0",
  "lower oom score of 1",
  "mount tmpfs",
  "remount",
  "pivot_root",
  "reboot",
  "device disk",
  "device mem",
  "device kmsg",
  "init_module",
  "kexec_load",
  "raw socket",
  "packet socket",
];

async function attempts(machine: Machine, user: string): Promise<Readonly<Record<string, string>>> {
  return probe<Record<string, string>>(machine, syscallProbe, { user });
}

/** Attempts that went through. Entering the user namespace that one is in answers EINVAL everywhere. */
function allowed(results: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(results)
    .filter(
      ([name, outcome]) => !refusals.has(outcome) && `${name} ${outcome}` !== "setns user EINVAL",
    )
    .map(([name, outcome]) => `${name}: ${outcome}`);
}

/** Whether the host's own kernel answers the guest's system calls. */
function sharesKernel({ isolation }: Context): boolean {
  return isolation === "container" || isolation === "none";
}

/** Root of a machine with a kernel of its own may break that machine; it then refuses with a typed error, or has ended. */
async function answersOrRefuses(machine: Machine): Promise<void> {
  const after = await within(
    "an answer, or a typed error",
    30_000,
    run(machine, ["/bin/true"]).then(
      () => "answers",
      (error: { code?: string }) => String(error.code),
    ),
  );
  assert.match(after, /^(answers|lost|not-found|invalid|denied)$/);
}

export const privilegeCases: readonly Case[] = topic("isolation", [
  {
    name: "mounts, modules, namespaces, ptrace, keyctl, bpf, perf, userfaultfd, raw sockets and devices are refused to the user, or harmless",
    async check(context) {
      const machine = await context.create();
      const results = await attempts(machine, "user");
      assert.ok(Object.keys(results).length > 60, "every attempt answered");
      const mustFail = sharesKernel(context)
        ? results
        : Object.fromEntries(refusedToUsers.map((name) => [name, results[name] ?? "ENOSYS"]));
      assert.deepEqual(allowed(mustFail), []);
    },
  },
  {
    name: "the same attempts as root change nothing outside, and are refused where the kernel is shared",
    async check(context) {
      const view = context.host();
      const before = await view.kernelSettings();
      const machine = await context.create();
      const results = await attempts(machine, "root");
      const harmless = new Set([
        "setuid 0",
        "chroot",
        "lower oom score",
        "sethostname",
        "setdomainname",
      ]);
      const judged = Object.fromEntries(
        Object.entries(results).filter(([name]) => !harmless.has(name)),
      );
      if (sharesKernel(context)) assert.deepEqual(allowed(judged), []);
      assert.deepEqual(await view.kernelSettings(), before);
      if (sharesKernel(context)) await output(machine, "echo still");
      else await answersOrRefuses(machine);
    },
  },
  {
    name: "kernel memory, logs, settings, sysrq, control groups and release_agent are not there, not writable, or its own kernel's",
    async check(context) {
      const view = context.host();
      const before = await view.kernelSettings();
      const machine = await context.create();
      for (const user of ["user", "root"]) {
        const results = await probe<Record<string, string>>(machine, kernelFilesProbe, { user });
        const open = allowed(results).filter(
          (line) => !/: (ENODATA|EINVAL|EIO|EBUSY|EISDIR|EBADFD)$/.test(line),
        );
        if (sharesKernel(context) || user === "user") assert.deepEqual(open, [], `as ${user}`);
      }
      assert.deepEqual(await view.kernelSettings(), before);
    },
  },
  {
    name: "sudo works or is refused as enforcement() says, and a setuid program gains nothing where it is refused",
    async check(context) {
      const sudo = context.enforced("sudo");
      assert.ok(sudo !== undefined, "enforcement() reports sudo");
      const machine = await context.create();
      const ran = await run(machine, "sudo -n id -u");
      if (/^(works|allowed|yes)/i.test(sudo.value)) {
        assert.equal(ran.stdout.trim(), "0", ran.stderr);
        return;
      }
      assert.match(sudo.value, /^(refused|denied|no)/i);
      assert.notEqual(ran.end.exitCode, 0);
      await output(machine, "cp /bin/dash /usr/local/bin/raise; chmod 4755 /usr/local/bin/raise", {
        user: "root",
      });
      assert.notEqual(await output(machine, "/usr/local/bin/raise -p -c 'id -u'"), "0");
      assert.match(await output(machine, "cat /proc/self/status"), /NoNewPrivs:\s+1/);
    },
  },
  {
    name: "the user's code holds no capability and cannot get one",
    async check(context) {
      const machine = await context.create();
      const status = await output(machine, "grep -E '^(Cap|Groups|Uid)' /proc/self/status");
      for (const name of ["CapEff", "CapPrm", "CapInh"])
        assert.match(status, new RegExp(`^${name}:\\s+0+$`, "m"));
      assert.doesNotMatch(status, /^CapAmb:.*[1-9a-f]$/m, "where the kernel has such");
      if (sharesKernel(context)) assert.match(status, /CapBnd:\s+0+$/m);
      assert.doesNotMatch(status, /^Groups:.*\b0\b/m, "not in root's group");
      if (!sharesKernel(context)) return;
      const root = await output(
        machine,
        "grep ^CapEff /proc/self/status; grep ^Seccomp: /proc/self/status; grep NoNewPrivs /proc/self/status",
        { user: "root" },
      );
      assert.match(root, /CapEff:\s+0+\n/, "root's commands hold none, too");
      assert.match(root, /Seccomp:\s+2/);
      assert.match(root, /NoNewPrivs:\s+1/);
    },
  },
  {
    name: "root inside is nobody on the host, and another nobody in each sandbox",
    async check(context) {
      if (!sharesKernel(context)) context.skip("its processes are not the host's processes");
      const view = context.host();
      const owners: string[] = [];
      for (const machine of [await context.create(), await context.create()]) {
        await start(machine, ["sleep", "12345"], { user: "root" });
        const uids = await eventually("the command shows on the host", async () =>
          view.ownerOf(machine.id, "sleep\u000012345"),
        );
        assert.notEqual(uids, 0);
        owners.push(String(uids));
      }
      assert.notEqual(owners[0], owners[1], "two sandboxes share no user id");
    },
  },
  {
    name: "the host's name, clock and kernel log are not the guest's to change or read",
    async check(context) {
      const view = context.host();
      const before = await view.kernelSettings();
      const machine = await context.create();
      await run(
        machine,
        "hostname evil; date -s 2001-01-01; dmesg -c; echo evil > /proc/sys/kernel/hostname",
        { user: "root" },
      );
      assert.deepEqual(await view.kernelSettings(), before);
      assert.ok(new Date().getFullYear() > 2001);
      const log = await run(machine, "dmesg");
      assert.ok(log.end.exitCode !== 0 || !sharesKernel(context));
    },
  },
  {
    name: "the user cannot signal the agent; kill -9 1 by root does not end it, or ends its own kernel's machine",
    async check(context) {
      const machine = await context.create();
      const asUser = await run(
        machine,
        "for s in HUP INT QUIT ILL ABRT SEGV TERM STOP KILL USR1; do kill -$s 1 && echo sent $s; done; kill -9 -1; echo over",
      );
      assert.doesNotMatch(asUser.stdout, /sent/);
      assert.equal(await output(machine, "echo still"), "still");
      if (!sharesKernel(context)) {
        await run(machine, "kill -9 1", { user: "root" }).catch(() => undefined);
        return answersOrRefuses(machine);
      }
      await run(machine, "kill -9 1", { user: "root" });
      await run(machine, "kill -STOP 1", { user: "root" });
      assert.equal(await within("an answer", 20_000, output(machine, "echo still")), "still");
    },
  },
  {
    name: "whatever root does to the first process inside, the machine answers or ends with a reason",
    async check({ create }) {
      for (const attack of [
        "kill -QUIT 1; kill -ABRT 1; kill -SEGV 1",
        "kill -9 -1",
        "mount -t tmpfs none / 2>/dev/null; rm -rf --no-preserve-root / 2>/dev/null",
        "sudo -n kill -9 1; sudo -n kill -QUIT 1; sudo -n kill -9 -1",
      ]) {
        const machine = await create();
        await within(
          attack,
          40_000,
          run(machine, attack, { user: attack.startsWith("sudo") ? "user" : "root" }).catch(
            () => undefined,
          ),
        );
        await answersOrRefuses(machine);
        await within("the end", 20_000, machine[Symbol.asyncDispose]());
      }
    },
  },
  {
    name: "a runaway that ignores every signal and forks is gone within a second of its kill",
    async check({ create }) {
      const machine = await create({ resources: { pids: 100 } });
      const runaway = await start(machine, [
        "bash",
        "-c",
        "trap '' TERM INT HUP QUIT; f() { while :; do (f & sleep 0.05) & sleep 0.2; done; }; f & f & echo begun; wait",
      ]);
      await runaway.output[Symbol.asyncIterator]().next();
      await sleep(1000);
      const killed = Date.now();
      assert.equal(await within("the kill", 15_000, runaway.kill()), true);
      const took = Date.now() - killed;
      assert.ok(await goneInside(machine, runaway.pid));
      assert.equal(
        await output(machine, "cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^bash$' || true"),
        "0",
      );
      assert.ok(took < patient(1000), `the promise is one second; it took ${took} ms`);
    },
  },
  {
    name: "a program cannot type into its own terminal, reach the console or load a line discipline",
    async check(context) {
      const machine = await context.create();
      for (const user of ["user", "root"]) {
        const answers = await probe<Record<string, string>>(machine, terminalProbe, { user });
        assert.equal(answers["TIOCGWINSZ"], "ok", "it has a terminal of its own");
        const { TIOCGWINSZ: _, ...tried } = answers;
        assert.equal(Object.keys(tried).length, 6, "every attempt answered");
        if (sharesKernel(context))
          assert.deepEqual([...new Set(Object.values(tried))], ["EPERM"], JSON.stringify(tried));
        else assert.equal(answers["TIOCSTI"] === "ok", false);
      }
    },
  },
  {
    name: "a seccomp profile of the caller's own is in force, and one that is none is refused by field",
    mayRefuse: true,
    async check({ create, driver, spec }) {
      const bad = await refused(
        driver.create(spec({ seccomp: { nonsense: true } })),
        "invalid",
        "unsupported",
      );
      assert.equal(bad.field, "seccomp");
      const machine = await create({
        seccomp: {
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
        },
      });
      const made = await run(machine, "mkdir /tmp/made");
      assert.match(made.stderr, /not permitted/);
      assert.equal((await finish(await start(machine, "echo ok"))).stdout, "ok\n");
    },
  },
]);
