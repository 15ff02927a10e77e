import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openStore } from "../../src/store/open-store.ts";
import { cofferdam, stateDir, subjects } from "../cli/cofferdam.ts";
import { type Served, call, served } from "./serve.ts";

const server = served();
const driver = (await subjects()).find(({ absent }) => absent === undefined)?.name;
const unknownId = "iaaaaaaaaaaaaaaaaaaaa";

async function keyOf(tenant: string): Promise<Pick<Served, "url" | "key">> {
  const { stdout } = await cofferdam(["key", "create", "--tenant", tenant]);
  return { url: server.now().url, key: stdout.trim() };
}

function idIn(body: unknown): string {
  if (typeof body === "object" && body !== null && "sandboxID" in body)
    return String(body.sandboxID);
  throw new Error(`no sandbox: ${JSON.stringify(body)}`);
}

describe("the door", () => {
  test("what needs no key answers without one", async () => {
    for (const path of ["ready", "health", "version", "openapi.json"]) {
      const answer = await fetch(`${server.now().url}/cofferdam/v1/${path}`);
      expect([path, answer.status]).toEqual([path, 200]);
    }
  });

  test("no key, a wrong key, a malformed one and a revoked one are all 401 with the status in the body", async () => {
    const { url } = server.now();
    const { stdout } = await cofferdam(["key", "create", "--json"]);
    const { id, secret }: { id: string; secret: string } = JSON.parse(stdout);
    expect((await call({ url, key: secret }, "GET /v2/sandboxes")).status).toBe(200);
    expect((await cofferdam(["key", "revoke", id])).code).toBe(0);
    const wrong = ["", `e2b_${"0".repeat(40)}`, "not a key", secret];
    for (const key of wrong) {
      const { status, body } = await call({ url, key }, "GET /v2/sandboxes");
      expect(status).toBe(401);
      expect(body).toMatchObject({ code: 401, message: expect.any(String) });
    }
    const { stdout: listed } = await cofferdam(["key", "ls", "--json"]);
    expect(listed).not.toContain(secret);
  });

  test("every operation of the document is there, asks for a key, and no other path is", async () => {
    const { url } = server.now();
    const document: {
      paths: Record<string, Record<string, { security?: unknown }>>;
    } = JSON.parse(await (await fetch(`${url}/cofferdam/v1/openapi.json`)).text());
    for (const [path, methods] of Object.entries(document.paths))
      for (const [method, { security }] of Object.entries(methods)) {
        const route = `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, "x")}`;
        const { status } = await call({ url, key: "" }, route);
        expect([route, status]).toEqual([route, security === undefined ? 200 : 401]);
      }
    const { status, body } = await call(server.now(), "GET /v9/sandboxes");
    expect([status, body]).toMatchObject([404, { code: 404 }]);
  });

  test("a body that is no JSON, too long, or of the wrong types is refused by field, before anything starts", async () => {
    const { url, key } = server.now();
    const send = async (body: string): Promise<unknown> => {
      const headers = { "x-api-key": key, "content-type": "application/json" };
      return (await fetch(`${url}/v2/sandboxes`, { method: "POST", headers, body })).json();
    };
    const cases: readonly (readonly [string, string])[] = [
      ["{", "body"],
      [JSON.stringify({ templateID: "a".repeat(2 * 1_048_576) }), "body"],
      ["[]", "body"],
      ["{}", "templateID"],
      ['{"templateID":"base","timeout":"long"}', "timeout"],
      ['{"templateID":"base","timeout":0}', "timeout"],
      ['{"templateID":"base","timeout":100000000}', "timeout"],
      ['{"templateID":"base","metadata":{"a":1}}', "metadata.a"],
      ['{"templateID":"base","metadata":{"cofferdam.server":"1"}}', "metadata.cofferdam.server"],
      [
        '{"templateID":"base","metadata":{"cofferdam.driver":"chroot"}}',
        "metadata.cofferdam.driver",
      ],
      ['{"templateID":"base","envVars":{"A=B":"1"}}', "envVars.A=B"],
      ['{"templateID":"base","network":{"maskRequestHost":"a\\r\\nb"}}', "network.maskRequestHost"],
      ['{"templateID":"base","autoPauseMemory":false}', "autoPauseMemory"],
    ];
    for (const [body, field] of cases)
      expect([body.slice(0, 60), await send(body)]).toMatchObject([
        body.slice(0, 60),
        { code: 400, message: expect.stringContaining(field) },
      ]);
    const { body } = await call(server.now(), "GET /v2/sandboxes");
    expect(body).toEqual([]);
  });

  test("what nothing here enforces is refused with 501 by field", async () => {
    const wishes = {
      allow_internet_access: true,
      "network.allowOut": { network: { allowOut: ["example.org"] } },
      "network.rules": { network: { rules: { "example.org": [{}] } } },
      "network.egressProxy": { network: { egressProxy: { address: "proxy:1080" } } },
      "network.httpsPorts": { network: { httpsPorts: [443] } },
      mcp: { mcp: { server: {} } },
      iam: { iam: { tokens: { name: {} } } },
      volumeMounts: { volumeMounts: [{ name: "a", path: "/a" }] },
    };
    for (const [field, wish] of Object.entries(wishes)) {
      const body = { templateID: "base", ...(wish === true ? { [field]: true } : wish) };
      const { status, body: answer } = await call(server.now(), "POST /v2/sandboxes", body);
      expect([field, status]).toEqual([field, 501]);
      expect(answer).toMatchObject({ code: 501, message: expect.stringContaining(field) });
    }
    for (const route of ["POST /v3/templates", "GET /volumes", "GET /teams"])
      expect((await call(server.now(), route)).body).toMatchObject({ code: 501 });
  });

  test("a list's parameters are judged, and odd metadata is no failure of the server", async () => {
    for (const query of [
      "limit=0",
      "limit=101",
      "state=gone",
      "order=up",
      "nextToken=x",
      "startedAfter=soon",
      "metadata=%25zz",
    ])
      expect([query, (await call(server.now(), `GET /v2/sandboxes?${query}`)).body]).toMatchObject([
        query,
        { code: 400 },
      ]);
  });

  test("a sandbox that is not there is 404 in every operation, whatever its id looks like", async () => {
    const body = { timeout: 60 };
    for (const id of [unknownId, "nonsense", "..%2f..", `${unknownId}-client`])
      for (const route of [
        `GET /sandboxes/${id}`,
        `DELETE /sandboxes/${id}`,
        `POST /sandboxes/${id}/connect`,
        `POST /v2/sandboxes/${id}/connect`,
        `POST /sandboxes/${id}/timeout`,
        `POST /sandboxes/${id}/pause`,
        `POST /sandboxes/${id}/snapshots`,
        `POST /sandboxes/${id}/fork`,
        `GET /sandboxes/${id}/metrics`,
        `GET /sandboxes/${id}/logs`,
        `PUT /sandboxes/${id}/network`,
      ]) {
        const answer = await call(
          server.now(),
          route,
          route.startsWith("GET") || route.startsWith("DELETE") ? undefined : body,
        );
        expect([route, answer.status, answer.body]).toMatchObject([route, 404, { code: 404 }]);
      }
  });

  test("a client that says half a request and nothing more is let go, and the server lives", async () => {
    const socket = connect(server.now().port, "127.0.0.1");
    socket.write("POST /v2/sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
    const [answer] = await once(socket, "data");
    expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /);
    socket.destroy();
    expect((await fetch(`${server.now().url}/cofferdam/v1/ready`)).status).toBe(200);
  });

  test("templates are told by name and alias", async () => {
    const { body } = await call(server.now(), "GET /templates");
    expect(body).toEqual(expect.arrayContaining([expect.objectContaining({ templateID: "base" })]));
    const alias = await call(server.now(), "GET /templates/aliases/code-interpreter-v1");
    expect(alias).toMatchObject({ status: 200, body: { templateID: "code-interpreter" } });
    expect((await call(server.now(), "GET /templates/aliases/nothing")).body).toMatchObject({
      code: 404,
    });
    expect((await call(server.now(), "DELETE /templates/base")).body).toMatchObject({ code: 403 });
    expect((await call(server.now(), "DELETE /templates/a%2Fb:c")).body).toMatchObject({
      code: 404,
    });
  });
});

