import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll } from "vitest";
import type { Driver } from "../../src/core/driver.ts";
import type { OciOptions } from "../../src/drivers/oci/driver.ts";
import type { Subject } from "./suite.ts";

export const root: string = fileURLToPath(new URL("../..", import.meta.url));
export const stateDir: string = process.env["COFFERDAM_STATE_DIR"] ?? "/var/lib/cofferdam";

/** A driver's module with all that it uses, from the same source; gone with the tests. */
export async function bundled(name: string): Promise<string> {
  const bundle = join(root, "build/conformance", `${randomUUID()}.mjs`);
  afterAll(() => rmSync(bundle, { force: true }));
  await build({
    entryPoints: [join(root, `src/drivers/${name}/index.ts`)],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "error",
  });
  return bundle;
}

/** A local driver as the suite tests it, in this process and, bundled from the same source, in others. */
export async function subject(
  name: string,
  make: (options: OciOptions) => Driver,
): Promise<Subject> {
  const bundle = await bundled(name);
  return {
    driver: make({ stateDir }),
    stateDir,
    otherProcess: {
      argv: [process.execPath, "--input-type=module", "-e"],
      prelude: [
        `const { ${name} } = await import(${JSON.stringify(bundle)});`,
        `const driver = ${name}(${JSON.stringify({ stateDir })});`,
      ].join("\n"),
      cwd: root,
    },
  };
}
