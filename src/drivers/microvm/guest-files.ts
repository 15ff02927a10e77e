import { rootImage } from "../../images/root-image.ts";
import { initramfs } from "../../images/kernels/initramfs.ts";
import { ensureKernel } from "../../images/kernels/fetch.ts";
import { type KnownFile, verified } from "../../images/verified.ts";

/** What machines of one template boot from, each found to be what was noted. */
export interface GuestFiles {
  /** Debian's version of the kernel. */
  readonly kernel: string;
  readonly vmlinux: KnownFile;
  readonly initramfs: KnownFile;
  /** Images of the layers, topmost first. */
  readonly layers: readonly KnownFile[];
}

/**
 * Finds and verifies all that a machine boots from; makes what is missing.
 *
 * Throws `untrusted` where something is not what was noted, `unavailable` where the kernel cannot be fetched.
 */
export async function guestFiles(
  stateDir: string,
  directories: readonly string[],
  signal?: AbortSignal,
): Promise<GuestFiles> {
  const kernel = await ensureKernel(stateDir, { signal });
  const vmlinux = { path: kernel.vmlinux, sha256: kernel.vmlinuxSha256 };
  const first = await initramfs(kernel);
  const mend = "fetch it again: cofferdam kernel update";
  await Promise.all([verified(vmlinux, mend), verified(first, mend)]);
  const layers: KnownFile[] = [];
  for (const directory of directories) layers.push(await rootImage(stateDir, directory));
  return { kernel: kernel.kernel, vmlinux, initramfs: first, layers };
}
