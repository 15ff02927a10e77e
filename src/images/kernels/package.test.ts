import { expect, test } from "vitest";
import { parsePackage } from "./archive.ts";
import { cpio } from "./cpio.ts";
import { dependenciesOf } from "./modules.ts";

const sha256 = "4fdd0172a8c3f41a97e92465b2ac1867e1c10d82d7aeed3d26ee7a5d14df1754";

test("a package is read from Debian's record of it", () => {
  const lines = ["Package: linux-image-1", "Source: linux (1)", "Version: 1", `SHA256: ${sha256}`];
  expect(parsePackage(lines)).toEqual({
    name: "linux-image-1",
    version: "1",
    source: "linux (1)",
    sha256,
  });
});

test("a record without a digest is none", () => {
  expect(parsePackage(["Package: linux-image-1", "Version: 1"])).toBeUndefined();
  expect(parsePackage([])).toBeUndefined();
});

test("a module says what it depends on", () => {
  const facts = Buffer.from("license=GPL\0depends=virtio-ring,virtio\0retpoline=Y\0");
  expect(dependenciesOf(facts)).toEqual(["virtio_ring", "virtio"]);
  expect(dependenciesOf(Buffer.from("license=GPL\0depends=\0"))).toEqual([]);
  expect(dependenciesOf(Buffer.from("nothing"))).toEqual([]);
});

test("the same entries give the same archive, whose parts begin at multiples of four", () => {
  const entries = [
    { path: "dev", mode: 0o755, content: undefined },
    { path: "init", mode: 0o755, content: Buffer.from("agent") },
  ];
  const made = cpio(entries);
  expect(made.equals(cpio(entries))).toBe(true);
  expect(made.length % 4).toBe(0);
  const heads = [...made.toString("latin1").matchAll(/070701/g)].map(({ index }) => index % 4);
  expect(heads).toEqual([0, 0, 0]);
  expect(made.toString("latin1")).toContain("TRAILER!!!");
});