describe.skipIf(driver === undefined)("tenants", () => {
  const wish = { templateID: "base", metadata: { "cofferdam.driver": driver ?? "" }, timeout: 120 };

  test("one does not see what another has", async () => {
    const [mine, theirs] = [await keyOf("mine"), await keyOf("theirs")];
    const made = await call(mine, "POST /v2/sandboxes", wish);
    expect(made).toMatchObject({
      status: 201,
      body: {
        templateID: "base",
        envdAccessToken: expect.stringMatching(/^[0-9a-f]{64}$/),
        domain: `localhost:${server.now().port}`,
      },
    });
    const sandboxID = idIn(made.body);
    for (const [route, body] of [
      [`GET /sandboxes/${sandboxID}`, undefined],
      [`DELETE /sandboxes/${sandboxID}`, undefined],
      [`POST /sandboxes/${sandboxID}/connect`, { timeout: 5 }],
      [`POST /sandboxes/${sandboxID}/timeout`, { timeout: 0 }],
      [`GET /sandboxes/${sandboxID}/metrics`, undefined],
      [`GET /sandboxes/${sandboxID}/logs`, undefined],
    ] as const)
      expect([route, (await call(theirs, route, body)).body]).toMatchObject([route, { code: 404 }]);
    expect((await call(theirs, "GET /v2/sandboxes")).body).toEqual([]);
    expect((await call(theirs, `GET /sandboxes/metrics?sandbox_ids=${sandboxID}`)).body).toEqual({
      sandboxes: {},
    });
    expect((await call(mine, "GET /v2/sandboxes")).headers.get("x-total-running")).toBe("1");
    const { body: logs } = await call(mine, `GET /sandboxes/${sandboxID}/logs`);
    expect(JSON.stringify(logs)).toContain("sandbox.create: ok");
    const { body: audit } = await call(theirs, "GET /cofferdam/v1/audit");
    expect(JSON.stringify(audit)).not.toContain('"sandbox.create"');
    expect((await call(mine, `DELETE /sandboxes/${sandboxID}`)).status).toBe(204);
    expect((await call(mine, `DELETE /sandboxes/${sandboxID}`)).body).toMatchObject({ code: 404 });
  });

  test("one that is at its limits is told when to come again", async () => {
    const full = await keyOf("full");
    {
      await using store = await openStore({ directory: join(stateDir, "server") });
      const tenant = await store.tenants.named("full");
      await store.tenants.setLimits(tenant?.id ?? "", { maxSandboxes: 1, createsPerMinute: 2 });
    }
    const made = await call(full, "POST /v2/sandboxes", wish);
    expect(made.status).toBe(201);
    const second = await call(full, "POST /v2/sandboxes", wish);
    expect(second).toMatchObject({ status: 429, body: { code: 429 } });
    expect(second.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    await call(full, `DELETE /sandboxes/${idIn(made.body)}`);
    const again = await call(full, "POST /v2/sandboxes", wish);
    expect(again.status).toBe(201);
    await call(full, `DELETE /sandboxes/${idIn(again.body)}`);
    const third = await call(full, "POST /v2/sandboxes", wish);
    expect(third).toMatchObject({ status: 429, body: { code: 429 } });
    expect(Number(third.headers.get("retry-after"))).toBeGreaterThan(20);
  });

  test("version 1 is insecure unless told, and what version 1 says by habit is no refusal", async () => {
    const body = { ...wish, allow_internet_access: true, unknownField: 1 };
    const made = await call(server.now(), "POST /sandboxes", body);
    expect(made.status).toBe(201);
    expect(made.body).not.toHaveProperty("envdAccessToken");
    const sandboxID = idIn(made.body);
    const headers = {
      "e2b-sandbox-id": sandboxID,
      "e2b-sandbox-port": "49983",
      "content-type": "application/json",
    };
    const answer = await fetch(`${server.now().url}/process.Process/List`, {
      method: "POST",
      headers,
      body: "{}",
    });
    expect(answer.status).toBe(200);
    const { body: info } = await call(server.now(), `GET /sandboxes/${sandboxID}`);
    expect(info).toMatchObject({ allowInternetAccess: false });
    const network = await call(server.now(), `PUT /sandboxes/${sandboxID}/network`, {
      denyOut: ["0.0.0.0/0"],
    });
    expect(network.status).toBe(204);
    const refused = await call(server.now(), `PUT /sandboxes/${sandboxID}/network`, {
      allowOut: ["1.1.1.1"],
    });
    expect(refused.body).toMatchObject({ code: 501, message: expect.stringContaining("allowOut") });
    const { body: later } = await call(server.now(), `GET /sandboxes/${sandboxID}`);
    expect(later).toMatchObject({ network: { denyOut: ["0.0.0.0/0"] } });
    const without = { ...wish, network: { allowPublicTraffic: false } };
    expect((await call(server.now(), "POST /sandboxes", without)).body).toMatchObject({
      code: 400,
      message: expect.stringContaining("network.allowPublicTraffic"),
    });
    await call(server.now(), `DELETE /sandboxes/${sandboxID}`);
  });

  test("our own call takes a driver, limits and an idle time-out", async () => {
    const body = {
      templateID: "base",
      driver,
      resources: { memoryMiB: 128, cpus: 0.5 },
      idleTimeoutMs: 1000,
      timeout: 120,
    };
    const made = await call(server.now(), "POST /cofferdam/v1/sandboxes", body);
    expect(made.status).toBe(201);
    const sandboxID = idIn(made.body);
    const { body: report } = await call(
      server.now(),
      `GET /cofferdam/v1/sandboxes/${sandboxID}/enforcement`,
    );
    expect(report).toMatchObject({
      driver,
      report: expect.arrayContaining([
        expect.objectContaining({ option: "resources.memoryMiB", value: "128 MiB, no swap" }),
      ]),
    });
    await expect
      .poll(async () => (await call(server.now(), `GET /sandboxes/${sandboxID}`)).status, {
        timeout: 20_000,
      })
      .toBe(404);
    const wrong = { ...body, resources: { memory: 1 } };
    expect((await call(server.now(), "POST /cofferdam/v1/sandboxes", wrong)).body).toMatchObject({
      code: 400,
      message: expect.stringContaining("resources.memory"),
    });
  });
});
