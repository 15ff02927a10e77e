import {
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { connect as connectPlain } from "node:net";
import { type ConnectionOptions, type PeerCertificate, type TLSSocket, connect } from "node:tls";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { devCertificates } from "../../src/cli/serve/dev-certificates.ts";
import { cofferdam, scratch, stateDir, subjects } from "../cli/cofferdam.ts";
import { namesBelow } from "./names.ts";
import { type Served, serve } from "./serve.ts";

const drivers = await subjects();
const authority = join(stateDir, "server/dev-tls/ca.crt");
const python = "build/clients/python/bin/python";
const client = join(import.meta.dirname, "tls-client.mjs");

describe("a development certificate", () => {
  let server: Served;
  beforeAll(async () => {
    server = await serve(["--port", "0", "--end-sandboxes", "--dev-tls"]);
  });
  afterAll(async () => {
    await server.end("SIGTERM");
  });

  for (const { name: driver, absent } of drivers) {
    test.skipIf(absent !== undefined)(
      `unmodified SDKs use ${driver} by names below the domain`,
      async () => {
        using directory = scratch();
        await using names = await namesBelow("cofferdam.localhost", directory.path);
        const seen: unknown = JSON.parse(
          await names.run([process.execPath, client, driver], {
            E2B_API_KEY: server.key,
            E2B_DOMAIN: `cofferdam.localhost:${server.port}`,
            NODE_EXTRA_CA_CERTS: authority,
          }),
        );
        expect(seen).toEqual(expected);
      },
    );
    test.skipIf(absent !== undefined)(`unmodified SDKs use ${driver} by one address`, async () => {
      using directory = scratch();
      await using names = await namesBelow("cofferdam.localhost", directory.path);
      const seen: unknown = JSON.parse(
        await names.run([process.execPath, client, driver], {
          E2B_API_KEY: server.key,
          E2B_API_URL: `https://localhost:${server.port}`,
          E2B_SANDBOX_URL: `https://localhost:${server.port}`,
          NODE_EXTRA_CA_CERTS: authority,
        }),
      );
      expect(seen).toEqual(expected);
    });
  }

  for (const { name: driver, absent } of drivers)
    test.skipIf(absent !== undefined || !existsSync(python))(
      `unmodified Python packages use ${driver} by names below the domain`,
      async () => {
        using directory = scratch();
        await using names = await namesBelow("cofferdam.localhost", directory.path);
        const printed = await names.run([python, "test/python/run.py", "sync", driver], {
          E2B_API_KEY: server.key,
          E2B_DOMAIN: `cofferdam.localhost:${server.port}`,
          SSL_CERT_FILE: authority,
          PYTHONDONTWRITEBYTECODE: "1",
        });
        const cases = printed.trim().split("\n");
        expect(cases.length).toBeGreaterThan(20);
        const failed = cases.filter((line) => "failed" in JSON.parse(line));
        expect(failed.join("\n")).toBe("");
      },
      300_000,
    );

  test("its keys are their owner's alone, and clients are told how to trust it", () => {
    const modes = ["", "ca.key", "server.key"].map(
      (name) => statSync(join(stateDir, "server/dev-tls", name)).mode & 0o777,
    );
    expect(modes).toEqual([0o700, 0o600, 0o600]);
    const told = server.lines.join("\n");
    for (const word of ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
      expect(told).toContain(`${word}=${authority}`);
  });

  test("HTTP/1.1 is agreed on, and what is older than TLS 1.2 is not", async () => {
    const socket = await shaken(server.port, { ALPNProtocols: ["h2", "http/1.1"] });
    expect(socket.alpnProtocol).toBe("http/1.1");
    socket.destroy();
    await expect(
      shaken(server.port, { maxVersion: "TLSv1.1", minVersion: "TLSv1" }),
    ).rejects.toThrow(/alert|protocol|ECONNRESET/i);
  });
});

/** What comes back for bytes that are no beginning of TLS, until the server hangs up. */
function answerTo(port: number, bytes: Uint8Array | string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectPlain(port, "127.0.0.1", () => void socket.write(bytes));
    let heard = "";
    socket.on("data", (piece) => void (heard += piece.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(heard));
  });
}

describe("attacks on TLS", () => {
  let server: Served;
  const lives = async (): Promise<void> => {
    const socket = await shaken(server.port);
    expect(await said(socket)).toContain("HTTP/1.1 200");
    socket.destroy();
  };
  beforeAll(async () => {
    server = await serve(["--port", "0", "--end-sandboxes", "--dev-tls"]);
  });
  afterAll(async () => {
    await server.end("SIGTERM");
  });

  test("plain HTTP is told to come by https, and hears nothing else", async () => {
    const answer = await answerTo(
      server.port,
      "GET /cofferdam/v1/ready HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain("https://");
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
    await lives();
  });

  test.each([
    ["bytes of no meaning", Buffer.concat([Buffer.of(0), randomBytes(4096)])],
    ["an alert at once", Buffer.from("15030100020228", "hex")],
    ["a greeting without end", greeting(0xff_ff_ff)],
    ["a greeting of no bytes", greeting(0)],
    [
      "a record that is longer than records are",
      Buffer.from(`160301ffff${"00".repeat(100)}`, "hex"),
    ],
    ["SSL of the last century", Buffer.from(`802e0100020015000000${"10".repeat(40)}`, "hex")],
  ])("%s: the connection ends, and others are answered", async (_, bytes) => {
    expect(await answerTo(server.port, bytes)).not.toContain("HTTP/");
    await lives();
  });

  test("a client that greets slowly or not at all is let go", async () => {
    const halves = ["", Buffer.from("1603", "hex")].map((bytes) => answerTo(server.port, bytes));
    expect((await Promise.all(halves)).join("")).not.toContain("HTTP/");
    await lives();
  });

  test("keys are not agreed on anew", async () => {
    const socket = await shaken(server.port, { maxVersion: "TLSv1.2" });
    socket.on("error", () => undefined);
    const outcome = new Promise<string>((resolve) => {
      socket.once("close", () => resolve("closed"));
      socket.renegotiate({}, (error) => resolve(error === null ? "agreed" : "refused"));
    });
    expect(await outcome).not.toBe("agreed");
    socket.destroy();
    await lives();
  });

  test("the name that TLS is asked for opens nothing: the way is Host's, and the token's", async () => {
    for (const servername of ["49983-iaaaaaaaaaaaaaaaaaaaa.cofferdam.localhost", "other.test"]) {
      const socket = await shaken(server.port, { servername });
      expect(nameOf(socket)).toContain("cofferdam.localhost");
      expect(await said(socket)).toContain("HTTP/1.1 200");
      socket.destroy();
    }
  });
});

/** The beginning of a greeting that says how long it is, and as much of it as a server reads. */
function greeting(length: number): Buffer {
  const head = Buffer.from([1, length >> 16, (length >> 8) & 255, length & 255]);
  const bytes = Buffer.concat([head, Buffer.alloc(Math.min(length, 300_000), 3)]);
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 16_384) {
    const piece = bytes.subarray(at, at + 16_384);
    records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece);
  }
  return Buffer.concat(records);
}

