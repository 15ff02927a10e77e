import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { refusalOf } from "../../test/support/refusals.ts";
import { storedKernels } from "./kernels/store.ts";
import { extractVmlinux } from "./kernels/vmlinux.ts";
import { verified } from "./verified.ts";

let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cofferdam-verified-"));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function file(name: string, content: string): Promise<{ path: string; sha256: string }> {
  const path = join(directory, name);
  await writeFile(path, content);
  return { path, sha256: createHash("sha256").update(content).digest("hex") };
}

test("a file that is what was noted is found so, also when it was touched", async () => {
  const known = await file("touched", "kernel");
  expect(await verified(known, "fetch it again")).toBe(known.path);
  await utimes(known.path, new Date(1000), new Date(1000));
  expect(await verified(known, "fetch it again")).toBe(known.path);
});

test("a file that was changed after it was found right is untrusted, with what mends it", async () => {
  const known = await file("changed", "kernel");
  await verified(known, "fetch it again");
  await writeFile(known.path, "kernal");
  expect(await refusalOf(verified(known, "fetch it again"))).toMatchObject({
    code: "untrusted",
    mend: "fetch it again",
  });
});

test("a file that is gone is untrusted", async () => {
  const known = await file("gone", "kernel");
  await rm(known.path);
  expect(await refusalOf(verified(known, "fetch it again"))).toMatchObject({ code: "untrusted" });
});

test("a kernel's page that is not what was written is untrusted", async () => {
  const place = join(directory, "state/kernels/6.1.0-1");
  await mkdir(place, { recursive: true });
  await writeFile(join(place, "kernel.json"), '{"version":1,"kernel":"6.1.0-1"}');
  expect(await refusalOf(storedKernels(join(directory, "state")))).toMatchObject({
    code: "untrusted",
  });
});

test("what is no kernel's image, or only a part of one, is untrusted", async () => {
  const image = Buffer.alloc(8192);
  image.write("HdrS", 0x202, "latin1");
  image.writeUInt8(1, 0x1f1);
  image.writeUInt32LE(64, 0x24c);
  for (const payload of ["", "\u001f\u008b\u0008rubbish", "\u0002\u0021\u004c\u0018rubbish"]) {
    image.write(payload.padEnd(64, "\0"), 1024, "latin1");
    expect(await refusalOf(extractVmlinux(image))).toMatchObject({ code: "untrusted" });
  }
  expect(await refusalOf(extractVmlinux(Buffer.alloc(10)))).toMatchObject({ code: "untrusted" });
});
