import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { type AuditLog, openAuditLog } from "../../src/audit/audit-log.ts";
import { auditSink, type MachineEvent, recorded } from "../../src/audit/recorded.ts";
import type { Driver } from "../../src/core/driver.ts";
import { SandboxError } from "../../src/core/errors.ts";
import { defaultLease, defaultResources } from "../../src/core/options.ts";
import type { SandboxSpec } from "../../src/core/spec.ts";
import { autoDrivers, builtinDrivers } from "../../src/drivers/builtin.ts";
import { openStore } from "../../src/store/open-store.ts";
import { refusalOf } from "../support/refusals.ts";

const stateDir = mkdtempSync(join(tmpdir(), "cofferdam-recorded-"));
symlinkSync(
  join(process.env["COFFERDAM_STATE_DIR"] ?? "/var/lib/cofferdam", "templates"),
  join(stateDir, "templates"),
);
const store = await openStore({ directory: join(stateDir, "store") });
const log = openAuditLog(store);

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  const machines = join(stateDir, "machines");
  const left = existsSync(machines) ? readdirSync(machines) : [];
  rmSync(stateDir, { recursive: true, force: true });
  if (left.length > 0) throw new Error(`machines outlived the tests: ${left.join()}`);
});

const spec: SandboxSpec = {
  template: "base",
  resources: defaultResources,
  lease: defaultLease,
  egress: { allowOut: [], denyOut: [] },
  envs: {},
  metadata: {},
  seccomp: undefined,
};

async function eventsOf(machineId: string): Promise<readonly (readonly [string, string])[]> {
  const { records } = await (log satisfies AuditLog).query({ sandboxId: machineId });
  return records.toReversed().map(({ action, result }) => [action, result]);
}

for (const name of autoDrivers) {
  const inner = await builtinDrivers[name]({ stateDir });
  const available = await inner.probe();
  const absent = available.ok ? undefined : available.reason;
  const lost: MachineEvent[] = [];
  const driver: Driver = recorded(
    inner,
    auditSink(log, (event) => lost.push(event)),
  );

  test(`${name}: a machine's creation, opening, kill and end are in the audit log`, async ({
    skip,
  }) => {
    if (absent !== undefined) skip(`not run: ${absent}`);
    const machine = await driver.create(spec);
    expect(await machine.isRunning()).toBe(true);
    const opened = await driver.open(machine.id);
    expect(Object.keys(opened).toSorted()).toEqual(Object.keys(machine).toSorted());
    await machine[Symbol.asyncDispose]();
    await machine.ended;
    await vi.waitFor(async () => expect(await eventsOf(machine.id)).toHaveLength(5), 20_000);
    const events = await eventsOf(machine.id);
    expect(events.slice(0, 2)).toEqual([
      ["machine.create", "ok"],
      ["machine.open", "ok"],
    ]);
    expect(
      events
        .slice(2)
        .map((event) => event.join(" "))
        .toSorted(),
    ).toEqual(["machine.end killed", "machine.end killed", "machine.kill ok"]);
    expect(await log.verify()).toMatchObject({ ok: true });
    expect(lost).toEqual([]);
  });

  test(`${name}: what fails is recorded with its code`, async ({ skip }) => {
    if (absent !== undefined) skip(`not run: ${absent}`);
    const refusal = await refusalOf(driver.create({ ...spec, template: "none-of-that-name" }));
    const { records } = await log.query({ action: "machine.create", limit: 1 });
    expect(records).toMatchObject([
      {
        sandboxId: null,
        result: refusal.code,
        details: { driver: name, template: "none-of-that-name" },
      },
    ]);
    await refusalOf(driver.open("i00000000000000000000"));
    expect(await eventsOf("i00000000000000000000")).toContainEqual(["machine.open", "not-found"]);
  });

  test(`${name}: a machine whose creation cannot be recorded is ended again`, async ({ skip }) => {
    if (absent !== undefined) skip(`not run: ${absent}`);
    const full = new SandboxError("disk-full", "no room");
    const failing = recorded(inner, { record: () => Promise.reject(full), lost: () => undefined });
    expect(await refusalOf(failing.create(spec))).toBe(full);
    const left = [];
    for await (const { id } of inner.list()) left.push(id);
    expect(left).toEqual([]);
  });
}
