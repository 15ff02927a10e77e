import { chmod, mkdtemp, rm } from "node:fs/promises";
import { type Server, createServer } from "node:http";
import { type Server as RawServer, createServer as createRawServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { docker } from "../../src/drivers/docker/index.ts";
import { kata } from "../../src/drivers/kata/index.ts";
import { engineSocket } from "../../src/drivers/engine/address.ts";
import { connectEngine } from "../../src/drivers/engine/engine.ts";

let directory = "";
let open: (Server | RawServer)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "engine-test-"));
});

afterEach(async () => {
  await Promise.all(open.map((server) => new Promise((resolve) => server.close(resolve))));
  open = [];
  await rm(directory, { recursive: true, force: true });
});

/** Something real that listens where an Engine would, and answers what it is told to. */
async function answering(
  answers: Readonly<Record<string, unknown>>,
  status = 200,
): Promise<string> {
  const server = createServer((request, response) => {
    const path = (request.url ?? "").replace(/^\/v[\d.]+/, "").replace(/\?.*$/, "");
    const known = Object.hasOwn(answers, path);
    const text = typeof answers[path] === "string" ? answers[path] : JSON.stringify(answers[path]);
    response.writeHead(known ? status : 404, { connection: "close" });
    response.end(known ? text : JSON.stringify({ message: "page not found" }));
  });
  return listening(server);
}

async function saying(bytes: string): Promise<string> {
  return listening(
    createRawServer((socket) =>
      socket
        .on("error", () => undefined)
        .resume()
        .end(bytes),
    ),
  );
}

async function listening(server: Server | RawServer): Promise<string> {
  open.push(server);
  const path = join(directory, `${open.length}.sock`);
  await new Promise<void>((resolve) => {
    server.listen(path, () => resolve());
  });
  return path;
}

const version = { Version: "20.10.24", ApiVersion: "1.41", MinAPIVersion: "1.12", Os: "linux" };
const info = { DefaultRuntime: "runc", Runtimes: { runc: { path: "runc" } } };

