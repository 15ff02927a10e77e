import type { Enforcement, EnforcementReport } from "../../core/enforcement.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { limitFiles } from "../local/control-groups.ts";
import {
  leaseRows,
  refusePauseThatKeepsLess,
  refuseWhatThisHostLacks,
  unsupported,
} from "../local/shared-rows.ts";
import type { Engine } from "./engine.ts";

/** The least that a kernel of its own, the agent and a command need. MiB. */
const leastMemoryMiB = 128;

/** What enforces each option of the spec. Throws `unsupported`, with the field, for one that nothing enforces here. */
export function enforcementReport(engine: Engine, spec: SandboxSpec): EnforcementReport {
  refuseWhatThisHostLacks(spec);
  refusePauseThatKeepsLess(engine.keeps, spec.lease);
  const { resources, lease } = spec;
  if (resources.memoryMiB < leastMemoryMiB)
    throw unsupported(
      "resources.memoryMiB",
      `a kernel of its own needs ${leastMemoryMiB} MiB`,
      `ask for at least ${leastMemoryMiB}, or for a driver that shares the host's kernel`,
    );
  const files = limitFiles();
  return [
    {
      option: "resources.cpus",
      value: `${resources.cpus} cores' time, as ${Math.ceil(resources.cpus)} processors`,
      by: files.cpu,
      where: "host",
      note: "the engine's own use counts",
    },
    {
      option: "resources.memoryMiB",
      value: `${resources.memoryMiB} MiB, no swap`,
      by: "the size of the machine's memory",
      where: "host",
      note: `its kernel's own use counts; ${files.memory} holds the engine as a whole`,
    },
    {
      option: "resources.diskMiB",
      value: `${resources.diskMiB} MiB for all that is written`,
      by: "a disk of that size",
      where: "host",
    },
    {
      option: "resources.pids",
      value: `${resources.pids} processes and threads`,
      by: "pids.max of the machine's own kernel",
      where: "guest-kernel",
      note: "on the host the engine has its own threads alone",
    },
    {
      option: "resources.openFiles",
      value: `${resources.openFiles} for each process`,
      by: "RLIMIT_NOFILE of the machine's own kernel",
      where: "guest-kernel",
    },
    ...engine.enforcement(spec),
    ...leaseRows(lease),
    {
      option: "egress",
      value: "nothing leaves",
      by: "no network card, and an engine in a network namespace without one",
      where: "host",
    },
    ...inside,
  ];
}

/** What root of the machine could undo, and would undo for that machine alone. */
const inside: readonly Enforcement[] = [
  {
    option: "devices",
    value:
      "null, zero, full, random, urandom, tty and terminals of its own; disks and a port to the agent for root",
    by: "the engine, which has no other devices",
    where: "host",
  },
  {
    option: "sudo",
    value: "works, as in a virtual machine",
    by: "the agent; root is root of the machine's own kernel alone",
    where: "guest-kernel",
  },
  {
    option: "capabilities",
    value: "none for the user, all but CAP_SYS_PTRACE of the machine's own kernel for root",
    by: "the machine's own kernel",
    where: "guest-kernel",
  },
  {
    option: "noNewPrivileges",
    value: "not set in the machine, so that sudo works",
    by: "nothing inside; on the host the engine has it set",
    where: "none",
  },
  {
    option: "userNamespace",
    value:
      "own, in a kernel of its own; the engine is a user that no account and no other machine has",
    by: "the machine's own kernel, and an id of the host for each engine",
    where: "host",
  },
  {
    option: "systemCalls",
    value: "answered by the machine's own kernel",
    by: "the engine",
    where: "host",
  },
];
