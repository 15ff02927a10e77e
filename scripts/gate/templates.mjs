// The host's templates, for tests that leave no trace in them.
import { chmodSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../setup/root.mjs";

/**
 * Gives `work` a command's first words with which it sees the root of the template `code-interpreter` at a path, writable,
 * with whatever it writes in memory and gone with it: `work({ prefix, path })`.
 */
export async function withTemplateRoot(work) {
  const { defaultStateDir } = await built("index.js");
  const images = await built("images/templates.js");
  const { rootfs } = await images.templates(defaultStateDir).resolve("code-interpreter");
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-gate-"));
  const script = [
    'mount -t tmpfs tmpfs "$1"',
    'mkdir "$1/upper" "$1/work" "$1/root"',
    'mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"',
    "shift 2",
    'exec "$@"',
  ].join(" && ");
  const prefix = ["unshare", "--mount", "sh", "-c", script, "sh", directory, rootfs];
  try {
    return await work({ prefix, path: join(directory, "root") });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Gives `work` a state directory with the host's templates and guest kernels and nothing else, gone afterwards. */
export async function withStateDir(work) {
  const { defaultStateDir } = await built("index.js");
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-gate-state-"));
  // Engines that have no rights find what is theirs below it.
  chmodSync(directory, 0o711);
  for (const name of ["templates", "kernels"])
    symlinkSync(join(defaultStateDir, name), join(directory, name));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A module of the library as it ships. */
function built(file) {
  return import(pathToFileURL(join(root, "dist", file)).href);
}