describe("an Engine", () => {
  test("is spoken to in the newest version that both know", async () => {
    const old = await answering({ "/version": version, "/info": info });
    expect((await connectEngine(old)).api).toBe("/v1.41");
    const newest = { ...version, Version: "99.0", ApiVersion: "1.99", MinAPIVersion: "1.44" };
    const future = await answering({ "/version": newest, "/info": info });
    expect((await connectEngine(future)).api).toBe("/v1.52");
  });

  test("that is too old, or too new, is refused with what mends it", async () => {
    const old = await answering({ "/version": { ...version, ApiVersion: "1.40" }, "/info": info });
    await expect(connectEngine(old)).rejects.toMatchObject({
      code: "unavailable",
      mend: expect.stringContaining("20.10"),
    });
    const far = { ...version, ApiVersion: "1.99", MinAPIVersion: "1.90" };
    await expect(connectEngine(await answering({ "/version": far }))).rejects.toMatchObject({
      code: "unavailable",
      mend: "use a newer Cofferdam",
    });
  });

  test("that is down, or not there, is told as such", async () => {
    await expect(connectEngine(join(directory, "none.sock"))).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  test.skipIf(process.geteuid?.() !== 0)(
    "whose socket this user may not open is told as such",
    async () => {
      const socket = await answering({ "/version": version, "/info": info });
      await chmod(socket, 0o600);
      await chmod(directory, 0o755);
      process.seteuid?.(65_534);
      try {
        await expect(connectEngine(socket)).rejects.toMatchObject({
          code: "denied",
          mend: expect.stringContaining("group"),
        });
      } finally {
        process.seteuid?.(0);
      }
    },
  );

  test("that answers what no Engine answers is not trusted", async () => {
    const odd: readonly unknown[] = [
      "<html>",
      "",
      [],
      null,
      "7",
      { Version: 7 },
      { ...version, ApiVersion: "../.." },
    ];
    for (const answer of odd)
      await expect(
        connectEngine(await answering({ "/version": answer, "/info": info })),
      ).rejects.toMatchObject({ code: "untrusted" });
    await expect(
      connectEngine(await answering({ "/version": version, "/info": { Runtimes: "all" } })),
    ).rejects.toMatchObject({ code: "untrusted" });
  });

  test("that does not speak HTTP is not trusted", async () => {
    for (const bytes of ["SSH-2.0-OpenSSH_9.2\r\n", "\0\0\0\x10garbage", "HTTP/1.1 abc\r\n\r\n"])
      await expect(connectEngine(await saying(bytes))).rejects.toMatchObject({ code: "untrusted" });
    await expect(connectEngine(await saying(""))).rejects.toMatchObject({ code: "unavailable" });
  });

  test("that makes containers of another system is refused", async () => {
    const socket = await answering({ "/version": { ...version, Os: "windows" }, "/info": info });
    await expect(connectEngine(socket)).rejects.toMatchObject({ code: "unsupported" });
  });

  test("that cannot hold a limit is not used", async () => {
    const socket = await answering({ "/version": version, "/info": { ...info, PidsLimit: false } });
    const probed = await docker({ stateDir: directory, socket, allowKnownEscapes: true }).probe();
    expect(probed).toMatchObject({ ok: false, reason: expect.stringContaining("pids") });
  });
});

describe("a runtime", () => {
  test("that is not registered is refused by field, with those that are", async () => {
    const socket = await answering({ "/version": version, "/info": info });
    const probed = await docker({
      stateDir: join(directory, "state"),
      socket,
      runtime: "runsc",
    }).probe();
    expect(probed).toMatchObject({ ok: false, mend: expect.stringContaining("it has runc") });
  });

  test("with a known escape is refused, as the Engine tells its version", async () => {
    const told = { ...version, Components: [{ Name: "runc", Version: "1.1.5" }] };
    const socket = await answering({ "/version": told, "/info": info });
    const probed = await docker({ stateDir: join(directory, "state"), socket }).probe();
    expect(probed).toMatchObject({ ok: false, reason: expect.stringContaining("CVE-2024-21626") });
  });

  test("of Kata's that the Engine has not is refused, with where to get it", async () => {
    const socket = await answering({ "/version": version, "/info": info });
    expect(await kata({ stateDir: join(directory, "state"), socket }).probe()).toMatchObject({
      ok: false,
      reason: expect.stringContaining("io.containerd.kata.v2"),
      mend: expect.stringContaining("3.31"),
    });
  });
});

describe("the socket", () => {
  test("comes from the option, then DOCKER_HOST", () => {
    const environment = { DOCKER_HOST: "unix:///tmp/other.sock" };
    expect(engineSocket("/tmp/one.sock", environment)).toBe("/tmp/one.sock");
    expect(engineSocket(undefined, environment)).toBe("/tmp/other.sock");
  });

  test("is one of this host: what comes over a network is refused by field", () => {
    for (const host of [
      "tcp://10.0.0.1:2375",
      "ssh://user@host",
      "npipe:////./pipe/docker",
      "https://host",
    ])
      expect(() => engineSocket(undefined, { DOCKER_HOST: host })).toThrow(
        expect.objectContaining({ code: "unsupported", field: "DOCKER_HOST" }),
      );
    for (const path of ["relative.sock", "unix://relative", "/a\0b", `/${"x".repeat(200)}`])
      expect(() => engineSocket(path)).toThrow(
        expect.objectContaining({ code: "invalid", field: "socket" }),
      );
  });
});

describe("options", () => {
  test("that would open the host are refused in every spelling", () => {
    for (const name of [
      "privileged",
      "Privileged",
      "binds",
      "Binds",
      "volumes",
      "mounts",
      "devices",
      "pidMode",
      "PidMode",
      "ipcMode",
      "networkMode",
      "capAdd",
      "securityOpt",
      "HostConfig",
      "labels",
      "annotations",
      "cgroupParent",
    ])
      expect(() => docker({ stateDir: "/tmp/x", [name]: true })).toThrow(
        expect.objectContaining({ code: "invalid", field: name }),
      );
  });

  test("name images by their digest alone", () => {
    const digest = `sha256:${"0".repeat(64)}`;
    expect(() => docker({ stateDir: "/tmp/x", images: { mine: digest } })).not.toThrow();
    for (const image of ["debian", "debian:latest", "sha256:0", `debian@sha256:0`, "../x", ""])
      expect(() => docker({ stateDir: "/tmp/x", images: { mine: image } })).toThrow(
        expect.objectContaining({ code: "invalid", field: "images.mine" }),
      );
    expect(() => docker({ stateDir: "/tmp/x", runtime: "--privileged" })).toThrow(
      expect.objectContaining({ code: "invalid", field: "runtime" }),
    );
  });
});
