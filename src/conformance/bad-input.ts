import assert from "node:assert/strict";
import { type Case, topic } from "./case.ts";
import { output, refused, refusedField, run, start } from "./run.ts";

export const badInputCases: readonly Case[] = topic("bad-input", [
  {
    name: "an unknown template, or a name that is a path, is refused by field with the mend",
    async check({ driver, spec }) {
      for (const template of [
        "no-such-template",
        "",
        "../base",
        "/etc",
        "base/../base",
        "base\0",
        "a".repeat(300),
        ".",
        "base ",
      ])
        await refusedField(driver.create(spec({ template })), "template", "not-found", "invalid");
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
    name: "NUL bytes in arguments, environment, paths and users are refused by field",
    async check({ create }) {
      const machine = await create();
      await refusedField(machine.spawn({ argv: ["echo", "a\0b"] }), "argv", "invalid");
      await refusedField(run(machine, "true", { envs: { A: "x\0y" } }), "envs", "invalid");
      await refusedField(run(machine, "true", { cwd: "/tmp\0/x" }), "cwd", "invalid");
      await refused(
        run(machine, "true", { user: "root\0" }),
        "invalid",
        "unauthenticated",
        "not-found",
      );
      for (const path of ["/tmp/a\0b", "\0"]) {
        await refusedField(machine.files.read(path), "path", "invalid");
        await refusedField(machine.files.write(path, Buffer.from("x")), "path", "invalid");
        await refusedField(machine.files.stat(path), "path", "invalid");
        await refusedField(machine.files.remove(path), "path", "invalid");
      }
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "names of environment variables that are none are refused by field",
    async check({ create, driver, spec }) {
      const machine = await create();
      for (const name of ["", "A=B", "=", "A\0"])
        await refusedField(run(machine, "true", { envs: { [name]: "x" } }), "envs", "invalid");
      for (const name of ["", "A=B"])
        await refusedField(driver.create(spec({ envs: { [name]: "x" } })), "envs", "invalid");
    },
  },
  {
    name: "names and paths that are too long, and empty ones, are typed errors",
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
        machine.files.read(`/${"p".repeat(100_000)}`),
        "path",
        "invalid",
        "not-found",
      );
      await refusedField(machine.files.read(""), "path", "invalid");
      await refusedField(machine.files.write("", Buffer.from("x")), "path", "invalid");
      await refused(
        machine.files.remove("/", { user: "root" }),
        "invalid",
        "denied",
        "conflict",
        "internal",
      ).catch(async () => run(machine, "true"));
    },
  },
  {
    name: "an empty program and arguments beyond what the kernel takes are refused by field",
    async check({ create }) {
      const machine = await create();
      await refusedField(machine.spawn({ argv: [""] }), "argv", "invalid", "not-found");
      await refusedField(
        machine.spawn({ argv: ["echo", "x".repeat(4 << 20)] }),
        "argv",
        "invalid",
        "exhausted",
      );
      assert.equal((await output(machine, ["echo", "x".repeat(100_000)])).length, 100_000);
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "a terminal size and a time-out out of range are refused by field",
    async check({ create }) {
      const machine = await create();
      for (const pty of [
        { cols: 0, rows: 24 },
        { cols: 80, rows: -1 },
        { cols: 1e6, rows: 24 },
        { cols: 1.5, rows: 24 },
      ])
        await refused(machine.spawn({ argv: ["true"], pty }), "invalid");
      for (const timeoutMs of [-1, Number.NaN])
        await refusedField(run(machine, "true", { timeoutMs }), "timeoutMs", "invalid");
      const process = await start(machine, ["sleep", "100"], { pty: { cols: 80, rows: 24 } });
      await refused(process.resize({ cols: -1, rows: 0 }), "invalid");
      await process.kill();
    },
  },
  {
    name: "a lease out of range is refused by field",
    async check({ create, driver, spec }) {
      for (const lifetimeMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
        await refused(driver.create(spec({ lease: { lifetimeMs } })), "invalid");
      for (const idleTimeoutMs of [-1, Number.NaN])
        await refused(driver.create(spec({ lease: { idleTimeoutMs } })), "invalid");
      const machine = await create();
      for (const lifetimeMs of [-1, Number.NaN, Number.POSITIVE_INFINITY])
        await refused(machine.setLifetime(lifetimeMs), "invalid");
      assert.equal(await output(machine, "echo still"), "still");
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
        __proto__x: "p",
        quote: "\"'\n\0\u2028",
      };
      const machine = await create({ metadata });
      assert.deepEqual((await machine.info()).metadata, metadata);
      assert.deepEqual((await (await driver.open(machine.id)).info()).metadata, metadata);
      assert.equal(await output(machine, "ls / | grep -c etc"), "1");
    },
  },
  {
    name: "an upload whose metadata cannot stand in a header is refused, and nothing is written",
    async check({ create }) {
      const machine = await create();
      for (const metadata of [{ "a b": "x" }, { a: "x\r\nX-Other: y" }, { "": "x" }])
        await refused(
          machine.files.write("/tmp/metadata", Buffer.from("x"), { metadata }),
          "invalid",
        );
      assert.notEqual((await run(machine, "test -e /tmp/metadata")).end.exitCode, 0);
    },
  },
  {
    name: "a read outside the file and one of a negative or broken length are typed errors",
    async check({ create }) {
      const machine = await create();
      await machine.files.write("/tmp/ten", Buffer.from("0123456789"));
      for (const options of [
        { offset: -1 },
        { length: -5 },
        { offset: 1.5 },
        { offset: Number.NaN },
      ])
        await refused(machine.files.read("/tmp/ten", options), "invalid");
      await refused(machine.files.read("/tmp/ten", { offset: 11 }), "invalid");
      assert.equal((await (await machine.files.read("/tmp/ten", { length: 0 })).bytes()).length, 0);
    },
  },
  {
    name: "a depth out of range is refused by field",
    async check({ create }) {
      const { files } = await create();
      for (const depth of [-1, 1.5, Number.NaN])
        await refusedField(files.list("/tmp", { depth }), "depth", "invalid");
    },
  },
]);