test("TLS on a port without it stands in the log once, with what mends it", async () => {
  const server = await serve(["--port", "0"]);
  try {
    for (let turn = 0; turn < 3; turn += 1)
      await expect(shaken(server.port)).rejects.toThrow(
        /wrong version|packet|ECONNRESET|disconnected/i,
      );
    expect(await answerTo(server.port, "nonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    await expect.poll(() => server.lines.join("\n")).toContain("--dev-tls");
    expect(server.lines.filter((line) => line.includes("speaks TLS"))).toHaveLength(1);
  } finally {
    await server.end("SIGTERM");
  }
});

const expected = {
  text: "42",
  file: "kept",
  command: "kept\n",
  terminal: true,
  page: "https:kept",
  uploadStatus: 200,
  downloaded: "sent",
  forged: 401,
  again: "kept",
  listed: [true],
  tunnel: "echoed",
  webSocket: "hello, wss",
  pauses: [true, false],
  paused: "paused",
  resumed: ["kept", "awake"],
  copies: ["kept", "kept", "kept"],
  differ: 4,
  dropped: true,
  killed: "failed",
  running: false,
};

test("new files are taken while the server runs, bad ones are not, and connections live on", async () => {
  using directory = scratch();
  const made = await devCertificates(join(directory.path, "made"), "one.test");
  const later = await devCertificates(join(directory.path, "later"), "two.test");
  const files = {
    certificate: join(directory.path, "tls.crt"),
    key: join(directory.path, "tls.key"),
  };
  const put = (from: typeof files): void => {
    for (const kind of ["certificate", "key"] as const) {
      copyFileSync(from[kind], `${files[kind]}.new`);
      renameSync(`${files[kind]}.new`, files[kind]);
    }
  };
  put(made.files);
  const words = ["--domain", "one.test", "--tls-cert", files.certificate, "--tls-key", files.key];
  const server = await serve(["--port", "0", ...words]);
  try {
    const first = await shaken(server.port);
    expect(nameOf(first)).toContain("one.test");

    put(later.files);
    await expect.poll(() => nameNow(server.port), { timeout: 20_000 }).toContain("two.test");
    expect(await said(first)).toContain("HTTP/1.1 200");

    writeFileSync(files.key, "no key");
    server.child.kill("SIGHUP");
    await expect
      .poll(() => server.lines.join("\n"), { timeout: 20_000 })
      .toContain("the new certificate is not taken");
    expect(await nameNow(server.port)).toContain("two.test");

    put(made.files);
    server.child.kill("SIGHUP");
    await expect.poll(() => nameNow(server.port), { timeout: 20_000 }).toContain("one.test");
    expect(await said(first)).toContain("HTTP/1.1 200");
    first.destroy();
    expect(server.lines.join("\n")).not.toContain(readFileSync(files.key, "utf8").split("\n")[1]);
  } finally {
    expect(await server.end("SIGTERM")).toBe(143);
  }
});

test("wrong pairs, halves of pairs and open doors are refused by name", async () => {
  using directory = scratch();
  const one = await devCertificates(join(directory.path, "one"), "one.test");
  const two = await devCertificates(join(directory.path, "two"), "two.test");
  const { certificate, key } = one.files;
  expect(await refused("--tls-cert", certificate)).toMatch(/^64 .*go together.*--tls-key/s);
  expect(await refused("--tls-cert", certificate, "--tls-key", two.files.key)).toMatch(
    /^64 .*is not the key of.*mend/s,
  );
  expect(await refused("--tls-cert", key, "--tls-key", key)).toMatch(/^64 .*holds no certificate/s);
  expect(await refused("--tls-cert", "/none", "--tls-key", key)).toMatch(/^66 .*cannot be read/s);
  expect(await refused("--host", "0.0.0.0")).toMatch(/^77 .*nothing encrypts.*--tls-cert/s);
});

async function shaken(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ ...options, port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  return socket;
}

function nameOf(socket: TLSSocket): string {
  const certificate: PeerCertificate = socket.getPeerCertificate();
  return certificate.subjectaltname ?? "";
}

async function nameNow(port: number): Promise<string> {
  const socket = await shaken(port);
  const name = nameOf(socket);
  socket.destroy();
  return name;
}

/** What the server answers on the connection to a question that needs no key. */
async function said(socket: TLSSocket): Promise<string> {
  socket.write("GET /cofferdam/v1/ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const [bytes]: unknown[] = await once(socket, "data");
  return String(bytes);
}

/** The exit code and the words of a server that does not start. */
async function refused(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await cofferdam(["serve", "--port", "0", ...words]);
  expect(stdout).toBe("");
  return `${code} ${stderr.replaceAll(/^\{.*\n/gm, "")}`;
}
