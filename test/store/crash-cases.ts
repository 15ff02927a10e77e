import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openAuditLog } from "../../src/audit/audit-log.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { StorePlace } from "../../src/store/store.ts";
import type { Subject } from "./subject.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Said {
  readonly id: string;
  readonly seq: number;
  readonly state: string;
}

/** Starts the writer, kills it -9 once it has said so many lines, and resolves with what it said. */
async function writeUntilKilled(
  program: string,
  place: StorePlace,
  lines: number,
): Promise<readonly Said[]> {
  const child = spawn(process.execPath, [program, JSON.stringify(place)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const said: Said[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(JSON.parse(line));
    if (said.length === lines) child.kill("SIGKILL");
  }
  expect(await ended).toEqual([null, "SIGKILL"]);
  return said;
}

export function crashCases(subject: Subject): void {
  const program = join(root, "build/store-tests", `${crypto.randomUUID()}.mjs`);
  beforeAll(async () => {
    await build({
      entryPoints: [fileURLToPath(new URL("./writer.ts", import.meta.url))],
      outfile: program,
      bundle: true,
      platform: "node",
      target: "node20",
      format: "esm",
      packages: "external",
      logLevel: "error",
    });
  });
  afterAll(() => rmSync(program, { force: true }));

  test("kill -9 in the middle of many writes loses nothing that was told, and tears nothing", async () => {
    const place = await subject.newPlace();
    const told = new Map<string, Said>();
    for (const lines of [1, 40, 299])
      for (const each of await writeUntilKilled(program, place, lines)) told.set(each.id, each);
    await using store = await openStore(place);
    const log = openAuditLog(store);
    const verdict = await log.verify();
    expect(verdict).toMatchObject({ ok: true });
    const head = await log.head();
    const order = ["creating", "running"];
    for (const { id, seq, state } of told.values()) {
      const record = await store.sandboxes.get(id);
      expect(order.indexOf(record.state)).toBeGreaterThanOrEqual(order.indexOf(state));
      expect(record.metadata).toEqual({ a: "b" });
      expect(await store.sandboxes.secrets(id)).toMatchObject({ envs: { NAME: "value" } });
      expect(seq).toBeLessThanOrEqual(head.seq);
      expect((await log.query({ sandboxId: id })).records).toMatchObject([{ seq }]);
    }
    expect(told.size).toBeGreaterThan(100);
  });
}
