import { describe, expect, test } from "vitest";
import * as fc from "fast-check";
import { codeThrownBy } from "../../test/support/refusals.ts";
import { SandboxError } from "./errors.ts";
import { parseSandboxOptions, requireEgress } from "./options.ts";

function refusal(options: unknown): SandboxError {
  try {
    parseSandboxOptions(options);
  } catch (cause) {
    return SandboxError.from(cause);
  }
  throw new Error("the options were accepted");
}

describe("options of a sandbox", () => {
  test("all have defaults", () => {
    expect(parseSandboxOptions({})).toEqual({
      template: "code-interpreter",
      resources: { cpus: 2, memoryMiB: 512, diskMiB: 1024, pids: 512, openFiles: 4096 },
      lease: { lifetimeMs: 300_000, idleTimeoutMs: 30_000, detached: false },
      egress: { allowOut: [], denyOut: [] },
      envs: {},
      metadata: {},
      seccomp: undefined,
    });
  });

  test("the user's limits win over the template's, and those over the defaults", () => {
    const { resources } = parseSandboxOptions(
      { resources: { pids: 64 } },
      { pids: 1000, memoryMiB: 2048 },
    );
    expect(resources).toEqual({
      cpus: 2,
      memoryMiB: 2048,
      diskMiB: 1024,
      pids: 64,
      openFiles: 4096,
    });
  });

  test.each([
    [{ tempalte: "base" }, "tempalte", "did you mean template?"],
    [{ timeoutMs: 1000 }, "timeoutMs", "use lifetimeMs"],
    [{ resources: { memoryMb: 1 } }, "resources.memoryMb", "did you mean memoryMiB?"],
    [{ resources: { memoryMiB: 536_870_912 } }, "resources.memoryMiB", "the unit is MiB: 512"],
    [{ lifetimeMs: 300 }, "lifetimeMs", "300000 for 300 s"],
  ])("%j is refused by name, with what mends it", (options, field, mend) => {
    const error = refusal(options);
    expect(error).toMatchObject({ code: "invalid", field });
    expect(error.mend).toContain(mend);
  });

  test.each([
    [{ resources: { cpus: 0 } }, "resources.cpus", "from 0.05 to 1024"],
    [{ resources: { memoryMiB: "512MB" } }, "resources.memoryMiB", "a whole number of MiB from 32"],
    [{ resources: { pids: 1.5 } }, "resources.pids", "whole number of processes"],
    [{ resources: { diskMiB: Number.NaN } }, "resources.diskMiB", "from 16"],
    [{ idleTimeoutMs: -1 }, "idleTimeoutMs", "milliseconds"],
    [{ template: "../../etc" }, "template", "lower-case letters"],
    [{ template: 7 }, "template", "expected text"],
    [{ envs: { "A=B": "1" } }, "envs.A=B", "must not contain ="],
    [{ envs: { A: 1 } }, "envs.A", "expected text"],
    [{ envs: { A: "a\0b" } }, "envs.A", "NUL"],
    [{ metadata: { a: "x".repeat(40_000) } }, "metadata", "more than the 32768"],
    [{ detached: "yes" }, "detached", "true or false"],
    [{ network: { allow: [] } }, "network.allow", "unknown option"],
    [{ seccomp: "unconfined" }, "seccomp", "parsed profile"],
    ["gvisor", "options", "expected an object"],
  ])("%j is refused with the field and what was expected", (options, field, expected) => {
    const error = refusal(options);
    expect(error).toMatchObject({ code: "invalid", field });
    expect(error.message).toContain(expected);
  });
});

describe("anything as options", () => {
  test("whatever is given, the answer is a spec or a typed refusal", () => {
    const anything = fc.dictionary(
      fc.constantFrom(
        "template",
        "resources",
        "lifetimeMs",
        "envs",
        "metadata",
        "network",
        "seccomp",
        "detached",
        "__proto__",
        "x",
      ),
      fc.anything(),
    );
    fc.assert(
      fc.property(fc.oneof(anything, fc.anything()), (options) => {
        expect([undefined, "invalid"]).toContain(codeThrownBy(() => parseSandboxOptions(options)));
      }),
    );
  });
});

describe("egress", () => {
  const sealed = { name: "sealed", capabilities: new Set<string>() };

  test.each([
    [{ allowInternetAccess: true }, "allowInternetAccess"],
    [{ network: { allowOut: ["example.org"] } }, "network"],
  ])("%j is refused where the driver lets nothing out", (options, field) => {
    expect(() => requireEgress(options, sealed)).toThrow(
      expect.objectContaining({ code: "unsupported", field }),
    );
  });

  test("no egress is what every driver enforces", () => {
    expect(() => requireEgress({ allowInternetAccess: false }, sealed)).not.toThrow();
  });
});
