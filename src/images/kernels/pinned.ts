/** A guest kernel of which every byte is known. */
export interface PinnedKernel {
  /** Debian's version of the package. */
  readonly version: string;
  readonly package: string;
  /** The source package that it is built from. */
  readonly source: string;
  readonly suite: string;
  readonly architecture: string;
  /** SHA-256 of the package, in hexadecimal digits. */
  readonly packageSha256: string;
  /** SHA-256 of the kernel, unpacked. */
  readonly vmlinuxSha256: string;
}

/** The kernel that a machine boots which has never fetched another. */
export const pinnedKernel: PinnedKernel = {
  version: "6.1.192-3",
  package: "linux-image-6.1.0-57-cloud-amd64",
  source: "linux-signed-amd64 (6.1.192+3)",
  suite: "bookworm",
  architecture: "amd64",
  packageSha256: "4fdd0172a8c3f41a97e92465b2ac1867e1c10d82d7aeed3d26ee7a5d14df1754",
  vmlinuxSha256: "e1e0240c5d8b95af443b4392bdc95fe90ae0a70b433fb82f13e50d102ff9610a",
};

/** The package that always depends on the newest kernel of the suite. */
export const newestOf = { package: "linux-image-cloud-amd64", suite: "bookworm" } as const;
