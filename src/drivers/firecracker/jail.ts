import { basename, join } from "node:path";
import type { Programs } from "./programs.ts";

/** The name of every machine in its own jail, where there is no other. */
const name = "vm";
export const apiSocket = "api.sock";

/** Where a file of the machine is, as Firecracker sees it. */
export function work(file: string): string {
  return `/machine/${file}`;
}

/** The jail's root, below the directory that it is made in. */
export function jailRoot({ firecracker }: Programs): string {
  return join(basename(firecracker), name, "root");
}

export interface JailWanted {
  readonly programs: Programs;
  /** The jail is made below it. */
  readonly directory: string;
  /** User and group of the host. */
  readonly hostId: number;
  /** The machine's control group, which it is in already. */
  readonly group: string | undefined;
  /** The largest file that Firecracker may write. Bytes. */
  readonly fileBytes: number;
  /** Puts Firecracker into a namespace of processes of its own and lets it go. */
  readonly apart: boolean;
  readonly seccompFilter: boolean;
}

/** The jailer's command line: Firecracker as a user without rights, in a root and namespaces of its own, under its seccomp filter. */
export function jailerCommand(wanted: JailWanted): [string, ...string[]] {
  const { programs, directory, hostId, group, fileBytes, apart } = wanted;
  const words = [
    ["--id", name, "--exec-file", programs.firecracker, "--chroot-base-dir", directory],
    ["--uid", String(hostId), "--gid", String(hostId)],
    group === undefined ? [] : ["--cgroup-version", "2", "--parent-cgroup", group],
    ["--resource-limit", `fsize=${fileBytes}`, "--resource-limit", "no-file=128"],
    apart ? ["--new-pid-ns"] : [],
    ["--", "--api-sock", apiSocket, "--level", "Error"],
    wanted.seccompFilter ? ["--seccomp-filter", work("seccomp")] : [],
  ];
  return [programs.jailer, ...words.flat()];
}

/** Names the first process of a machine that was put apart; the jailer writes it. */
export function pidFile(programs: Programs): string {
  return join(jailRoot(programs), `${basename(programs.firecracker)}.pid`);
}
