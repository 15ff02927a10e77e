import { assert, property, string } from "fast-check";
import { expect, test } from "vitest";
import type { Tenant } from "../../store/tenant.ts";
import {
  driverNameOf,
  nameAskedFor,
  nameToTake,
  newSnapshotId,
  snapshotIdIn,
} from "./snapshot-name.ts";

const limits = {
  maxSandboxes: 1,
  maxCpus: 1,
  maxMemoryMiB: 1,
  maxKept: 1,
  maxLifetimeMs: 1,
  createsPerMinute: 1,
};
const tenant: Tenant = { id: "t1", name: "Ä Team, inc.", createdAt: "", limits };

test("a name is one whether or not it says whose it is and which tag it has", () => {
  for (const text of ["mine", "mine:default", "team-inc/mine", "team-inc/mine:default"])
    expect(nameAskedFor(text, tenant)).toBe("mine:default");
  expect(nameAskedFor("team-inc/mine:v1", tenant)).toBe("mine:v1");
});

test("another's name and what is no name mean no snapshot, and are not taken", () => {
  for (const text of ["other/mine", "", "/mine", "a/b/c", "mine:", "../x", "a b", "mine:v1:v2"]) {
    expect(nameAskedFor(text, tenant)).toBeUndefined();
    expect(() => nameToTake(text, tenant)).toThrow(/^name: /);
  }
  assert(
    property(string(), (text) => {
      const name = nameAskedFor(text, tenant);
      expect(name === undefined || /^[A-Za-z0-9._-]+:[A-Za-z0-9._-]+$/.test(name)).toBe(true);
    }),
  );
});

test("a driver's name of a snapshot tells its id, and no other name does", () => {
  const id = newSnapshotId();
  expect(snapshotIdIn(driverNameOf(id))).toBe(id);
  for (const name of ["base", "server-", `server-${id}x`, id])
    expect(snapshotIdIn(name)).toBeUndefined();
});
