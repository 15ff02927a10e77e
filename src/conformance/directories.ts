import assert from "node:assert/strict";
import type { Machine } from "../core/driver.ts";
import type { WatchEvent } from "../core/files.ts";
import { type Case, topic } from "./case.ts";
import { eventually, output, refused, refusedField, run } from "./run.ts";

const bytesOf = (value: string): Uint8Array => Buffer.from(value);

/** Collects the events of a watch while `act` happens, until `enough` says so. */
async function watched(
  machine: Machine,
  options: { readonly path: string; readonly recursive?: boolean },
  act: () => Promise<unknown>,
): Promise<{
  readonly seen: WatchEvent[];
  shows(type: string, name: string): Promise<void>;
  stop(): Promise<void>;
}> {
  const watch = await machine.files.watch(options.path, { recursive: options.recursive ?? false });
  const seen: WatchEvent[] = [];
  const reading = (async () => {
    for await (const event of watch.events) seen.push(event);
  })();
  await act();
  return {
    seen,
    async shows(type, name) {
      await eventually(
        `${type} of ${name} among ${JSON.stringify(seen)}`,
        async () => seen.some((each) => each.type === type && each.name === name) || undefined,
      );
    },
    async stop() {
      await watch[Symbol.asyncDispose]();
      await reading;
    },
  };
}

