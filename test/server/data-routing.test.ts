import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { admits, isHidden } from "../../src/server/data/admission.ts";
import { readHost, readPort, readSandboxId } from "../../src/server/data/host-name.ts";
import { type Facts, routeOf } from "../../src/server/data/route.ts";
import { readSignedUrl, signedBy, signerAmong } from "../../src/server/data/signed-url.ts";

const domain = "sbx.localhost";
const id = fc.stringMatching(/^[a-z0-9]{1,21}$/);
const port = fc.integer({ min: 1, max: 65_535 });

function facts(
  headers: Record<string, string> | readonly string[],
  more: Partial<Facts> = {},
): Facts {
  const rawHeaders = Array.isArray(headers) ? headers : Object.entries(headers).flat();
  return { method: "GET", target: "/", httpVersion: "1.1", rawHeaders, ...more };
}

describe("the host name of a sandbox", () => {
  test("leads to its port and id, in any case, with any port of the server, with an old client id", () => {
    const parts = fc.record({
      sandbox: id,
      wanted: port,
      own: fc.option(port),
      client: fc.option(id),
      upper: fc.boolean(),
    });
    fc.assert(
      fc.property(parts, ({ sandbox, wanted, own, client, upper }) => {
        const label = `${wanted}-${sandbox}${client === null ? "" : `-${client}`}`;
        const host = `${label}.${domain}${own === null ? "" : `:${own}`}`;
        const read = readHost(upper ? host.toUpperCase() : host, domain);
        expect(read).toEqual({ kind: "sandbox", id: sandbox, port: wanted });
      }),
    );
  });

  test("has one spelling: what reads as a sandbox is written as one", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...Array.from("0189-.a_i:%@/[] \t")), maxLength: 24 }),
        (label) => {
          const read = readHost(`${label}.${domain}`, domain);
          const spelling = read.kind === "sandbox" ? `^${read.port}-${read.id}(-[a-z0-9]+)?$` : "";
          expect(label).toMatch(new RegExp(spelling));
        },
      ),
      { numRuns: 2000 },
    );
  });

  test.each([
    "08080-iabc",
    "+80-iabc",
    "0-iabc",
    "65536-iabc",
    "99999999-iabc",
    "80-",
    "80--iabc",
    "80-i_abc",
    "80-a.b",
    "8080-iabc-",
  ])("%s is refused", (label) => {
    expect(readHost(`${label}.${domain}`, domain)).not.toHaveProperty("id");
    expect(routeOf(facts({ Host: `${label}.${domain}` }), domain).kind).not.toBe("sandbox");
  });

  test.each([
    "8080-iabc.evil.example",
    "8080-iabc.sbx.localhost.evil.example",
    "8080-iabc.evilsbx.localhost",
    `8080-iabc.${domain}.`,
  ])("%s is not of the domain", (host) => {
    expect(readHost(host, domain)).not.toHaveProperty("id");
  });

  test.each([
    "",
    "a b",
    "a\tb",
    "a/b",
    "user@localhost",
    "localhost:",
    "localhost:999999",
    "[::1",
    "ä.localhost",
    "localhost,localhost",
  ])("%j is no host", (host) => {
    expect(routeOf(facts({ Host: host }), domain)).toMatchObject({ kind: "refused" });
  });
});

