import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { expect, test } from "vitest";
import type { Driver } from "../../src/core/driver.ts";
import { SandboxError } from "../../src/core/errors.ts";
import { sandboxSpec } from "../../src/conformance/spec.ts";
import { e2b } from "../../src/drivers/e2b/index.ts";
import { refusalOf } from "../support/refusals.ts";

const id = "iaaaaaaaaaaaaaaaaaaaa";
const spec = sandboxSpec({
  resources: { cpus: 2, memoryMiB: 512, diskMiB: 1024, pids: 512, openFiles: 4096 },
});
const sandbox = {
  sandboxID: id,
  templateID: "base",
  clientID: "x",
  envdVersion: "0.6.13",
  envdAccessToken: "token",
};
const listed = {
  ...sandbox,
  startedAt: "2026-01-01T00:00:00Z",
  endAt: "2026-01-01T01:00:00Z",
  state: "running",
  cpuCount: 2,
  memoryMB: 512,
};

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A service that is none of ours and answers everything but the question for its kind in one way. */
async function withService(
  answer: Answer,
  work: (driver: Driver, asked: readonly string[]) => Promise<void>,
): Promise<void> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    if (request.url === "/cofferdam/v1/version")
      return reply(404, { code: 404 })(request, response);
    asked.push(`${request.method} ${request.url?.split("?")[0]}`);
    return answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it does not listen");
  const url = `http://127.0.0.1:${address.port}`;
  try {
    const options = { apiKey: "k", apiUrl: url, sandboxUrl: url, requestTimeoutMs: 4000 };
    await work(await e2b(options), asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function reply(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (_, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
}

function slowly(request: IncomingMessage, response: ServerResponse): void {
  const answer = request.method === "DELETE" ? reply(204, "") : reply(201, sandbox);
  setTimeout(() => answer(request, response), 300);
}

async function all(driver: Driver): Promise<number> {
  let count = 0;
  for await (const _ of driver.list()) count += 1;
  return count;
}

const nonsense: Readonly<Record<string, Answer>> = {
  "text that is not JSON": reply(200, "<html>"),
  "an empty answer": reply(200, ""),
  "an answer of another shape": reply(201, { sandboxID: 7 }),
  "an id that is a path": reply(201, { ...sandbox, sandboxID: "../../etc/passwd" }),
  "a token that breaks a header": reply(201, { ...sandbox, envdAccessToken: "a\r\nhost: b" }),
  "a domain that is an address with a path": reply(201, { ...sandbox, domain: "a.example/x?" }),
  "a redirection": reply(302, "", { location: "http://127.0.0.1:1/" }),
  "more bytes than anybody reads": (_, response) => {
    const block = "x".repeat(1 << 20);
    for (let count = 0; count < 20; count += 1) response.write(block);
    response.end();
  },
};

test.each(Object.entries(nonsense))("%s is told as untrusted", async (_, answer) => {
  await withService(answer, async (driver) => {
    const error = await refusalOf(driver.create(spec));
    expect([error.code, error.message.includes("service")]).toEqual(["untrusted", true]);
  });
});

test("what a service calls its error is bounded, printable, and means what its status means", async () => {
  const message = `\u001b[2J${"m".repeat(100_000)}`;
  const body = { code: 200, message, error_code: "internal", field: "f".repeat(100) };
  await withService(reply(400, body), async (driver) => {
    const error = await refusalOf(driver.create(spec));
    expect(error.code).toBe("invalid");
    expect(error.message.length).toBeLessThan(5000);
    expect(error.message).not.toContain("\u001b");
  });
});

test("a key that is not good, a service that is busy, and one that is not there are told apart, each with the mend", async () => {
  const codes: readonly (readonly [number, string])[] = [
    [401, "unauthenticated"],
    [403, "denied"],
    [500, "unavailable"],
    [503, "unavailable"],
  ];
  for (const [status, code] of codes)
    await withService(reply(status, { code: status, message: "no" }), async (driver) => {
      expect((await refusalOf(driver.create(spec))).code).toBe(code);
      expect(await driver.probe()).toMatchObject({ ok: false, mend: expect.stringMatching(/./) });
    });
  const absent = await e2b({ apiKey: "k", apiUrl: "http://127.0.0.1:1" });
  const error = await refusalOf(absent.create(spec));
  expect([error.code, error.mend !== undefined]).toEqual(["unavailable", true]);
  expect(() => absent.enforcement(spec)).toThrow(SandboxError);
});

test("a creation is said again where the service turned it away for its rate, and only there", async () => {
  let turns = 0;
  const limited: Answer = (request, response) => {
    turns += 1;
    const answer =
      turns < 3 ? reply(429, { code: 429 }, { "retry-after": "0" }) : reply(201, sandbox);
    answer(request, response);
  };
  await withService(limited, async (driver, asked) => {
    await driver.create(spec);
    expect(asked.slice(0, 3)).toEqual(Array.from({ length: 3 }, () => "POST /v2/sandboxes"));
  });
  await withService(reply(503, { code: 503 }), async (driver, asked) => {
    await refusalOf(driver.create(spec));
    expect(asked).toEqual(["POST /v2/sandboxes"]);
  });
});

test("a service that asks to wait longer than anybody would is not waited for", async () => {
  const answer = reply(429, { code: 429, message: "slow down" }, { "retry-after": "86400" });
  await withService(answer, async (driver, asked) => {
    const error = await refusalOf(driver.create(spec));
    expect([error.code, error.mend !== undefined, asked.length]).toEqual(["exhausted", true, 1]);
  });
});

test("a service that never answers is given up", async () => {
  await withService(
    () => undefined,
    async (driver) => {
      expect((await refusalOf(driver.create(spec))).code).toBe("timed-out");
    },
  );
});

test("a creation that is aborted is undone before the abort is told, also where the answer comes late", async () => {
  await withService(slowly, async (driver, asked) => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 100);
    expect((await refusalOf(driver.create(spec, abort.signal))).code).toBe("cancelled");
    expect(asked).toEqual(["POST /v2/sandboxes", `DELETE /sandboxes/${id}`]);
  });
});

test("pages that do not end are given up, and a page that is not one is untrusted", async () => {
  await withService(reply(200, [listed], { "x-next-token": "again" }), async (driver) => {
    expect((await refusalOf(all(driver))).code).toBe("untrusted");
  });
  await withService(reply(200, { sandboxes: [] }), async (driver) => {
    expect((await refusalOf(all(driver))).code).toBe("untrusted");
  });
});

test("limits that the template alone has are refused by field before anything is asked", async () => {
  await withService(reply(201, sandbox), async (driver, asked) => {
    const error = await refusalOf(driver.create(sandboxSpec({ resources: { memoryMiB: 4096 } })));
    expect([error.code, error.field?.startsWith("resources.")]).toEqual(["unsupported", true]);
    expect(asked).toEqual([]);
  });
});

test("a sandbox of one's own has a short time-out there, which is renewed, and ends with its lifetime", async () => {
  const bodies: unknown[] = [];
  const answer: Answer = (request, response) => {
    let text = "";
    request.on("data", (piece) => (text += String(piece)));
    request.on("end", () => {
      bodies.push([request.url, JSON.parse(text || "null")]);
      const made = request.url === "/v2/sandboxes" ? reply(201, sandbox) : reply(204, "");
      made(request, response);
    });
  };
  await withService(answer, async (driver) => {
    const machine = await driver.create({
      ...spec,
      lease: { lifetimeMs: 1500, idleTimeoutMs: 0, detached: false },
    });
    expect(await machine.ended).toBe("lifetime");
    expect(bodies).toMatchObject([
      ["/v2/sandboxes", { timeout: 2, allow_internet_access: false }],
      [`/sandboxes/${id}/timeout`, { timeout: 0 }],
    ]);
  });
});

/** A service that keeps one sandbox as its protocol says: pauses and connects are answered by what it is. */
function keeping(): { readonly answer: Answer; state: "running" | "paused" } {
  const service = {
    state: "running" as "running" | "paused",
    answer: ((request, response) => {
      const route = `${request.method} ${request.url?.split("?")[0]}`;
      answerFor(route)(request, response);
    }) as Answer,
  };
  const answerFor = (route: string): Answer => {
    const was = service.state;
    if (route === "POST /v2/sandboxes") return reply(201, sandbox);
    if (route === `GET /sandboxes/${id}`) return reply(200, { ...listed, state: was });
    if (route.endsWith("/pause")) {
      service.state = "paused";
      return was === "paused" ? reply(409, { code: 409, message: "paused" }) : reply(204, "");
    }
    if (route.endsWith("/connect")) {
      service.state = "running";
      return reply(was === "paused" ? 201 : 200, sandbox);
    }
    if (route.startsWith("DELETE ")) return reply(204, "");
    return was === "paused" ? reply(404, { code: 404 }) : reply(204, "");
  };
  return service;
}

test("a pause by the protocol alone: what is paused is not renewed, not ended by its old lifetime, and not used", async () => {
  const service = keeping();
  await withService(service.answer, async (driver, asked) => {
    const lease = { lifetimeMs: 1500, idleTimeoutMs: 1000, detached: false };
    const machine = await driver.create({ ...spec, lease });
    const { power } = machine;
    if (power === undefined) throw new Error("it has no pause");
    expect(power.keeps).toEqual(["memory", "files"]);
    await power.pause("files");
    expect((await refusalOf(power.pause())).code).toBe("conflict");
    for (const use of [machine.processes(), machine.files.list("/"), machine.setLifetime(1000)])
      expect((await refusalOf(use)).code).toBe("conflict");
    expect((await machine.info()).state).toBe("paused");
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(asked.filter((each) => /timeout|refreshes|DELETE/.test(each))).toEqual([]);
    await power.resume(60_000);
    expect(await refusalOf(power.resume(60_000))).toMatchObject({ code: "conflict" });
    expect(asked.filter((each) => each.endsWith("/connect"))).toHaveLength(1);
    await machine[Symbol.asyncDispose]();
    expect(await machine.ended).toBe("killed");
  });
});

test("a sandbox that its service would pause when its client crashes is refused before anything is asked", async () => {
  await withService(keeping().answer, async (driver, asked) => {
    const lease = { lifetimeMs: 60_000, idleTimeoutMs: 0, atLifetimeEnd: "memory" } as const;
    const refused = driver.create({ ...spec, lease: { ...lease, detached: false } });
    expect(await refusalOf(refused)).toMatchObject({ code: "unsupported", field: "atLifetimeEnd" });
    expect(asked).toEqual([]);
    await driver.create({ ...spec, lease: { ...lease, detached: true } });
    expect(asked).toEqual(["POST /v2/sandboxes"]);
  });
});