export const directoryCases: readonly Case[] = topic("files", [
  {
    name: "a directory is listed to the depth that was asked for",
    async check({ create }) {
      const machine = await create();
      await output(
        machine,
        "mkdir -p /tmp/tree/a/b/c; touch /tmp/tree/top /tmp/tree/a/one /tmp/tree/a/b/two",
      );
      const paths = async (depth?: number): Promise<string[]> =>
        (await machine.files.list("/tmp/tree", depth === undefined ? {} : { depth }))
          .map((entry) => entry.path)
          .toSorted();
      assert.deepEqual(await paths(), ["/tmp/tree/a", "/tmp/tree/top"]);
      assert.deepEqual(await paths(2), [
        "/tmp/tree/a",
        "/tmp/tree/a/b",
        "/tmp/tree/a/one",
        "/tmp/tree/top",
      ]);
      assert.equal((await paths(10)).length, 6);
      assert.deepEqual(await machine.files.list("/tmp/tree/a/b/c"), []);
    },
  },
  {
    name: "an entry tells name, path, type, size, mode, owner and time as the machine sees them",
    async check({ create }) {
      const machine = await create();
      await output(
        machine,
        "printf 12345 > /tmp/entry; chmod 640 /tmp/entry; touch -d 2020-02-03T04:05:06Z /tmp/entry; mkdir /tmp/dir; chmod 755 /tmp/dir",
      );
      const file = await machine.files.stat("/tmp/entry");
      assert.deepEqual(
        { ...file, modifiedAt: file.modifiedAt.toISOString() },
        {
          name: "entry",
          path: "/tmp/entry",
          type: "file",
          sizeBytes: 5,
          mode: 0o640,
          permissions: "-rw-r-----",
          owner: "user",
          group: "user",
          modifiedAt: "2020-02-03T04:05:06.000Z",
          symlinkTarget: undefined,
          metadata: {},
        },
      );
      const directory = await machine.files.stat("/tmp/dir");
      assert.deepEqual(
        [directory.type, directory.permissions, directory.mode],
        ["directory", "drwxr-xr-x", 0o755],
      );
      assert.equal((await machine.files.stat("/etc/passwd")).owner, "root");
    },
  },
  {
    name: "a link is followed inside the machine and says where it points; a dangling one and a loop are no trap",
    async check({ create }) {
      const machine = await create();
      await output(
        machine,
        "cd /tmp; echo real > target; ln -s target link; ln -s /nowhere dangling; ln -s loop-b loop-a; ln -s loop-a loop-b; mkdir d; ln -s /tmp/d dl; ln -s . d/self",
      );
      const link = await machine.files.stat("/tmp/link");
      assert.deepEqual([link.type, link.symlinkTarget], ["file", "/tmp/target"]);
      assert.equal((await machine.files.stat("/tmp/dl")).type, "directory");
      await refused(machine.files.read("/tmp/dangling"), "not-found");
      await refused(machine.files.read("/tmp/loop-a"), "invalid", "not-found");
      const listed = await machine.files.list("/tmp", { depth: 20 });
      assert.ok(listed.length < 100, "a link to its own directory is not walked");
      await machine.files.remove("/tmp/dl");
      assert.equal(
        (await machine.files.stat("/tmp/d")).type,
        "directory",
        "removing a link leaves its target",
      );
    },
  },
  {
    name: "a directory is made with its parents, and a second time says that it was there",
    async check({ create }) {
      const machine = await create();
      assert.equal(await machine.files.makeDir("/tmp/x/y/z"), true);
      assert.equal(await machine.files.makeDir("/tmp/x/y/z"), false);
      assert.equal(await output(machine, "stat -c %U /tmp/x/y/z"), "user");
      await machine.files.write("/tmp/file", bytesOf("f"));
      await refused(machine.files.makeDir("/tmp/file"), "invalid", "already-exists", "conflict");
    },
  },
  {
    name: "files and directories move, with parents made, and the new entry comes back",
    async check({ create }) {
      const machine = await create();
      await machine.files.write("/tmp/from", bytesOf("f"));
      const moved = await machine.files.move("/tmp/from", "/tmp/new/place/to");
      assert.deepEqual([moved.path, moved.name, moved.type], ["/tmp/new/place/to", "to", "file"]);
      await machine.files.move("/tmp/new", "/tmp/newer");
      assert.equal(
        await output(machine, "cat /tmp/newer/place/to; ls /tmp/from 2>&1 | grep -c 'No such'"),
        "f1",
      );
    },
  },
  {
    name: "removing takes all below, and what is missing is no error",
    async check({ create }) {
      const machine = await create();
      await output(
        machine,
        "mkdir -p /tmp/gone/a/b; touch /tmp/gone/a/b/c; ln -s /home/user /tmp/gone/home; touch /home/user/stays",
      );
      await machine.files.remove("/tmp/gone");
      await machine.files.remove("/tmp/gone");
      assert.equal(
        await output(machine, "ls /home/user/stays; test -e /tmp/gone || echo gone"),
        "/home/user/stays\ngone",
      );
    },
  },
  {
    name: "10 000 entries are listed, and a directory deeper than the bound does not hang",
    limitMs: 90_000,
    async check({ create }) {
      const machine = await create();
      await output(machine, "mkdir /tmp/wide; cd /tmp/wide; seq 10000 | xargs touch");
      assert.equal((await machine.files.list("/tmp/wide")).length, 10_000);
      await output(machine, [
        "python3",
        "-c",
        "import os\nos.chdir('/tmp')\nfor i in range(1500):\n  os.mkdir('deep'); os.chdir('deep')",
      ]);
      const listing = machine.files.list("/tmp", { depth: 4_000_000 }).then(
        (entries) => entries.length,
        () => 0,
      );
      assert.ok((await listing) >= 0);
      await machine.files.remove("/tmp/deep");
      assert.notEqual((await run(machine, "test -e /tmp/deep")).end.exitCode, 0);
    },
  },
  {
    name: "a watch reports what is created, written, renamed, changed in mode and removed",
    async check({ create }) {
      const machine = await create();
      await output(machine, "mkdir /tmp/w");
      const watch = await watched(machine, { path: "/tmp/w" }, () =>
        output(
          machine,
          "cd /tmp/w; echo a > one; chmod 600 one; mv one two; rm two; mkdir sub; sleep 0.2; echo b > sub/below",
        ),
      );
      await watch.shows("create", "one");
      await watch.shows("write", "one");
      await watch.shows("chmod", "one");
      await watch.shows("rename", "one");
      await watch.shows("create", "two");
      await watch.shows("remove", "two");
      await watch.shows("create", "sub");
      assert.ok(
        !watch.seen.some((each) => each.name === "sub/below"),
        "what is below is not reported",
      );
      await watch.stop();
    },
  },
  {
    name: "a recursive watch reports what happens in directories made later",
    async check({ create }) {
      const machine = await create();
      await output(machine, "mkdir -p /tmp/r/was");
      const watch = await watched(machine, { path: "/tmp/r", recursive: true }, () =>
        output(
          machine,
          "cd /tmp/r; echo a > was/one; mkdir -p late/r; sleep 0.5; echo b > late/r/two",
        ),
      );
      await watch.shows("create", "was/one");
      await watch.shows("create", "late/r/two");
      await watch.stop();
    },
  },
  {
    name: "a watch on a file is refused and one on what is missing is not found",
    async check({ create }) {
      const { files } = await create();
      await refused(files.watch("/etc/passwd"), "invalid");
      await refusedField(files.watch("/no/such"), "path", "not-found");
    },
  },
]);
