import {
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
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
