import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SandboxError } from "../core/errors.ts";
import { parseRecipe } from "./recipe.ts";

const small = { name: "small", suite: "trixie" };

function refusal(recipe: unknown): SandboxError {
  try {
    parseRecipe(typeof recipe === "string" ? recipe : JSON.stringify(recipe), "recipe.json");
  } catch (cause) {
    if (cause instanceof SandboxError) return cause;
    throw cause;
  }
  throw new Error("it was not refused");
}

describe("a recipe", () => {
  test("may say no more than its name and what it stands on", () => {
    expect(parseRecipe(JSON.stringify(small), "recipe.json")).toMatchObject({
      ...small,
      packages: [],
      files: [],
      run: [],
    });
  });

  test.each([
    ["an unknown field", { ...small, package: ["git"] }, "package"],
    [
      "an unknown field of a file",
      { ...small, files: [{ from: "a", to: "/a", owner: "user" }] },
      "files.0.owner",
    ],
    ["a name that is a path", { ...small, name: "../base" }, "name"],
    ["a package that is an option", { ...small, packages: ["--allow"] }, "packages.0"],
    ["a package that is two", { ...small, packages: ["git,curl"] }, "packages.0"],
    ["a file from outside", { ...small, files: [{ from: "../secret", to: "/a" }] }, "files.0.from"],
    [
      "a file by an absolute path",
      { ...small, files: [{ from: "/etc/shadow", to: "/a" }] },
      "files.0.from",
    ],
    ["a target with ..", { ...small, files: [{ from: "a", to: "/a/../b" }] }, "files.0.to"],
    [
      "a mode that is no mode",
      { ...small, files: [{ from: "a", to: "/a", mode: "rwx" }] },
      "files.0.mode",
    ],
    ["a pattern with a quote", { ...small, exclude: ["/a'b"] }, "exclude.0"],
    ["an unknown language", { ...small, warm: ["cobol"] }, "warm.0"],
    ["an unknown limit", { ...small, resources: { memory: 1 } }, "resources.memory"],
    ["a variable that is none", { ...small, envs: { "A=B": "" } }, "envs.A=B"],
    ["nothing to stand on", { name: "small" }, "from"],
    ["two things to stand on", { ...small, from: "base" }, "from"],
    ["no JSON", "name: small", "template"],
    ["no object", "[]", "template"],
  ])("is refused for %s, by its field", (_, recipe, field) => {
    expect(refusal(recipe)).toMatchObject({ code: "invalid", field });
  });

  test("of any content is parsed or refused, and never anything else", () => {
    const value = fc.record(
      { name: fc.anything(), suite: fc.anything(), files: fc.anything(), envs: fc.anything() },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(value, (recipe) => {
        const text = JSON.stringify(recipe);
        expect(refusal(text).code).toBe("invalid");
      }),
    );
  });
});
