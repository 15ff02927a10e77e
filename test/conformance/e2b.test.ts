import { join } from "node:path";
import { afterAll } from "vitest";
import type { Case, Topic } from "../../src/conformance/case.ts";
import type { Isolation } from "../../src/core/driver.ts";
import { type E2bOptions, e2b } from "../../src/drivers/e2b/index.ts";
import { openStore } from "../../src/store/open-store.ts";
import { stateDir } from "../cli/cofferdam.ts";
import { serve } from "../server/serve.ts";
import { bundled, root } from "./local-driver.ts";
import { type Subject, conformance } from "./suite.ts";

interface Behind {
  readonly name: string;
  readonly isolation: Isolation;
  /** Topics that the gate runs: those in which the way to the machine counts, and not what holds it. */
  readonly topics: readonly Topic[];
}

const behind: readonly Behind[] = [
  { name: "gvisor", isolation: "syscall", topics: ["lifecycle", "network"] },
  {
    name: "runc",
    isolation: "container",
    topics: ["exec", "code", "files", "lifecycle", "power", "network", "bad-input"],
  },
];

/** Gigabytes through the proxy. */
const isLong = /\d GiB/;
const isWhole = process.env["COFFERDAM_CONFORMANCE"] === "whole";

const server = await serve(["--port", "0", "--end-sandboxes"]);
afterAll(() => server.end("SIGTERM"));
await raiseLimits();
const bundle = await bundled("e2b");
for (const { name, isolation, topics } of behind) {
  const options = { apiKey: server.key, apiUrl: server.url, leaseMs: 15_000, behind: name };
  await conformance({
    title: `e2b over ${name}`,
    driver: await e2b(options),
    isolation,
    stateDir,
    otherProcess: elsewhere(options),
    leaveOut: isWhole ? () => undefined : (each) => leftOut(each, topics),
  });
}

function leftOut({ topic, name }: Case, topics: readonly Topic[]): string | undefined {
  return topics.includes(topic) && !isLong.test(name)
    ? undefined
    : "the gate leaves it to npm run conformance";
}

/** The suite makes more machines in a minute than a tenant may who was given no other limits. */
async function raiseLimits(): Promise<void> {
  await using store = await openStore({ directory: join(stateDir, "server") });
  const tenant = await store.tenants.named("default");
  if (tenant === undefined) throw new Error("the server has made no tenant");
  await store.tenants.setLimits(tenant.id, { createsPerMinute: 10_000, maxCpus: 1024 });
}

function elsewhere(options: E2bOptions): NonNullable<Subject["otherProcess"]> {
  return {
    argv: [process.execPath, "--input-type=module", "-e"],
    prelude: [
      `const { e2b } = await import(${JSON.stringify(bundle)});`,
      `const driver = await e2b(${JSON.stringify(options)});`,
    ].join("\n"),
    cwd: root,
  };
}
