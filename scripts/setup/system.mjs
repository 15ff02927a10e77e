// What set-up needs of the host, and what it installs where something is missing. Only this needs root.
import { existsSync } from "node:fs";
import { Failure } from "../terminal/run-process.mjs";
import { stage, skipped } from "../terminal/stage.mjs";
import { fromDebian, hostCandidate, installFiles, installFromHost } from "./apt.mjs";
import { findGo, wantedGo } from "./go.mjs";
import { distribution, hasApt, programPath } from "./host.mjs";
import { goodQemu, hasMicrovms, isGoodQemuPackage, wantedQemu } from "./qemu.mjs";
import { goodRunc, goodRunsc, installRunc, isGoodRunscPackage, wantedRunsc } from "./runtimes.mjs";

const backports = { bookworm: "bookworm-backports" };
/** Debian's release after the newest stable one, where runC is new; and the one whose Go and runsc are taken elsewhere. */
const nextRelease = "forky";
const stableRelease = "trixie";

/** What is missing: `{ packages, runsc, runc, go }`; with nothing missing, an empty list and three `false`. */
export async function missingOfHost(prefix) {
  const runc = await goodRunc(prefix);
  const wanted = [
    ["mmdebstrap", programPath("mmdebstrap") !== undefined],
    ["e2fsprogs", programPath("mkfs.ext4") !== undefined],
    ["erofs-utils", programPath("mkfs.erofs") !== undefined],
    ["debian-archive-keyring", existsSync("/usr/share/keyrings/debian-archive-keyring.gpg")],
    ["python3", programPath("python3") !== undefined],
    ["ca-certificates", existsSync("/etc/ssl/certs/ca-certificates.crt")],
    ["patchelf", runc !== undefined || programPath("patchelf") !== undefined],
  ];
  return {
    packages: wanted.filter(([, there]) => !there).map(([name]) => name),
    runsc: (await goodRunsc()) === undefined,
    runc: runc === undefined,
    qemu: hasMicrovms && (await goodQemu()) === undefined,
    go: (await findGo()) === undefined,
  };
}

/** What is missing, in words; empty when nothing is. */
export function missingInWords({ packages, runsc, runc, qemu, go }) {
  return [
    ...packages,
    ...(runsc ? [`gVisor's runsc of ${wantedRunsc} or later`] : []),
    ...(runc ? ["a runC without known escapes"] : []),
    ...(qemu ? [`QEMU ${wantedQemu} or later`] : []),
    ...(go ? [`Go ${wantedGo} or later`] : []),
  ];
}

export async function setUpHost(prefix) {
  const missing = await stage("what this host has", async () => {
    const found = await missingOfHost(prefix);
    const words = missingInWords(found);
    return {
      ...found,
      note: words.length === 0 ? "all that is needed" : `missing: ${words.join(", ")}`,
    };
  });
  if (missingInWords(missing).length === 0) return;
  if (!hasApt)
    throw new Failure(
      `${distribution().name || "This system"} has no apt, so set-up cannot install what is missing. ` +
        `Install it yourself and start again: ${missingInWords(missing).join(", ")}.`,
    );
  await stage("system packages", async (detail) => {
    if (missing.packages.length === 0) return skipped("there");
    await installFromHost(missing.packages, detail);
    return missing.packages.join(", ");
  });
  await stage("runtimes and Go", (detail) => installRuntimes(missing, { prefix, detail }));
}

async function installRuntimes(missing, { prefix, detail }) {
  const plan = {
    runsc: missing.runsc && (await runscSource()),
    go: missing.go && (await goSource()),
    runc: missing.runc && nextRelease,
    qemu: missing.qemu && (await qemuSource()),
  };
  const fromHost = [
    ...(plan.runsc === "host" ? ["runsc"] : []),
    ...(plan.go === "host" ? [`golang-${wantedGo}-go`] : []),
    ...(plan.qemu === "host" ? ["qemu-system-x86"] : []),
  ];
  if (fromHost.length > 0) await installFromHost(fromHost, detail);
  const suites = Object.values(plan).filter((suite) => suite !== false && suite !== "host");
  if (suites.length > 0) {
    await fromDebian([...new Set(suites)], detail, async (download) => {
      if (suites.includes(plan.runsc))
        await installFiles(await download(["runsc"], plan.runsc), detail);
      if (suites.includes(plan.go))
        await installFiles(await download(goPackages(), plan.go), detail);
      if (suites.includes(plan.qemu))
        await installFiles(await download(qemuPackages, plan.qemu), detail);
      if (plan.runc !== false)
        await installRunc(await download(["runc", "libc6", "libseccomp2"], plan.runc), prefix);
    });
  }
  const names = Object.keys(plan).filter((name) => plan[name] !== false);
  return names.length === 0 ? skipped("there") : names.join(", ");
}

function goPackages() {
  return [`golang-${wantedGo}-src`, `golang-${wantedGo}-go`];
}

/** QEMU, and what of its own it takes in no older version. */
const qemuPackages = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"];

/** The host's own sources where they have a QEMU that is new enough; else a suite of Debian's archive. */
async function qemuSource() {
  if (isGoodQemuPackage(await hostCandidate("qemu-system-x86"))) return "host";
  return backports[distribution().codename] ?? stableRelease;
}

/** The host's own sources where they have a runsc that is new enough; else a suite of Debian's archive. */
async function runscSource() {
  if (isGoodRunscPackage(await hostCandidate("runsc"))) return "host";
  return backports[distribution().codename] ?? stableRelease;
}

async function goSource() {
  return (await hostCandidate(`golang-${wantedGo}-go`)) === undefined ? stableRelease : "host";
}
