import { existsSync } from "node:fs";
import { join } from "node:path";
import { SandboxError } from "../core/errors.ts";
import { packageRoot } from "./package-root.ts";

const goArchitectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** What this machine's processor is called by Go and by Debian. Throws `unsupported`. */
export function architecture(): string {
  const name = goArchitectures[process.arch];
  if (name !== undefined) return name;
  throw new SandboxError("unsupported", `Cofferdam does not run on ${process.arch}`, {
    mend: "use a machine with an amd64 or arm64 processor",
  });
}

/** The file of one of the compiled programs. Throws `unavailable` when it was not built. */
export function nativeFile(name: "agent" | "supervisor" | "engine-supervisor"): string {
  return built(`${name}-linux-${architecture()}`);
}

/** The directory of the code kernels' programs, one directory for each language. Throws `unavailable`. */
export function kernelDirectory(): string {
  return built("kernels");
}

function built(name: string): string {
  const path = join(packageRoot, "build/native", name);
  if (existsSync(path)) return path;
  throw new SandboxError("unavailable", `${name} has not been built`, { mend: "npm run setup" });
}
