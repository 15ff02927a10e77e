import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { serverAddress } from "./server-options.ts";

const directory = mkdtempSync(join(tmpdir(), "cofferdam-server-options-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, content: string, mode = 0o600): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const key = `e2b_${"0".repeat(40)}`;
const server = "http://127.0.0.1:3999";

describe("a server is named", () => {
  test("by options, or by variables, of which the option counts", () => {
    const environment = {
      COFFERDAM_SERVER: "http://localhost:1",
      COFFERDAM_API_KEY: "from-variable",
    };
    expect(serverAddress({}, environment)).toEqual({
      url: "http://localhost:1",
      apiKey: "from-variable",
      ca: undefined,
    });
    expect(serverAddress({ server: `${server}/`, apiKey: key }, environment)).toMatchObject({
      url: server,
      apiKey: key,
    });
  });

  test("by nobody: the host itself; an empty variable is none", () => {
    expect(serverAddress({}, { COFFERDAM_API_KEY: key, COFFERDAM_SERVER: "" })).toBeUndefined();
  });

  test("with a key and certificates in files", () => {
    const pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    const flags = {
      server: "https://h.example:8443",
      apiKeyFile: file("key", `${key}\n`),
      ca: file("ca", pem, 0o644),
    };
    expect(serverAddress(flags, {})).toEqual({
      url: "https://h.example:8443",
      apiKey: key,
      ca: pem,
    });
    const fromVariable = { COFFERDAM_SERVER: server, COFFERDAM_API_KEY_FILE: flags.apiKeyFile };
    expect(serverAddress({}, fromVariable)).toMatchObject({ apiKey: key });
  });

  test("on another host in the clear, when told that its network is the user's own", () => {
    const flags = { server: "http://10.1.2.3", apiKey: key, plainHttp: true } as const;
    expect(serverAddress(flags, {})).toMatchObject({ url: "http://10.1.2.3" });
  });
});

const refusals = [
  ["no address", { server: "sandboxes" }, { code: "invalid", field: "server" }],
  ["another scheme", { server: "ftp://h" }, { code: "invalid", field: "server" }],
  ["a path", { server: `${server}/v1` }, { code: "invalid", field: "server" }],
  [
    "a password in the address",
    { server: "http://a:b@localhost" },
    { code: "invalid", field: "server" },
  ],
  [
    "another host in the clear",
    { server: "http://10.1.2.3", apiKey: key },
    { code: "denied", field: "server" },
  ],
  [
    "a name that begins as loopback does",
    { server: "http://127.0.0.1.example.org", apiKey: key },
    { code: "denied", field: "server" },
  ],
  ["no key", { server }, { code: "unauthenticated", field: "apiKey" }],
  [
    "a key with a line end",
    { server, apiKey: "abc\r\nHost: x" },
    { code: "invalid", field: "apiKey" },
  ],
  ["two keys", { server, apiKey: key, apiKeyFile: "x" }, { code: "invalid", field: "apiKeyFile" }],
  ["a key without a server", { apiKey: key }, { code: "invalid", field: "apiKey" }],
  [
    "a key file that is not there",
    { server, apiKeyFile: "/no/such" },
    { code: "not-found", field: "apiKeyFile" },
  ],
  [
    "a key file that is a device",
    { server, apiKeyFile: "/dev/zero" },
    { code: "invalid", field: "apiKeyFile" },
  ],
  [
    "a directory of certificates",
    { server, apiKey: key, ca: "/etc" },
    { code: "invalid", field: "ca" },
  ],
  [
    "certificates that are none",
    { server, apiKey: key, ca: "/etc/passwd" },
    { code: "invalid", field: "ca" },
  ],
] as const;

describe("refused by field", () => {
  test.each(refusals)("%s", (_, flags, wanted) => {
    expect(() => serverAddress(flags, {})).toThrow(expect.objectContaining(wanted));
  });

  test("a key file that others may read, with what mends it and without the key", () => {
    const apiKeyFile = file("open", key, 0o640);
    const act = (): unknown => serverAddress({ server, apiKeyFile }, {});
    expect(act).toThrow(
      expect.objectContaining({ code: "denied", mend: `chmod 600 ${apiKeyFile}` }),
    );
    expect(act).not.toThrow(key);
  });

  test("a password in an address is not said again", () => {
    expect(() => serverAddress({ server: "http://user:secret@localhost" }, {})).not.toThrow(
      "secret",
    );
  });
});
