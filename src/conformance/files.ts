import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { Machine } from "../core/driver.ts";
import { type Case, topic } from "./case.ts";
import { output, refused, refusedField, run, sha256, within } from "./run.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytesOf = (value: string): Uint8Array => Buffer.from(value);

async function read(machine: Machine, path: string): Promise<string> {
  return text(await (await machine.files.read(path)).bytes());
}

function chunked(data: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= data.length) return controller.close();
      controller.enqueue(data.subarray(at, at + size));
      at += size;
    },
  });
}

export const fileCases: readonly Case[] = topic("files", [
  {
    name: "files of 0 bytes, 1 byte, 1 MiB and 100 MiB go in and come out unchanged",
    limitMs: 120_000,
    async check({ create }) {
      const machine = await create();
      for (const size of [0, 1, 1 << 20, 100 << 20]) {
        const data = randomBytes(size);
        const info = await machine.files.write(`/tmp/sized-${size}`, data);
        assert.deepEqual(info, { name: `sized-${size}`, path: `/tmp/sized-${size}`, type: "file" });
        const inside = await output(machine, `sha256sum < /tmp/sized-${size}`);
        assert.equal(inside.slice(0, 64), sha256(data), `${size} bytes inside`);
        const content = await machine.files.read(`/tmp/sized-${size}`);
        assert.equal(content.sizeBytes, size);
        assert.equal(sha256(await content.bytes()), sha256(data), `${size} bytes back`);
        await machine.files.remove(`/tmp/sized-${size}`);
      }
    },
  },
  {
    name: "a file is written from a stream and read as one",
    async check({ create }) {
      const machine = await create();
      const data = randomBytes(5_000_001);
      await machine.files.write("/tmp/streamed", chunked(data, 70_000));
      const content = await machine.files.read("/tmp/streamed");
      const parts: Uint8Array[] = [];
      for await (const part of content.stream()) parts.push(part);
      assert.equal(sha256(Buffer.concat(parts)), sha256(data));
    },
  },
  {
    name: "a part of a file is read by offset and length",
    async check({ create }) {
      const machine = await create();
      await machine.files.write("/tmp/parts", bytesOf("0123456789"));
      const part = async (options: { offset?: number; length?: number }): Promise<string> =>
        text(await (await machine.files.read("/tmp/parts", options)).bytes());
      assert.equal(await part({ offset: 3, length: 4 }), "3456");
      assert.equal(await part({ offset: 8 }), "89");
      assert.equal(await part({ length: 2 }), "01");
      assert.equal(await part({ offset: 8, length: 100 }), "89");
      assert.equal(await part({ offset: 10 }), "");
    },
  },
  {
    name: "a download that is left half-way leaves the machine answering",
    async check({ create }) {
      const machine = await create();
      await output(machine, "head -c 200000000 /dev/zero > /tmp/big");
      const reader = (await machine.files.read("/tmp/big")).stream().getReader();
      await reader.read();
      await reader.cancel();
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "an upload that is broken off half-way leaves no half-written file",
    async check({ create }) {
      const machine = await create();
      await machine.files.write("/tmp/kept", bytesOf("before"));
      const broken = new ReadableStream<Uint8Array>({
        pull(controller) {
          controller.enqueue(randomBytes(100_000));
          if (Math.random() < 0.2) controller.error(new Error("the source broke"));
        },
      });
      await assert.rejects(machine.files.write("/tmp/kept", broken));
      assert.equal(await within("the check", 10_000, read(machine, "/tmp/kept")), "before");
    },
  },
  {
    name: "parents are made on writing, and what was there is replaced",
    async check({ create }) {
      const machine = await create();
      await machine.files.write("/home/user/a/b/c/file", bytesOf("a longer one"));
      await machine.files.write("/home/user/a/b/c/file", bytesOf("short"));
      assert.equal(await read(machine, "/home/user/a/b/c/file"), "short");
      assert.equal(
        await output(machine, "stat -c %U /home/user/a /home/user/a/b/c/file"),
        "user\nuser",
      );
    },
  },
  {
    name: "relative paths and ~ start at the user's home",
    async check({ create }) {
      const machine = await create();
      assert.equal((await machine.files.write("rel/one", bytesOf("1"))).path, "/home/user/rel/one");
      assert.equal((await machine.files.write("~/two", bytesOf("2"))).path, "/home/user/two");
      assert.equal(await output(machine, "cat /home/user/rel/one /home/user/two"), "12");
      assert.equal(
        (await machine.files.write("three", bytesOf("3"), { user: "root" })).path,
        "/root/three",
      );
    },
  },
  {
    name: "many files go in with one call",
    async check({ create }) {
      const machine = await create();
      const files = Array.from({ length: 500 }, (_, index) => ({
        path: `/tmp/many/${index % 10}/${index}`,
        data: bytesOf(`content ${index}`),
      }));
      const written = await machine.files.writeMany(files);
      assert.deepEqual(
        written.map((each) => each.path),
        files.map((each) => each.path),
      );
      assert.equal(
        await output(machine, "find /tmp/many -type f | wc -l; cat /tmp/many/9/499"),
        "500\ncontent 499",
      );
      assert.deepEqual(await machine.files.writeMany([]), []);
    },
  },
  {
    name: "names with spaces, quotes, line ends, unicode and percent signs stay as they are",
    async check({ create }) {
      const machine = await create();
      const names = [
        "a b",
        "q\"u'o",
        "üñï ☃ 漢字 🙂",
        "%2e%2e",
        "new\nline",
        "-rf",
        "semi;colon&?#",
        "back\\slash",
        "\u2028",
      ];
      for (const name of names) await machine.files.write(`/tmp/names/${name}`, bytesOf(name));
      const listed = (await machine.files.list("/tmp/names")).map((entry) => entry.name);
      assert.deepEqual(listed.toSorted(), names.toSorted());
      for (const name of names) {
        assert.equal(await read(machine, `/tmp/names/${name}`), name);
        assert.equal((await machine.files.stat(`/tmp/names/${name}`)).path, `/tmp/names/${name}`);
      }
    },
  },
  {
    name: "metadata is kept with a file and replaced at the next write",
    mayRefuse: true,
    async check({ create }) {
      const machine = await create();
      await machine.files.write("/home/user/meta", bytesOf("x"), {
        metadata: { origin: "here", kind: "test" },
      });
      assert.deepEqual((await machine.files.stat("/home/user/meta")).metadata, {
        origin: "here",
        kind: "test",
      });
      await machine.files.write("/home/user/meta", bytesOf("y"), { metadata: { kind: "other" } });
      assert.deepEqual((await machine.files.stat("/home/user/meta")).metadata, { kind: "other" });
    },
  },
  {
    name: "the file API acts with the rights of the user it is used for",
    async check({ create }) {
      const machine = await create();
      await machine.files.write("/root/secret", bytesOf("s"), { user: "root" });
      await refused(machine.files.read("/root/secret"), "denied", "not-found");
      await refused(machine.files.write("/root/mine", bytesOf("m")), "denied", "not-found");
      await refused(machine.files.write("/etc/passwd", bytesOf("m")), "denied");
      await refused(machine.files.remove("/root/secret"), "denied", "not-found");
      await refused(machine.files.list("/root"), "denied");
      await refused(machine.files.makeDir("/usr/mine"), "denied");
      await refused(
        machine.files.move("/etc/hostname", "/tmp/h"),
        "denied",
        "invalid",
        "conflict",
        "not-found",
      );
      assert.equal(await output(machine, "cat /root/secret", { user: "root" }), "s");
      await refusedField(
        machine.files.read("/tmp", { user: "no-such-user" }),
        "user",
        "unauthenticated",
        "invalid",
        "not-found",
      );
    },
  },
  {
    name: "reading a directory, and listing a file, are typed errors",
    async check({ create }) {
      const machine = await create();
      await refused(machine.files.read("/etc"), "invalid");
      await refused(machine.files.list("/etc/passwd"), "invalid");
      await refused(machine.files.write("/etc", bytesOf("x"), { user: "root" }), "invalid");
      await refused(
        machine.files.write("/etc/passwd/below", bytesOf("x"), { user: "root" }),
        "invalid",
        "not-found",
        "denied",
      );
    },
  },
  {
    name: "what is missing is not found, by path",
    async check({ create }) {
      const { files } = await create();
      for (const attempt of [
        () => files.read("/no/file"),
        () => files.stat("/no/file"),
        () => files.list("/no/dir"),
        () => files.move("/no/a", "/tmp/b"),
      ])
        await refusedField(attempt(), "path", "not-found");
      await files.remove("/no/file");
    },
  },
  {
    name: "reading a FIFO, a socket, a device or an endless file does not hang and does not fill memory",
    limitMs: 90_000,
    async check({ create }) {
      const machine = await create();
      await output(
        machine,
        `mkfifo /tmp/fifo; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('/tmp/sock')"`,
      );
      for (const path of ["/tmp/fifo", "/tmp/sock"])
        await refused(
          within(
            path,
            15_000,
            machine.files.read(path).then(async (content) => content.bytes()),
          ),
          "invalid",
          "denied",
          "unavailable",
        );
      for (const path of ["/dev/zero", "/dev/full"]) {
        const reading = machine.files
          .read(path, { length: 1000 })
          .then(async (content) => (await content.bytes()).length);
        const size = await within(
          path,
          15_000,
          reading.catch(() => 0),
        );
        assert.ok(size <= 1000, `${path} gave ${size} bytes`);
      }
      await refused(
        within("a write", 15_000, machine.files.write("/tmp/fifo", bytesOf("x"))),
        "invalid",
        "denied",
        "conflict",
      ).catch(async () =>
        assert.ok(
          (await machine.files.stat("/tmp/fifo")).sizeBytes <= 1,
          "the FIFO was replaced by a file",
        ),
      );
      assert.equal(await output(machine, "echo still"), "still");
    },
  },
  {
    name: "files of /proc, whose size is said to be 0, are read whole",
    async check({ create }) {
      const machine = await create();
      assert.match(await read(machine, "/proc/version"), /^Linux/);
    },
  },
  {
    name: "a full disk is told as such, leaves the old file, and is usable again after a removal",
    limitMs: 120_000,
    async check({ create }) {
      const machine = await create({ resources: { diskMiB: 64 } });
      await machine.files.write("/home/user/kept", bytesOf("before"));
      const error = await refused(
        machine.files.write("/home/user/kept", randomBytes(200 << 20)),
        "disk-full",
      );
      assert.ok(error.mend !== undefined, "the error says what mends it");
      assert.equal(await read(machine, "/home/user/kept"), "before");
      assert.equal(
        await output(machine, "ls -A /home/user | grep -v '^\\.' "),
        "kept",
        "nothing half-written is left",
      );
      await output(machine, "head -c 200000000 /dev/zero > /home/user/filler || true");
      await refused(machine.files.write("/home/user/more", randomBytes(4 << 20)), "disk-full");
      await machine.files.remove("/home/user/filler");
      await machine.files.write("/home/user/more", randomBytes(1 << 20));
      assert.equal((await run(machine, "echo ok")).stdout, "ok\n");
    },
  },
]);
