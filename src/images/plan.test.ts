import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { refusalOf } from "../../test/support/refusals.ts";
import { builtinTemplates, imagePlan } from "./plan.ts";

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cofferdam-plan-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function recipe(fields: object): Promise<string> {
  await writeFile(join(directory, "recipe.json"), JSON.stringify(fields));
  return directory;
}

describe("the plan of an image", () => {
  test("is there for each built-in template, and has a user who is not root", async () => {
    for (const name of builtinTemplates) {
      const plan = await imagePlan(name);
      expect(plan).toMatchObject({ name, suite: "trixie", defaultUser: "user" });
      expect(plan.digest).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  test("of a recipe that adds to base has all of base and its own", async () => {
    const base = await imagePlan("base");
    const path = await recipe({
      name: "mine",
      from: "base",
      packages: ["jq", "git"],
      run: ["true"],
      envs: { A: "1" },
      resources: { memoryMiB: 64 },
    });
    const plan = await imagePlan(path);
    expect(plan.packages).toEqual([...base.packages, "jq"]);
    expect(plan.run).toBe(`${base.run}\ntrue`);
    expect(plan.envs).toEqual({ ...base.envs, A: "1" });
    expect(plan.files).toEqual(base.files);
    expect(plan.resources).toEqual({ memoryMiB: 64 });
  });

  test("has the same digest for the same content, and another for each change", async () => {
    const fields = {
      name: "mine",
      suite: "trixie",
      files: [{ from: "a", to: "/a" }],
      run: ["true"],
    };
    await writeFile(join(directory, "a"), "one");
    const digests = [
      await imagePlan(await recipe(fields)),
      await imagePlan(await recipe({ ...fields, run: ["false"] })),
      await imagePlan(await recipe({ ...fields, packages: ["git"] })),
      await imagePlan(await recipe({ ...fields, files: [{ from: "a", to: "/a", mode: "0600" }] })),
    ].map(({ digest }) => digest);
    await writeFile(join(directory, "a"), "two");
    digests.push((await imagePlan(await recipe(fields))).digest);
    expect(new Set(digests).size).toBe(5);
    await writeFile(join(directory, "a"), "one");
    expect((await imagePlan(await recipe(fields))).digest).toBe(digests[0]);
  });
});

describe("a recipe that cannot be planned", () => {
  test("takes no file through a link that leads out of the recipe's directory", async () => {
    await symlink("/etc/hostname", join(directory, "link"));
    await mkdir(join(directory, "inside"));
    await symlink("/etc", join(directory, "inside/etc"));
    for (const from of ["link", "inside/etc/hostname"]) {
      const path = await recipe({ name: "mine", suite: "trixie", files: [{ from, to: "/a" }] });
      expect(await refusalOf(imagePlan(path))).toMatchObject({ code: "invalid", field: "files" });
    }
  });

  test("takes no directory or device for a file", async () => {
    await mkdir(join(directory, "folder"));
    const path = await recipe({
      name: "mine",
      suite: "trixie",
      files: [{ from: "folder", to: "/a" }],
    });
    expect(await refusalOf(imagePlan(path))).toMatchObject({ code: "invalid" });
    expect(await refusalOf(imagePlan("/dev/zero"))).toMatchObject({ code: "invalid" });
  });

  test.each([
    ["a built-in template's name", { name: "base", suite: "trixie" }, "invalid", "name"],
    ["an unknown parent", { name: "mine", from: "bsae" }, "not-found", "from"],
    [
      "a file that is not there",
      { name: "mine", from: "base", files: [{ from: "none", to: "/a" }] },
      "invalid",
      "files",
    ],
  ])("is refused for %s", async (...[, fields, code, field]) => {
    expect(await refusalOf(imagePlan(await recipe(fields)))).toMatchObject({ code, field });
  });

  test.each(["nothing", "/nowhere/at/all", "./nothing", "", "../base\0"])(
    "is not found at %j",
    async (name) => {
      const { code } = await refusalOf(imagePlan(name));
      expect(["not-found", "invalid"]).toContain(code);
    },
  );
});
