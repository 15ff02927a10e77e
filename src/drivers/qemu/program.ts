import { stat } from "node:fs/promises";
import { SandboxError } from "../../core/errors.ts";
import { type Runtime, runtimeFinder } from "../local/runtime.ts";

/** The engine's program. */
export interface QemuProgram extends Runtime {
  /** Tells it from any other, an update of the same version too. */
  readonly signature: string;
}

const find = runtimeFinder({
  driver: "qemu",
  program: {
    candidates: ["qemu-system-x86_64"],
    version: /^QEMU emulator version (\d+\.\d+\.\d+)/m,
    mend: "npm run setup",
  },
  allowKnownEscapes: false,
});

/** Finds QEMU. Throws `unavailable` with the mend, `unsupported` on another processor. */
export async function qemuProgram(): Promise<QemuProgram> {
  if (process.arch !== "x64")
    throw new SandboxError("unsupported", `the qemu driver does not run on ${process.arch} yet`, {
      mend: "use a driver that shares the host's kernel",
    });
  const runtime = await find();
  const { ino, size, mtimeMs, ctimeMs } = await stat(runtime.path);
  return { ...runtime, signature: [runtime.version, ino, size, mtimeMs, ctimeMs].join(" ") };
}
