import { createHash, randomUUID } from "node:crypto";
import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { SandboxError } from "../../core/errors.ts";
import { fileError } from "../../images/file-errors.ts";

/** Where things are in the jail. */
export const jailed = {
  program: "/qemu",
  firmware: "/firmware",
  work: "/machine",
} as const;

const run = promisify(execFile);
/** What QEMU hands a machine of this kind before it starts the kernel, from either directory. */
const firmware = ["bios-microvm.bin", "linuxboot_dma.bin", "pvh.bin"];
const firmwarePlaces = ["/usr/share/qemu", "/usr/share/seabios"];

/**
 * A directory that holds the engine, its libraries and its firmware, and nothing else: the root of every engine. Made once for each
 * engine that is installed.
 */
export async function engineJail(stateDir: string, program: string): Promise<string> {
  const libraries = await librariesOf(program);
  const firmwareFiles = await Promise.all(firmware.map(firmwareFile));
  const files = [
    { from: program, to: jailed.program },
    ...libraries.map((path) => ({ from: path, to: path })),
    ...firmwareFiles.map(({ path, name }) => ({ from: path, to: join(jailed.firmware, name) })),
  ];
  const signatures = await Promise.all(files.map(async ({ from, to }) => signatureOf(from, to)));
  const key = createHash("sha256").update(signatures.join("\n")).digest("hex").slice(0, 32);
  const place = join(stateDir, "engines", `qemu-${key}`);
  if ((await stat(place).catch(() => undefined)) !== undefined) return place;
  const aside = join(stateDir, "engines", `.${randomUUID()}.new`);
  try {
    for (const { from, to } of files) {
      await mkdir(join(aside, dirname(to)), { recursive: true, mode: 0o755 });
      await copyFile(from, join(aside, to));
      await chmod(join(aside, to), 0o755);
    }
    for (const name of ["machine", "dev"]) await mkdir(join(aside, name));
    await symlink(`${jailed.work}/kvm`, join(aside, "dev/kvm"));
    await rename(aside, place);
  } catch (error) {
    if ((await stat(place).catch(() => undefined)) !== undefined) return place;
    throw fileError(error, "make the engine's root");
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  return place;
}

/** What the program is linked with, the loader among them, as its own loader finds it. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const { stdout } = await run("/usr/bin/ldd", [program], { env: {}, cwd: "/" });
  return stdout.split("\n").flatMap((line) => {
    const path = /(?:=>\s*|^\s*)(\/\S+)\s+\(0x/.exec(line)?.[1];
    return path === undefined ? [] : [path];
  });
}

async function firmwareFile(
  name: string,
): Promise<{ readonly name: string; readonly path: string }> {
  for (const directory of firmwarePlaces) {
    const path = join(directory, name);
    if ((await stat(path).catch(() => undefined)) !== undefined) return { name, path };
  }
  throw new SandboxError("unavailable", `QEMU's firmware ${name} is not installed`, {
    mend: "npm run setup",
  });
}

async function signatureOf(from: string, to: string): Promise<string> {
  const { ino, size, mtimeMs, ctimeMs } = await stat(from);
  return [to, ino, size, mtimeMs, ctimeMs].join(" ");
}
