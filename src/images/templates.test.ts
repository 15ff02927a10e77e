import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { refusalOf } from "../../test/support/refusals.ts";
import { templates } from "./templates.ts";

let state = "";

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "cofferdam-state-"));
});

afterEach(async () => {
  await rm(state, { recursive: true, force: true });
});

test.each(["../base", "", "Base", "a/b", ".", ".locks", "a\0b", "x".repeat(129)])(
  "%j is no template's name",
  async (name) => {
    const wrong = { code: "invalid", field: "template" };
    expect(await refusalOf(templates(state).resolve(name))).toMatchObject(wrong);
    expect(await refusalOf(templates(state).remove(name))).toMatchObject(wrong);
  },
);

test("a template that was never built is not found, and how to build it is said", async () => {
  expect(await refusalOf(templates(state).resolve("base"))).toMatchObject({
    code: "not-found",
    field: "template",
    mend: "cofferdam template build base",
  });
  expect(await templates(state).has("base")).toBe(false);
  expect(await templates(state).list()).toEqual([]);
  expect(await readdir(state)).toEqual([]);
});

test.each([
  ["facts that are no JSON", "{"],
  ["facts of another shape", JSON.stringify({ version: 1 })],
  ["unknown facts", JSON.stringify({ version: 2, rootfs: "/etc" })],
])("a template with %s is not found", async (_, facts) => {
  const digest = "a".repeat(64);
  await mkdir(join(state, "templates/odd", digest), { recursive: true });
  await writeFile(join(state, "templates/odd", digest, "template.json"), facts);
  await symlink(digest, join(state, "templates/odd/current"));
  expect(await refusalOf(templates(state).resolve("odd"))).toMatchObject({ code: "not-found" });
});

test("a link to outside of the state directory is no template", async () => {
  await mkdir(join(state, "templates/odd"), { recursive: true });
  await symlink("../../../etc", join(state, "templates/odd/current"));
  expect(await refusalOf(templates(state).resolve("odd"))).toMatchObject({ code: "not-found" });
});
