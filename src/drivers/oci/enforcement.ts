import type { EnforcementReport } from "../../core/enforcement.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { limitFiles } from "../local/control-groups.ts";
import {
  escapeRow,
  leaseRows,
  refusePauseThatKeepsLess,
  refuseWhatThisHostLacks,
} from "../local/shared-rows.ts";
import type { Preset } from "./preset.ts";

/** What enforces each option of the spec. Throws `unsupported`, with the field, for one that nothing enforces here. */
export function enforcementReport(
  preset: Preset,
  spec: SandboxSpec,
  overridden: readonly string[],
): EnforcementReport {
  refuseWhatThisHostLacks(spec);
  refusePauseThatKeepsLess(preset.keeps, spec.lease);
  const { resources, lease } = spec;
  const files = limitFiles();
  const own = preset.enforcement(spec, { resources, pidsFile: files.pids });
  return [
    {
      option: "resources.cpus",
      value: `${resources.cpus} cores' time`,
      by: files.cpu,
      where: "host",
      note: "the runtime's own use counts",
    },
    {
      option: "resources.memoryMiB",
      value: `${resources.memoryMiB} MiB, no swap`,
      by: files.memory,
      where: "host",
      note: "the runtime's own use, files in memory and page cache count",
    },
    {
      option: "resources.diskMiB",
      value: `${resources.diskMiB} MiB for all that is written`,
      by: "ext4 image of that size, loop-mounted as the writable layer of the root",
      where: "host",
    },
    ...own,
    ...leaseRows(lease),
    {
      option: "egress",
      value: "nothing leaves",
      by: "network namespace with loopback alone",
      where: "host",
    },
    {
      option: "devices",
      value: "null, zero, full, random, urandom, tty and terminals of its own",
      by: "file system of its own at /dev, and no right to make device nodes that open one",
      where: "host",
    },
    escapeRow(overridden),
  ];
}
