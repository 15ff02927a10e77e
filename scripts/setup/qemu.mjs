// QEMU, a package of the host.
import { run } from "../terminal/run-process.mjs";
import { compareVersions } from "./host.mjs";
import { oldestQemu } from "./known-escapes.mjs";

/** Machines with kernels of their own are there for one processor so far. */
export const hasMicrovms = process.arch === "x64";
export const wantedQemu = oldestQemu;

/** The version of the host's QEMU when it is new enough, else `undefined`. */
export async function goodQemu() {
  const { code, stdout } = await run(["qemu-system-x86_64", "--version"]);
  const version = /version (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  return code === 0 && isNewEnough(version) ? version : undefined;
}

/** Whether a package's version, as `1:10.0.2+ds-2`, is new enough. */
export function isGoodQemuPackage(version) {
  return isNewEnough(/^(?:\d+:)?(\d+\.\d+(?:\.\d+)?)/.exec(version ?? "")?.[1]);
}

function isNewEnough(version) {
  return version !== undefined && compareVersions(version, oldestQemu) >= 0;
}
