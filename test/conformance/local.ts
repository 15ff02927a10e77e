import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { type BuiltinName, builtinDrivers } from "../../src/drivers/builtin.ts";
import { defaultStateDir } from "../../src/library/choose-driver.ts";
import type { Subject } from "./suite.ts";

const built = fileURLToPath(new URL("../../dist/drivers/builtin.js", import.meta.url));

/** A driver of this host with a state directory of the suite's own, gone afterwards; templates are the host's. */
export async function localSubject(name: BuiltinName): Promise<Subject> {
  const stateDir = mkdtempSync(join(tmpdir(), "cofferdam-conformance-"));
  symlinkSync(join(defaultStateDir, "templates"), join(stateDir, "templates"));
  afterAll(() => rmSync(stateDir, { recursive: true, force: true }));
  const driver = await builtinDrivers[name]({ stateDir });
  const prelude = [
    `const { builtinDrivers } = await import(${JSON.stringify(built)});`,
    `const driver = await builtinDrivers[${JSON.stringify(name)}]({ stateDir: ${JSON.stringify(stateDir)} });`,
  ].join("\n");
  const otherProcess = {
    argv: [process.execPath, "--input-type=module", "-e"],
    prelude,
    cwd: "/",
  } as const;
  return { driver, stateDir, otherProcess };
}
