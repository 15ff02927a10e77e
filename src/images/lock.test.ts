import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { refusalOf } from "../../test/support/refusals.ts";
import { lock } from "./lock.ts";

let directory = "";
let file = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cofferdam-lock-"));
  file = join(directory, "below/lock");
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test("a lock is held by one at a time, and the next one takes it when it is given back", async () => {
  const order: string[] = [];
  const first = await lock(file, { whenHeld: "refuse" });
  expect(await refusalOf(lock(file, { whenHeld: "refuse" }))).toMatchObject({ code: "conflict" });
  const second = async (): Promise<void> => {
    const giveBack = async (): Promise<void> => {
      order.push("first");
      await first[Symbol.asyncDispose]();
    };
    await using _ = await lock(file, { whenHeld: () => void giveBack() });
    order.push("second");
  };
  await second();
  expect(order).toEqual(["first", "second"]);
});

test("a lock whose holder was killed is free", async () => {
  const { whenHeld } = { whenHeld: "refuse" } as const;
  await (await lock(file, { whenHeld }))[Symbol.asyncDispose]();
  const holder = spawn("/usr/bin/env", ["flock", file, "sh", "-c", "echo held; exec sleep 600"], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  await once(holder.stdout, "data");
  expect(await refusalOf(lock(file, { whenHeld }))).toMatchObject({ code: "conflict" });
  process.kill(-(holder.pid ?? 0), "SIGKILL");
  await once(holder, "close");
  await using held = await lock(file, { whenHeld });
  expect(held.descriptor).toBeGreaterThan(2);
});

test("waiting for a lock ends when its caller aborts", async () => {
  await using _ = await lock(file, { whenHeld: "refuse" });
  const abort = new AbortController();
  const waiting = lock(file, { signal: abort.signal, whenHeld: () => abort.abort() });
  expect(await refusalOf(waiting)).toMatchObject({ code: "cancelled" });
});
