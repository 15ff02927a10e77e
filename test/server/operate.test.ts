import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Sandbox } from "e2b";
import Libsql from "libsql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cofferdam, program, scratch, stateDir } from "../cli/cofferdam.ts";
import { type Served, call, serve, tellClients } from "./serve.ts";
import { type TraceReceiver, traceReceiver } from "./trace-receiver.ts";

const secretValue = "what-only-the-sandbox-knows";
const wrongKey = `e2b_${"0".repeat(40)}`;
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const callerSpan = "00f067aa0ba902b7";

/** Everything that was handed out in this run. */
const secrets: string[] = [secretValue, wrongKey];
let server: Served;
let receiver: TraceReceiver;
let sandbox: Sandbox;
let tenantId: string;

const operatorToken = (): string =>
  readFileSync(join(stateDir, "server/operator-token"), "utf8").trim();

beforeAll(async () => {
  receiver = await traceReceiver();
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url;
  server = await serve(["--port", "0", "--end-sandboxes", "--log-level", "debug"]);
  delete process.env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  tellClients(server);
  secrets.push(server.key, operatorToken());
  sandbox = await Sandbox.create("base", {
    envs: { SECRET: secretValue },
    network: { allowPublicTraffic: false },
  });
  secrets.push(sandbox.trafficAccessToken ?? "");
  await sandbox.files.write("/tmp/file", "x".repeat(100_000));
  await sandbox.commands.run("echo done");
  const address = await sandbox.downloadUrl("/tmp/file");
  secrets.push(new URL(address).searchParams.get("signature") ?? "");
  await (await fetch(address, { headers: { "accept-encoding": "identity" } })).text();
});

afterAll(async () => {
  await server.end("SIGTERM");
  await receiver[Symbol.asyncDispose]();
});

async function scraped(headers: Record<string, string>): Promise<Response> {
  return fetch(`${server.url}/metrics`, { headers });
}

describe("requests", () => {
  test("keep the id that their caller gave them, in the answer and in the log", async () => {
    const answer = await fetch(`${server.url}/sandboxes/${sandbox.sandboxId}`, {
      headers: { "x-api-key": server.key, "x-request-id": "from-the-caller.1" },
    });
    expect(answer.headers.get("x-request-id")).toBe("from-the-caller.1");
    const line = await logged("from-the-caller.1");
    expect(line).toMatchObject({
      level: "info",
      message: "request",
      sandboxId: sandbox.sandboxId,
      operation: "sandbox.get",
      route: "GET /sandboxes/:id",
      status: 200,
    });
    expect(line).toEqual(
      expect.objectContaining({ time: expect.any(String), durationMs: expect.any(Number) }),
    );
    tenantId = String(line["tenantId"]);
    expect(tenantId).toMatch(/^t/);
  });

  test("get another id where the given one may not stand in a log", async () => {
    for (const given of ["two words", "x".repeat(65), server.key, "a\u00e4"]) {
      const answer = await fetch(`${server.url}/cofferdam/v1/version`, {
        headers: { "x-request-id": given },
      });
      expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f]{16}$/);
    }
  });

  test("to a sandbox are logged, too, with whose it is and how much went through", async () => {
    await expect
      .poll(() => lines().filter(({ message }) => message === "traffic").length)
      .toBeGreaterThan(2);
    const download = lines().find(
      ({ message, route }) => message === "traffic" && route === "GET /files",
    );
    expect(download).toMatchObject({
      level: "debug",
      sandboxId: sandbox.sandboxId,
      status: 200,
      bytesOut: 100_000,
    });
    expect(download?.["tenantId"]).toMatch(/^t/);
  });
});

