// The lab's kernel and root: made once from Debian's packages, kept below build/lab.
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  copyFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { debianMirror, installFromHost } from "../setup/apt.mjs";
import { programPath } from "../setup/host.mjs";
import { root } from "../setup/root.mjs";
import { Failure, must } from "../terminal/run-process.mjs";
import { skipped, stage } from "../terminal/stage.mjs";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const signed = `[signed-by=${keyring}]`;
const suite = "trixie";
const place = join(root, "build/lab");
/** Sparse, and in each run private: what a command writes is never kept. */
const diskSize = "16G";

/** What runs in the lab: Node and what the drivers and the suite call. */
const packages = [
  "linux-image-cloud-amd64",
  "initramfs-tools",
  "zstd",
  "kmod",
  "tini",
  "procps",
  "iproute2",
  "nodejs",
  "python3",
  "e2fsprogs",
  "erofs-utils",
  "virtiofsd",
  "runc",
  "runsc",
  "qemu-system-x86",
  "ca-certificates",
  "debian-archive-keyring",
  "mmdebstrap",
];

/** Modules that the root is found with; the rest is loaded from it. */
const earlyModules = ["virtio_pci", "virtio_blk", "ext4"];
const leftOut = ["man", "doc", "locale", "info"];

/** What lends directories to the lab; taken from its own root, since not every release of Debian has it. */
const virtiofsd = "/usr/libexec/virtiofsd";

/** Installs what the lab needs of this host, and makes what is missing. Resolves with the files that a run needs. */
export async function setUpLab() {
  await stage("lab's programs", async (detail) => {
    const missing = missingPackages();
    if (missing.length === 0) return skipped("there");
    await installFromHost(missing, detail);
    return missing.join(", ");
  });
  const image = join(place, digest());
  const files = {
    kernel: join(image, "vmlinuz"),
    initrd: join(image, "initrd"),
    disk: join(image, "root.ext4"),
    lender: join(image, "lender"),
  };
  await stage("lab's root", async (detail) => {
    if (existsSync(image)) return skipped("there");
    await make(image, files, detail);
    return "from Debian packages";
  });
  return files;
}

function missingPackages() {
  const wanted = [
    ["qemu-system-x86", programPath("qemu-system-x86_64") !== undefined],
    ["mmdebstrap", programPath("mmdebstrap") !== undefined],
    ["e2fsprogs", programPath("mkfs.ext4") !== undefined],
    ["debian-archive-keyring", existsSync(keyring)],
  ];
  return wanted.filter(([, there]) => !there).map(([name]) => name);
}

/** Of all that the image is made from, but for the versions of its packages. */
function digest() {
  const recipe = JSON.stringify([suite, packages, earlyModules, leftOut, diskSize]);
  return createHash("sha256").update(recipe).digest("hex").slice(0, 16);
}

/** Makes the image beside its place and renames it, so that it is whole or not there. Older ones go. */
async function make(image, files, detail) {
  mkdirSync(place, { recursive: true });
  const made = mkdtempSync(join(place, "new-"));
  try {
    const tree = join(made, "tree");
    detail(
      `mmdebstrap: ${packages.length} packages of Debian's ${suite} and what they need, some 100 s`,
    );
    await must(["mmdebstrap", ...(await recipeArguments(tree))]);
    detail("making the disk");
    const boot = readdirSync(join(tree, "boot"));
    for (const [name, prefix] of [
      ["vmlinuz", "vmlinuz-"],
      ["initrd", "initrd.img-"],
    ]) {
      const file = boot.find((each) => each.startsWith(prefix));
      if (file === undefined) throw new Failure(`Debian's kernel package brought no ${prefix}.`);
      renameSync(join(tree, "boot", file), join(made, name));
    }
    await takeLender(tree, join(made, "lender"));
    const disk = join(made, "root.ext4");
    await must(["truncate", "--size", diskSize, disk]);
    const quick = ["-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1"];
    await must(["mkfs.ext4", ...quick, "-d", tree, disk]);
    rmSync(tree, { recursive: true });
    for (const name of readdirSync(place))
      if (join(place, name) !== made) rmSync(join(place, name), { recursive: true, force: true });
    renameSync(made, image);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  if (!existsSync(files.disk)) throw new Failure("The lab's disk was not made.");
}

/** The program and its libraries; `start` among them runs it on any host. */
async function takeLender(tree, directory) {
  mkdirSync(directory);
  const { stdout } = await must(["chroot", tree, "ldd", virtiofsd]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path);
  const loader = libraries.find((path) => basename(path).startsWith("ld-linux"));
  for (const path of [virtiofsd, ...libraries])
    copyFileSync(join(tree, path), join(directory, basename(path)));
  const command = [basename(loader), "--library-path . ./virtiofsd"].join(" ");
  const script = `#!/bin/sh\ncd "$(dirname "$0")" && exec ./${command} "$@"\n`;
  writeFileSync(join(directory, "start"), script, { mode: 0o755 });
}

async function recipeArguments(tree) {
  const mirror = await debianMirror();
  const modules = earlyModules.map((name) => `${name}\\n`).join("");
  const initramfs = '"$1/etc/initramfs-tools';
  return [
    "--mode=root",
    "--variant=minbase",
    ...leftOut.map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    `--include=${packages.join(",")}`,
    `--essential-hook=mkdir -p ${initramfs}/conf.d" && echo MODULES=list > ${initramfs}/conf.d/lab" && printf '${modules}' > ${initramfs}/modules"`,
    suite,
    tree,
    `deb ${signed} ${mirror} ${suite} main`,
    `deb ${signed} ${mirror.replace(/\/debian$/, "/debian-security")} ${suite}-security main`,
  ];
}