describe("headers that name a sandbox", () => {
  const named = { "E2b-Sandbox-Id": "iabc", "e2b-sandbox-port": "49983" };

  test.each([
    "localhost",
    "localhost:3999",
    "LOCALHOST",
    "127.0.0.1:3999",
    "10.1.2.3",
    "[::1]:3999",
    `sandbox.${domain}`,
    `sandbox.${domain}:8443`,
  ])("count at %s", (host) => {
    expect(routeOf(facts({ Host: host, ...named }), domain)).toEqual({
      kind: "sandbox",
      id: "iabc",
      port: 49_983,
      by: "headers",
    });
  });

  test.each([
    "example.com",
    domain,
    `api.${domain}`,
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    `x.sandbox.${domain}`,
    "sandbox.example.com",
    "[::1].evil",
    "0x7f.1",
  ])("do not count at %s", (host) => {
    expect(routeOf(facts({ Host: host, ...named }), domain)).not.toHaveProperty("id");
  });

  test("never win over a host name", () => {
    fc.assert(
      fc.property(fc.tuple(id, port), fc.tuple(id, port), ([own, ownPort], [other, otherPort]) => {
        const headers = {
          Host: `${ownPort}-${own}.${domain}`,
          "E2b-Sandbox-Id": other,
          "E2b-Sandbox-Port": String(otherPort),
        };
        expect(routeOf(facts(headers), domain)).toMatchObject({
          id: own,
          port: ownPort,
          by: "host",
        });
      }),
    );
  });

  test("whatever they say, the way is a canonical one or a refusal", () => {
    fc.assert(
      fc.property(
        fc.oneof(id, fc.string()),
        fc.oneof(port.map(String), fc.string()),
        (first, second) => {
          const route = routeOf(
            facts({ Host: "localhost", "E2b-Sandbox-Id": first, "E2b-Sandbox-Port": second }),
            domain,
          );
          expect(["sandbox", "refused"]).toContain(route.kind);
          if (route.kind !== "sandbox") return;
          expect(readSandboxId(first)).toBe(route.id);
          expect(String(readPort(second))).toBe(second);
          expect(route.id).toMatch(/^[a-z0-9]+$/);
        },
      ),
    );
  });

  test("are refused twice, alone, or out of range", () => {
    const host = { Host: "localhost" };
    for (const headers of [
      [
        "Host",
        "localhost",
        "E2b-Sandbox-Id",
        "ia",
        "e2b-sandbox-id",
        "ib",
        "E2b-Sandbox-Port",
        "1",
      ],
      [
        "Host",
        "localhost",
        "E2b-Sandbox-Id",
        "ia",
        "E2b-Sandbox-Port",
        "1",
        "E2b-Sandbox-Port",
        "2",
      ],
      Object.entries({ ...host, "E2b-Sandbox-Id": "ia" }).flat(),
      Object.entries({ ...host, "E2b-Sandbox-Port": "80" }).flat(),
      Object.entries({ ...host, "E2b-Sandbox-Id": "ia", "E2b-Sandbox-Port": "65536" }).flat(),
    ])
      expect(routeOf(facts(headers), domain)).toMatchObject({ kind: "refused" });
  });
});

describe("a request that two servers could read differently", () => {
  const host = ["Host", `80-iabc.${domain}`];

  test("is refused", () => {
    for (const headers of [
      [...host, "Host", `81-iabc.${domain}`],
      [...host, "host", host[1] ?? ""],
      [...host, "Transfer-Encoding", "chunked", "Content-Length", "3"],
      [...host, "Transfer-Encoding", "gzip, chunked"],
      [...host, "Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"],
      [...host, "Transfer-Encoding", "\u000bchunked"],
      [...host, "Content-Length", "3", "Content-Length", "3"],
      [...host, "Content-Length", "+3"],
      [...host, "Content-Length", "3, 3"],
    ])
      expect(routeOf(facts(headers), domain)).toMatchObject({
        kind: "refused",
      });
  });

  test.each(["http://other.example/", "*", "other:80", "/a b", "/\u00ff", "/#\u0000"])(
    "target %j is refused",
    (target) => {
      expect(routeOf(facts(host, { target }), domain)).toMatchObject({ kind: "refused" });
    },
  );
});

const sign = (parts: readonly (string | number)[]): string =>
  `v1_${createHash("sha256").update(parts.join(":")).digest("base64").replace(/=+$/, "")}`;