describe("counts for Prometheus", () => {
  test("are for the operator alone", async () => {
    for (const headers of [
      {},
      { "x-api-key": server.key },
      { authorization: `Bearer ${server.key}` },
      { authorization: "Bearer cofferdam_operator_x" },
    ])
      expect((await scraped(headers)).status).toBe(401);
  });

  test("tell creations, sandboxes, failures, bytes, the store and the process, and name nobody", async () => {
    await call(server, "GET /sandboxes/inobodyhasthisid00000");
    const answer = await scraped({ authorization: `Bearer ${operatorToken()}` });
    expect(answer.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    const text = await answer.text();
    const value = (pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
    expect(
      value(/^cofferdam_sandbox_create_seconds_count\{driver="\w+",template="base"\} (\d+)/m),
    ).toBe(1);
    expect(value(/^cofferdam_sandboxes\{state="running"\} (\d+)/m)).toBe(1);
    expect(value(/^cofferdam_sandboxes\{state="paused"\} (\d+)/m)).toBe(0);
    expect(
      value(/^cofferdam_call_failures_total\{operation="sandbox.get",code="not-found"\} (\d+)/m),
    ).toBeGreaterThan(0);
    expect(value(/^cofferdam_proxy_bytes_total\{direction="in"\} (\d+)/m)).toBeGreaterThan(100_000);
    expect(value(/^cofferdam_proxy_bytes_total\{direction="out"\} (\d+)/m)).toBeGreaterThan(99_999);
    expect(value(/^cofferdam_store_seconds_count\{operation="write"\} (\d+)/m)).toBeGreaterThan(1);
    expect(value(/^process_resident_memory_bytes (\d+)/m)).toBeGreaterThan(1_000_000);
    for (const name of [tenantId, sandbox.sandboxId, ...secrets]) expect(text).not.toContain(name);
  });
});

describe("the status", () => {
  test("of this host's server is told without its address", async () => {
    const { stdout } = await cofferdam(["status"]);
    expect(stdout.replaceAll(/ +/g, " ")).toContain(`server ${server.url}, version`);
    expect(stdout).toMatch(/^sandboxes .*\b1 running/m);
    expect(stdout).toMatch(/^certificate +none/m);
    const json: unknown = JSON.parse((await cofferdam(["status", "--json"])).stdout);
    expect(json).toMatchObject({
      url: server.url,
      stateDir,
      isReady: true,
      sandboxes: { running: 1 },
      store: { works: true },
      certificate: null,
    });
  });

  test("is a tenant's own for a tenant's key, and the whole for the operator's token", async () => {
    const words = ["status", "--json"];
    expect(await told(words, server.key)).toMatchObject({
      tenant: "default",
      sandboxes: { running: 1 },
    });
    expect(await told(words, operatorToken())).toMatchObject({
      url: server.url,
      pid: server.child.pid,
    });
  });

  test("of no server is an error that says so", async () => {
    using directory = scratch();
    const { code, stderr } = await cofferdam(["status", "--state-dir", directory.path]);
    expect([code, stderr]).toEqual([69, expect.stringContaining("cofferdam serve")]);
  });
});

describe("the record", () => {
  test("is searched here and from afar, page by page", async () => {
    for (let count = 0; count < 5; count += 1) await call(server, "GET /sandboxes/none");
    const words = ["audit", "ls", "--since", "1h", "--tenant", tenantId];
    const here = records(await cofferdam([...words, "--limit", "0", "--json"]));
    expect(here.length).toBeGreaterThan(5);
    const filters = ["--action", "sandbox.get", "--result", "404", "--limit", "4", "--json"];
    const missed = records(await cofferdam([...words, ...filters]));
    expect(missed.map(({ action, result }) => [action, result])).toEqual(
      Array.from({ length: 4 }, () => ["sandbox.get", "404"]),
    );
    const own = records(
      await afar(["audit", "ls", "--sandbox", sandbox.sandboxId, "--json"], server.key),
    );
    expect(own.map(({ action }) => action)).toContain("sandbox.create");
    expect(own.every((record) => record["tenantId"] === tenantId)).toBe(true);
  });

  test("is verified here and by the operator, and its break is found", async () => {
    using directory = scratch();
    const { code, stdout } = await cofferdam(["audit", "verify"]);
    expect(code).toBe(0);
    const head = /(\d+:[0-9a-f]{64})/.exec(stdout)?.[1] ?? "";
    expect((await cofferdam(["audit", "verify", "--expect", head])).code).toBe(0);
    expect(await told(["audit", "verify", "--json"], operatorToken())).toMatchObject({ ok: true });

    const copy = join(directory.path, "copy.sqlite");
    expect((await cofferdam(["backup", copy])).stdout).toBe(`${copy}\n`);
    expect((await cofferdam(["backup", copy])).code).toBe(73);
    const restored = join(directory.path, "state");
    mkdirSync(join(restored, "server"), { recursive: true });
    copyFileSync(copy, join(restored, "server/store.sqlite"));
    const verify = ["audit", "verify", "--state-dir", restored];
    expect((await cofferdam(verify)).code).toBe(0);
    tamper(join(restored, "server/store.sqlite"));
    const broken = await cofferdam(verify);
    expect([broken.code, broken.stdout]).toEqual([
      76,
      expect.stringContaining("at entry 2 (changed)"),
    ]);
  });
});

test("traces of calls, creations and what goes to sandboxes arrive where OpenTelemetry's variables say", async () => {
  await fetch(`${server.url}/v2/sandboxes`, {
    headers: { "x-api-key": server.key, traceparent: `00-${traceId}-${callerSpan}-01` },
  });
  await expect.poll(() => names(), { timeout: 30_000 }).toContain("sandbox.list");
  const spans = new Map(receiver.spans.map((each) => [each.spanId, each]));
  const listed = receiver.spans.find(({ name }) => name === "sandbox.list");
  expect(listed).toMatchObject({ traceId, parentId: callerSpan });
  const made = receiver.spans.find(({ name }) => name === "machine.create");
  expect(spans.get(made?.parentId ?? "")?.name).toBe("sandbox.create");
  const stages = receiver.spans.filter(({ parentId }) => parentId === made?.parentId);
  expect(stages.map(({ name }) => name)).toContain("store.write");
  expect(names()).toContain("proxy agent");
  for (const secret of secrets) expect(receiver.said()).not.toContain(secret);
});

test("nothing that was handed out stands in the log", async () => {
  const made = await call(server, "POST /v2/sandboxes", { templateID: "base", timeout: 60 });
  secrets.push(textAt(made.body, "envdAccessToken"));
  await call({ url: server.url, key: wrongKey }, "GET /sandboxes");
  await fetch(`${server.url}/sandboxes/${server.key}`, { headers: { "x-api-key": server.key } });
  await fetch(`${server.url}/files?path=/tmp/file&signature=${secrets.at(-2)}`);
  await call(server, `DELETE /sandboxes/${textAt(made.body, "sandboxID")}`);
  await expect.poll(() => lines().at(-1)?.["operation"]).toBe("sandbox.kill");
  expect(secrets.filter((secret) => secret.length < 16)).toEqual([]);
  const log = server.lines.join("\n");
  expect(secrets.filter((secret) => log.includes(secret))).toEqual([]);
});

type Line = Readonly<Record<string, unknown>>;

function lines(): readonly Line[] {
  return server.lines.filter((line) => line.startsWith("{")).map((line): Line => JSON.parse(line));
}

/** The line of the log that is about a request. */
async function logged(requestId: string): Promise<Line> {
  const find = (): Line | undefined => lines().find((line) => line["requestId"] === requestId);
  await expect.poll(find).toBeDefined();
  return find() ?? {};
}

function names(): readonly string[] {
  return receiver.spans.map(({ name }) => name);
}

/** The command line on another host. */
async function afar(
  words: readonly string[],
  key: string,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  return promisify(execFile)(process.execPath, [program, ...words, "--server", server.url], {
    env: { ...process.env, COFFERDAM_API_KEY: key },
  });
}

async function told(words: readonly string[], key: string): Promise<unknown> {
  const { stdout, stderr } = await afar(words, key);
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

function records({ stdout }: { readonly stdout: string }): readonly Line[] {
  return stdout
    .trim()
    .split("\n")
    .map((line): Line => JSON.parse(line));
}

function textAt(body: unknown, name: string): string {
  if (typeof body !== "object" || body === null) throw new Error("it is no object");
  return String(Object.getOwnPropertyDescriptor(body, name)?.value);
}

/** Changes a record as somebody with the file in their hands can. */
function tamper(file: string): void {
  const database = new Libsql(file);
  const triggers = database
    .prepare("select name from sqlite_master where type = 'trigger' and tbl_name = 'audit'")
    .pluck()
    .all();
  for (const name of triggers) database.exec(`drop trigger "${String(name)}"`);
  database.exec("update audit set body = replace(body, '\"ok\"', '\"no\"') where seq = 2");
  database.close();
}
