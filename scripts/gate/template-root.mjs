// A template's root, for tests that start what runs inside on this host.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../setup/root.mjs";

/**
 * Gives `work` a command's first words with which it sees the root of the template `code-interpreter` at a path, writable,
 * with whatever it writes in memory and gone with it: `work({ prefix, path })`.
 */
export async function withTemplateRoot(work) {
  const { defaultStateDir } = await import(pathToFileURL(join(root, "dist/index.js")).href);
  const images = await import(pathToFileURL(join(root, "dist/images/templates.js")).href);
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
