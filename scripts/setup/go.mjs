// The Go toolchain.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "../terminal/run-process.mjs";
import { compareVersions } from "./host.mjs";
import { root } from "./root.mjs";

/** The oldest Go that compiles this module, as `1.24`. */
export const wantedGo = /^go (\d+\.\d+)/m.exec(readFileSync(join(root, "go.mod"), "utf8"))[1];

/** The newest Go of this host that is new enough: `{ path, version }`, or `undefined`. */
export async function findGo() {
  const debian = existsSync("/usr/lib")
    ? readdirSync("/usr/lib").filter((name) => /^go-1\.\d+$/.test(name))
    : [];
  const places = ["go", "/usr/local/go/bin/go", ...debian.map((name) => `/usr/lib/${name}/bin/go`)];
  const found = [];
  for (const path of places) {
    const version = await versionOf(path);
    if (version !== undefined && compareVersions(version, wantedGo) >= 0)
      found.push({ path, version });
  }
  return found.toSorted((left, right) => compareVersions(right.version, left.version))[0];
}

async function versionOf(path) {
  const { code, stdout } = await run([path, "env", "GOVERSION"], {
    cwd: "/",
    environment: { GOTOOLCHAIN: "local" },
  });
  return code === 0 ? /^go([\d.]+)/.exec(stdout)?.[1] : undefined;
}
