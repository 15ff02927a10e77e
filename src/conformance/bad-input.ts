import assert from "node:assert/strict";
import type { Resources } from "../core/spec.ts";
import { type Case, topic } from "./case.ts";
import { output, refused, refusedField, run } from "./run.ts";

const wrongLimits: readonly (readonly [keyof Resources, number])[] = [
  ["memoryMiB", 0],
  ["memoryMiB", -1],
  ["memoryMiB", 64.5],
  ["memoryMiB", Number.NaN],
  ["memoryMiB", 512 * 1024 * 1024],
  ["cpus", 0],
  ["cpus", -2],
  ["cpus", Number.POSITIVE_INFINITY],
  ["diskMiB", 0],
  ["diskMiB", 1e12],
  ["pids", 0],
  ["pids", 20.5],
  ["openFiles", 0],
  ["openFiles", -5],
];

function ignore(): void {
  /* nobody looks at this terminal */
}

export const badInputCases: readonly Case[] = topic("bad-input", [
  {
    name: "an unknown template, or a name that is a path, is refused by field with the mend",
    async check({ driver, spec, sandbox }) {
      const unknown = await refused(
        driver.create(spec({ template: "no-such-template" })),
        "not-found",
      );
      assert.equal(unknown.field, "template");
      assert.ok(unknown.mend, "it says what mends it");
      for (const template of [
        "",
        "../base",
        "/etc",
        "base/../base",
        "base\0",
        "a".repeat(300),
        ".",
        "..",
        "base ",
      ]) {
        await refusedField(sandbox({ template }), "template", "invalid");
        await refusedField(driver.create(spec({ template })), "template", "not-found", "invalid");
      }
    },
  },
  {
    name: "an id that is unknown, or is a path, is not found",
    async check({ driver }) {
      for (const id of [
        "iaaaaaaaaaaaaaaaaaaaa",
        "",
        "../../etc",
        "i/../..",
        "i\0",
        "x".repeat(5000),
      ])
        await refused(driver.open(id), "not-found", "invalid");
    },
  },
  {
    name: "limits out of range or of the wrong unit are refused by field before anything starts",
    async check({ sandbox }) {
      for (const [field, value] of wrongLimits)
        await refusedField(
          sandbox({ resources: { [field]: value } }),
          `resources.${field}`,
          "invalid",
        );
      const inBytes = await refused(
        sandbox({ resources: { memoryMiB: 512 * 1024 * 1024 * 1024 } }),
        "invalid",
      );
      assert.match(inBytes.mend ?? "", /MiB/, "bytes for MiB are recognised");
    },
  },
  {
    name: "a limit that this host cannot give is refused by field, not lowered",
    async check({ driver, spec }) {
      for (const resources of [{ memoryMiB: 4_000_000 }, { cpus: 1000 }]) {
        const [field] = Object.keys(resources);
        await refusedField(
          driver.create(spec({ resources })),
          `resources.${field}`,
          "invalid",
          "exhausted",
          "unsupported",
        );
      }
    },
  },
  {
    name: "a lease out of range is refused by field",
    async check({ sandbox, create }) {
      for (const lifetimeMs of [0, -1, 30, Number.NaN, Number.POSITIVE_INFINITY])
        await refusedField(sandbox({ lifetimeMs }), "lifetimeMs", "invalid");
      for (const idleTimeoutMs of [-1, Number.NaN, 5])
        await refusedField(sandbox({ idleTimeoutMs }), "idleTimeoutMs", "invalid");
      const machine = await create();
      for (const lifetimeMs of [-1, Number.NaN, Number.POSITIVE_INFINITY])
        await assert.rejects(machine.setLifetime(lifetimeMs));
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "an unknown option is refused by its name with a hint",
    async check({ sandbox }) {
      const unknown: Record<string, unknown> = { lifetimMs: 5000 };
      const error = await refused(sandbox(unknown), "invalid");
      assert.deepEqual([error.field, error.mend], ["lifetimMs", "did you mean lifetimeMs?"]);
    },
  },
  {
    name: "NUL bytes in arguments, environment, paths and users are refused by field and never reach the machine",
    async check({ sandbox }) {
      const { commands, files } = await sandbox();
      await refusedField(commands.run("a\0b"), "command", "invalid");
      await refusedField(commands.run(["echo", "a\0b"]), "command[1]", "invalid");
      await refusedField(commands.run("true", { envs: { A: "x\0y" } }), "envs.A", "invalid");
      await refusedField(commands.run("true", { cwd: "/tmp\0/x" }), "cwd", "invalid");
      await refusedField(commands.run("true", { user: "root\0" }), "user", "invalid");
      for (const path of ["/tmp/a\0b", "\0", ""]) {
        await refusedField(files.read(path), "path", "invalid");
        await refusedField(files.write(path, "x"), "path", "invalid");
        await refusedField(files.remove(path), "path", "invalid");
        await refusedField(files.list(path), "path", "invalid");
      }
    },
  },
  {
    name: "NUL bytes that reach the machine all the same are typed errors there",
    async check({ create }) {
      const machine = await create();
      await refused(machine.spawn({ argv: ["echo", "a\0b"] }), "invalid");
      await refused(run(machine, "true", { envs: { A: "x\0y" } }), "invalid");
      await refused(run(machine, "true", { envs: { "A=B": "x", "": "y" } }), "invalid");
      await refused(run(machine, "true", { cwd: "/tmp\0/x" }), "invalid", "not-found");
      await refused(
        run(machine, "true", { user: "root\0" }),
        "invalid",
        "unauthenticated",
        "not-found",
      );
      for (const path of ["/tmp/a\0b", "\0"]) {
        await refused(machine.files.read(path), "invalid");
        await refused(machine.files.write(path, Buffer.from("x")), "invalid");
        await refused(machine.files.stat(path), "invalid");
        await refused(machine.files.remove(path), "invalid");
      }
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "names and paths that are too long are typed errors with the field",
    async check({ create }) {
      const machine = await create();
      await refusedField(
        machine.files.write(`/tmp/${"n".repeat(256)}`, Buffer.from("x")),
        "path",
        "invalid",
      );
      await refusedField(
        machine.files.write(`/tmp/${"d/".repeat(3000)}x`, Buffer.from("x")),
        "path",
        "invalid",
      );
      await refusedField(
        machine.files.read(`/${"p".repeat(10_000)}`),
        "path",
        "invalid",
        "not-found",
      );
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "an empty program and arguments beyond what the kernel takes are typed errors",
    async check({ create }) {
      const machine = await create();
      await refused(machine.spawn({ argv: [""] }), "invalid", "not-found");
      await refused(machine.spawn({ argv: ["echo", "x".repeat(4 << 20)] }), "invalid", "exhausted");
      assert.equal((await output(machine, ["echo", "x".repeat(100_000)])).length, 100_000);
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "a terminal size, a time-out and a depth out of range are refused by field",
    async check({ sandbox }) {
      const { commands, files, pty } = await sandbox();
      for (const cols of [0, -1, 1e6, 1.5])
        await refusedField(pty.create({ cols, rows: 24, onData: ignore }), "cols", "invalid");
      for (const timeoutMs of [-1, Number.NaN])
        await refusedField(commands.run("true", { timeoutMs }), "timeoutMs", "invalid");
      for (const depth of [-1, 0, 1.5, Number.NaN])
        await refusedField(files.list("/tmp", { depth }), "depth", "invalid");
    },
  },
  {
    name: "metadata that is hostile stays data",
    async check({ create, driver }) {
      const metadata = {
        "../../x": "/etc/passwd",
        "io.katacontainers.config.hypervisor.path": "/bin/sh",
        "dev.gvisor.spec.mount.x.source": "/",
        "org.criu.config": "/x",
        constructor: "c",
        quote: "\"'\n\u0001\u2028",
      };
      const machine = await create({ metadata });
      assert.deepEqual({ ...(await machine.info()).metadata }, metadata);
      assert.deepEqual({ ...(await (await driver.open(machine.id)).info()).metadata }, metadata);
      assert.equal(await output(machine, "ls / | grep -c etc"), "1");
    },
  },
  {
    name: "an upload whose metadata cannot stand in a header is refused by field, and nothing is written",
    async check({ create }) {
      const machine = await create();
      for (const metadata of [{ "a b": "x" }, { a: "x\r\nX-Other: y" }, { "": "x" }])
        await refusedField(
          machine.files.write("/tmp/metadata", Buffer.from("x"), { metadata }),
          "metadata",
          "invalid",
        );
      assert.notEqual((await run(machine, "test -e /tmp/metadata")).end.exitCode, 0);
    },
  },
  {
    name: "a policy for what may leave is refused by field where nothing can leave",
    async check({ driver, sandbox }) {
      if (driver.capabilities.has("egress")) return;
      await refusedField(
        sandbox({ allowInternetAccess: true }),
        "allowInternetAccess",
        "unsupported",
      );
      await refusedField(
        sandbox({ network: { allowOut: ["example.com"] } }),
        "network",
        "unsupported",
      );
    },
  },
]);