describe("a signed address", () => {
  const text = fc
    .string({ unit: "grapheme", maxLength: 40 })
    .filter((value) => Buffer.from(value).toString() === value);

  test("leads to the sandbox whose token made it, and to no other", () => {
    const parts = fc.record({
      path: text,
      user: text,
      isRead: fc.boolean(),
      expires: fc.integer({ min: 1000, max: 10_000_000_000 }),
      lasts: fc.boolean(),
      secrets: fc.uniqueArray(text, { minLength: 2, maxLength: 8 }),
    });
    fc.assert(
      fc.property(parts, ({ path, user, isRead, expires, lasts, secrets }) => {
        const tokens = secrets.map((secret, index) => ({
          id: `i${index}`,
          accessToken: `t${secret}`,
        }));
        const operation = isRead ? "read" : "write";
        const signature = sign([
          path,
          operation,
          user,
          tokens[0]?.accessToken ?? "",
          ...(lasts ? [] : [expires]),
        ]);
        const query = new URLSearchParams({ path, username: user, signature });
        if (!lasts) query.set("signature_expiration", String(expires));
        const judged = (method: string, among: typeof tokens, nowMs: number): unknown => {
          const url = readSignedUrl(method, `/files?${query.toString()}`);
          return url === undefined ? "not read" : signedBy(url, among, nowMs);
        };
        const method = isRead ? "GET" : "POST";
        expect(judged(method, tokens, 999_000)).toEqual({ kind: "sandbox", id: "i0" });
        expect(judged(method, tokens.slice(1), 999_000)).toEqual({ kind: "nobody" });
        expect(judged(isRead ? "POST" : "GET", tokens, 999_000)).toEqual({ kind: "nobody" });
        expect(judged(method, tokens, (expires + 1) * 1000)).toMatchObject({
          kind: lasts ? "sandbox" : "expired",
        });
      }),
    );
  });

  test("is found among thousands of sandboxes, whichever made it, while other work goes on", async () => {
    const tokens = Array.from({ length: 10_000 }, (_, index) => ({
      id: `i${index}`,
      accessToken: `t${index}`,
    }));
    for (const made of [0, 255, 256, 5000, 9999]) {
      const signature = sign(["/a", "read", "", `t${made}`]);
      const url = readSignedUrl(
        "GET",
        `/files?${new URLSearchParams({ path: "/a", signature }).toString()}`,
      );
      if (url === undefined) throw new Error("it was not read");
      let turns = 0;
      const clock = setInterval(() => (turns += 1), 0);
      expect(await signerAmong(url, tokens, 0)).toEqual({ kind: "sandbox", id: `i${made}` });
      clearInterval(clock);
      expect(turns).toBeGreaterThan(0);
      expect(await signerAmong(url, tokens.toSpliced(made, 1), 0)).toEqual({ kind: "nobody" });
    }
  });

  test("that is no signature is not tried", () => {
    for (const target of [
      "/files?path=/a",
      "/files?signature=",
      "/files?signature=v1_short",
      "/files?signature=v2_" + "a".repeat(43),
      "/other?signature=v1_" + "a".repeat(43),
      `/files?signature=v1_${"a".repeat(43)}&signature_expiration=1e9`,
    ])
      expect(readSignedUrl("GET", target)).toBeUndefined();
    expect(readSignedUrl("DELETE", `/files?signature=v1_${"a".repeat(43)}`)).toBeUndefined();
  });
});

describe("what is not for tenants", () => {
  test("does not exist, however it is spelled", () => {
    for (const path of [
      "/init",
      "/freeze",
      "/%69nit",
      "/upgrade?x",
      "/%66%72eeze",
      "/fsthaw",
      "/collapse",
    ]) {
      expect([path, isHidden(path, 49_983)]).toEqual([path, true]);
      expect([path, isHidden(path, 49_999)]).toEqual([path, true]);
      expect([path, isHidden(path, 8080)]).toEqual([path, false]);
    }
    for (const path of [
      "/execute",
      "/contexts",
      "/contexts/x",
      "/%63ontexts",
      "/contexts?source=sdk",
    ]) {
      expect([path, isHidden(path, 49_983)]).toEqual([path, true]);
      expect([path, isHidden(path, 49_999)]).toEqual([path, false]);
    }
    for (const path of ["/files?path=/init", "/health", "/process.Process/Start", "/%"])
      expect([path, isHidden(path, 49_983)]).toEqual([path, false]);
  });

  test("needs the traffic token on every port but the agent's", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.option(fc.string(), { nil: undefined }),
        port,
        (trafficToken, given, wanted) => {
          const visit = { port: wanted, trafficToken: given };
          expect(admits({ allowPublicTraffic: true, trafficToken }, visit)).toBe(true);
          expect(admits({ allowPublicTraffic: false, trafficToken }, visit)).toBe(
            wanted === 49_983 || given === trafficToken,
          );
          expect(admits({ allowPublicTraffic: false, trafficToken: undefined }, visit)).toBe(
            wanted === 49_983,
          );
        },
      ),
    );
  });
});
