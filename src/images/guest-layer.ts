import { createHash, randomUUID } from "node:crypto";
import { chmod, lstat, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileError, isMissing, systemCode } from "./file-errors.ts";
import { kernelDirectory, nativeFile } from "./native.ts";
import { pruneUnused } from "./uses.ts";

/** What the supervisor and the runtime mount on; real directories here, whatever the template has at these names. */
const mountPoints = [
  { path: "proc", mode: 0o555 },
  { path: "sys", mode: 0o555 },
  { path: "dev", mode: 0o755 },
  { path: "run", mode: 0o755 },
  { path: "tmp", mode: 0o1777 },
] as const;

interface LayerFile {
  /** Where it is on the host. */
  readonly source: string;
  /** Below the layer. */
  readonly path: string;
  readonly mode: number;
}

/** Layers by what their files looked like, so that a second machine costs a few `stat` calls. */
const known = new Map<string, string>();

/**
 * The directory that lies over each template: the agent, the code kernels and the mount points. Content-addressed; made once.
 *
 * Throws `unavailable` (the agent was not built), `denied`, `disk-full`.
 */
export async function guestLayer(stateDir: string): Promise<string> {
  const files = await layerFiles();
  const signature = `${stateDir}\0${await signatureOf(files)}`;
  const remembered = known.get(signature);
  if (remembered !== undefined && (await isDirectory(remembered))) return remembered;
  try {
    const path = await makeLayer(join(stateDir, "guest"), files);
    known.set(signature, path);
    return path;
  } catch (error) {
    throw fileError(error, "make the guest layer");
  }
}

async function layerFiles(): Promise<readonly LayerFile[]> {
  const agent = { source: nativeFile("agent"), path: ".cofferdam/agent", mode: 0o755 };
  const kernels = kernelDirectory();
  const entries = await readdir(kernels, { recursive: true, withFileTypes: true });
  const programs = entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".new"))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((source) => ({
      source,
      path: join(".cofferdam/kernels", relative(kernels, source)),
      mode: 0o644,
    }));
  return [agent, ...programs].toSorted((left, right) => (left.path < right.path ? -1 : 1));
}

async function signatureOf(files: readonly LayerFile[]): Promise<string> {
  const lines = files.map(async ({ source, path }) => {
    const { ino, size, mtimeNs, ctimeNs } = await lstat(source, { bigint: true });
    return [path, ino, size, mtimeNs, ctimeNs].join(" ");
  });
  return (await Promise.all(lines)).join("\n");
}

async function makeLayer(directory: string, files: readonly LayerFile[]): Promise<string> {
  const contents = await Promise.all(files.map((file) => readFile(file.source)));
  const hash = createHash("sha256").update(JSON.stringify(mountPoints));
  for (const [index, { path, mode }] of files.entries()) {
    const content = contents[index] ?? Buffer.alloc(0);
    hash.update(`\0${path}\0${mode}\0${content.length}\0`).update(content);
  }
  const digest = hash.digest("hex");
  const path = join(directory, digest);
  if (await isDirectory(path)) return path;
  const aside = join(directory, `.${randomUUID()}.new`);
  try {
    await mkdir(aside, { recursive: true });
    await fill(aside, files, contents);
    await putInPlace(aside, path);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  await pruneUnused(directory, digest);
  return path;
}

async function fill(
  root: string,
  files: readonly LayerFile[],
  contents: readonly Buffer[],
): Promise<void> {
  for (const [index, file] of files.entries()) {
    const target = join(root, file.path);
    await mkdir(join(target, ".."), { recursive: true });
    await writeFile(target, contents[index] ?? "", { flag: "wx" });
    await chmod(target, file.mode);
  }
  for (const { path, mode } of mountPoints) {
    await mkdir(join(root, path));
    await chmod(join(root, path), mode);
  }
  const directories = ["", ".cofferdam", ".cofferdam/kernels"];
  const below = await readdir(join(root, ".cofferdam/kernels"), { withFileTypes: true });
  for (const entry of below.filter((each) => each.isDirectory()))
    directories.push(join(".cofferdam/kernels", entry.name));
  for (const path of directories) await chmod(join(root, path), 0o755);
}

/** Another process may have been quicker with the same content; then its layer stays. */
async function putInPlace(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    const code = systemCode(error);
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
