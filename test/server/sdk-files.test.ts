import { FilesystemEventType, NotFoundError, Sandbox } from "e2b";
import { Sandbox as Older } from "e2b-2-45";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { subjects } from "../cli/cofferdam.ts";
import { isSdk, served } from "./serve.ts";

const drivers = await subjects();
const sdks: readonly (readonly [string, unknown])[] = [
  ["e2b 2.51", Sandbox],
  ["e2b 2.45", Older],
];
const server = served();

for (const { name: driver, absent } of drivers)
  describe.skipIf(absent !== undefined).each(sdks)(`files on ${driver} by %s`, (_, sdk) => {
    if (!isSdk(sdk)) throw new Error("not an SDK");
    let sandbox: Sandbox;
    beforeAll(async () => {
      const metadata = { "cofferdam.driver": driver };
      sandbox = await sdk.create("base", { metadata, timeoutMs: 300_000 });
    });
    afterAll(async () => {
      await sandbox.kill();
    });

    test("are written and read in every form", async () => {
      const path = "/home/user/new/ümlaut name.txt";
      const written = await sandbox.files.write(path, "text ü");
      expect(written).toMatchObject({ path, name: "ümlaut name.txt", type: "file" });
      expect(await sandbox.files.read(path)).toBe("text ü");
      const bytes = new Uint8Array(300_000).map((_value, index) => index % 251);
      await sandbox.files.write("bytes", bytes.buffer);
      expect(await sandbox.files.read("/home/user/bytes", { format: "bytes" })).toEqual(bytes);
      await sandbox.files.write("blob", new Blob(["from a blob"]));
      const blob = await sandbox.files.read("blob", { format: "blob" });
      expect(await blob.text()).toBe("from a blob");
      await sandbox.files.write("stream", new Blob(["from a stream"]).stream());
      const stream = await sandbox.files.read("stream", { format: "stream" });
      expect(await new Response(stream).text()).toBe("from a stream");
      const both = await sandbox.files.write([
        { path: "many/a", data: "1" },
        { path: "many/b", data: "2" },
      ]);
      expect(both.map(({ name }) => name)).toEqual(["a", "b"]);
    });

    test("are listed, moved, told about and removed", async () => {
      expect(await sandbox.files.makeDir("/tmp/tree/deep")).toBe(true);
      expect(await sandbox.files.makeDir("/tmp/tree/deep")).toBe(false);
      await sandbox.files.write("/tmp/tree/deep/leaf", "leaf");
      const listed = await sandbox.files.list("/tmp/tree", { depth: 2 });
      expect(listed.map(({ path }) => path)).toEqual(["/tmp/tree/deep", "/tmp/tree/deep/leaf"]);
      const moved = await sandbox.files.rename("/tmp/tree/deep/leaf", "/tmp/tree/other");
      expect(moved.path).toBe("/tmp/tree/other");
      expect(await sandbox.files.getInfo("/tmp/tree/other")).toMatchObject({
        type: "file",
        size: 4,
        permissions: "-rw-r--r--",
        owner: "user",
      });
      await sandbox.files.remove("/tmp/tree");
      expect(await sandbox.files.exists("/tmp/tree/other")).toBe(false);
      const missing = await sandbox.files.read("/tmp/none").catch((error: unknown) => error);
      expect(missing).toMatchObject({ name: expect.stringMatching(/NotFoundError$/) });
      expect(NotFoundError.name).toBe("NotFoundError");
    });

    test("are watched", async () => {
      await sandbox.files.makeDir("/tmp/watched/inner");
      const seen: string[] = [];
      const handle = await sandbox.files.watchDir(
        "/tmp/watched",
        ({ type, name }) => void seen.push(`${type} ${name}`),
        { recursive: true },
      );
      await sandbox.files.write("/tmp/watched/inner/file", "1");
      await expect
        .poll(() => seen, { timeout: 20_000 })
        .toContain(`${FilesystemEventType.CREATE} inner/file`);
      await sandbox.files.remove("/tmp/watched/inner/file");
      await expect
        .poll(() => seen, { timeout: 20_000 })
        .toContain(`${FilesystemEventType.REMOVE} inner/file`);
      await handle.stop();
    });

    test("come by signed addresses, which are good for one path and their time", async () => {
      await sandbox.files.write("/home/user/signed", "signed");
      const url = await sandbox.downloadUrl("/home/user/signed");
      expect(url.startsWith(server.now().url)).toBe(true);
      expect(await (await fetch(url)).text()).toBe("signed");
      const other = url.replace("signed&", "bytes&");
      expect(other).not.toBe(url);
      expect((await fetch(other)).status).toBe(401);
      const target = await sandbox.uploadUrl("/home/user/uploaded", {
        useSignatureExpiration: 60_000,
      });
      const form = new FormData();
      form.append("file", new Blob(["uploaded"]), "uploaded");
      expect((await fetch(target, { method: "POST", body: form })).status).toBe(200);
      expect(await sandbox.files.read("/home/user/uploaded")).toBe("uploaded");
      const old = await sandbox.downloadUrl("/home/user/signed", { useSignatureExpiration: -10 });
      const expired = await fetch(old);
      expect(expired.status).toBe(401);
      expect(await expired.json()).toEqual({
        code: 401,
        message: "signature is already expired",
      });
    });

    test("and commands are for the holder of the token alone", async () => {
      const headers = {
        "e2b-sandbox-id": sandbox.sandboxId,
        "e2b-sandbox-port": "49983",
        "content-type": "application/json",
      };
      const list = (token?: string): Promise<Response> =>
        fetch(`${server.now().url}/process.Process/List`, {
          method: "POST",
          body: "{}",
          headers: token === undefined ? headers : { ...headers, "x-access-token": token },
        });
      expect((await list()).status).toBe(401);
      expect((await list("wrong")).status).toBe(401);
      const file = `${server.now().url}/files?path=/home/user/signed`;
      expect((await fetch(file, { headers })).status).toBe(401);
      const init = `${server.now().url}/init`;
      expect((await fetch(init, { method: "POST", headers })).status).toBe(404);
    });
  });
