import type { SeccompProfile } from "../../core/spec.ts";
import { invalid, isObject } from "../../core/validate.ts";
import { type MaskedValue, allBut } from "./masks.ts";
import { allowedCalls } from "./system-calls.ts";

/** What a rule compares an argument with, as the OCI runtime specification spells it. */
interface Argument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: "SCMP_CMP_EQ" | "SCMP_CMP_MASKED_EQ";
}

const allow = "SCMP_ACT_ALLOW";

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const namespaceFlags = 0x7e020000;

/** Address layouts that programs for other systems ask for; without one that takes the randomness away. */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** AF_UNIX, and AF_NETLINK to the routing tables of the sandbox's own network. */
const unixFamily = 1;
const netlinkFamily = 16;
const internetFamilies = [2, 10];
/** TCP and UDP over their own kinds of socket. No raw socket, no ICMP, and no protocol whose code is seldom read. */
const transports = [
  { kind: 1, protocol: 0 },
  { kind: 1, protocol: 6 },
  { kind: 2, protocol: 0 },
  { kind: 2, protocol: 17 },
];

/** SOCK_NONBLOCK and SOCK_CLOEXEC come with the kind. */
const kindMask = 0xf;

/** Where a call asks for huge pages (MAP_HUGETLB, MFD_HUGETLB, SHM_HUGETLB): they are the host's, and no memory limit counts them. */
const hugePages = [
  { name: "mmap", index: 3, flag: 0x40000 },
  { name: "memfd_create", index: 1, flag: 0x4 },
  { name: "shmget", index: 2, flag: 0x800 },
];

/** All limits of a process but RLIMIT_CORE, whose value keeps its crashes from the host's core handler. */
const settableLimits = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const wholeInt = 0xffffffff;

/** TIOCSTI types into a terminal as its user would, TIOCLINUX into a console, and TIOCSETD loads line disciplines. */
const forbiddenRequests = [0x5412, 0x541c, 0x5423];

/** Calls of which some forms are allowed. */
export const conditionalCalls: readonly string[] = [
  "clone",
  "ioctl",
  "personality",
  "socket",
  "socketpair",
  "setrlimit",
  "prlimit64",
  ...hugePages.map(({ name }) => name),
];

/**
 * Answers to calls that are not made. `sync` would write out every disk of the host, and a sandbox's does not outlive it;
 * `io_setup` takes from a number that the whole host shares, and programs know kernels without it (ENOSYS).
 */
const answers = [
  { names: ["sync"], action: "SCMP_ACT_ERRNO", errnoRet: 0 },
  { names: ["io_setup"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
];

/** What refuses new namespaces: their count in a user namespace of the sandbox's own, or this filter, which keeps `clone3` away. */
export interface SeccompOptions {
  readonly newNamespaces: "by their count" | "by the filter";
}

/** Programs that know `clone3` do without it where the kernel says that it is not there (ENOSYS). */
const withoutClone3 = { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 };

/**
 * The profile of a sandbox: what is not named is refused with EPERM.
 *
 * `clone3`, whose flags a filter cannot see, is allowed where new namespaces are refused by their count
 * (`user.max_*_namespaces`), which the agent sets to 0 before anything else runs.
 */
export function defaultSeccomp(
  machine: string,
  { newNamespaces }: SeccompOptions = { newNamespaces: "by their count" },
): SeccompProfile {
  const isFiltered = newNamespaces === "by the filter";
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: [architectureOf(machine)],
    syscalls: [
      { names: allowedCalls.filter((name) => !isFiltered || name !== "clone3"), action: allow },
      ...(isFiltered ? [withoutClone3] : []),
      rule("clone", [masked(0, namespaceFlags, 0)]),
      ...personalities.map((value) => rule("personality", [equal(0, value)])),
      rule("socket", [equal(0, unixFamily)]),
      rule("socketpair", [equal(0, unixFamily)]),
      rule("socket", [equal(0, netlinkFamily), equal(2, 0)]),
      ...internetFamilies.flatMap((family) =>
        transports.map(({ kind, protocol }) =>
          rule("socket", [equal(0, family), masked(1, kindMask, kind), equal(2, protocol)]),
        ),
      ),
      ...hugePages.map(({ name, index, flag }) => rule(name, [masked(index, flag, 0)])),
      ...allBut(forbiddenRequests).map((each) => rule("ioctl", [maskedBy(1, each)])),
      rule("prlimit64", [equal(2, 0)]),
      ...settableLimits.flatMap((limit) => [
        rule("setrlimit", [masked(0, wholeInt, limit)]),
        rule("prlimit64", [masked(1, wholeInt, limit)]),
      ]),
      ...answers,
    ],
  };
}

function rule(name: string, args: readonly Argument[]): unknown {
  return { names: [name], action: allow, args };
}

function equal(index: number, value: number): Argument {
  return { index, value, op: "SCMP_CMP_EQ" };
}

function masked(index: number, mask: number, value: number): Argument {
  return { index, value: mask, valueTwo: value, op: "SCMP_CMP_MASKED_EQ" };
}

function maskedBy(index: number, { mask, value }: MaskedValue): Argument {
  return masked(index, mask, value);
}

/** The processor's own calls alone: another architecture's numbers end the process. */
function architectureOf(machine: string): string {
  return machine === "arm64" ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64";
}

const actions = [
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
];
const comparisons = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map(
  (each) => `SCMP_CMP_${each}`,
);
const flags = [
  "SECCOMP_FILTER_FLAG_TSYNC",
  "SECCOMP_FILTER_FLAG_LOG",
  "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
];
const profileFields = ["defaultAction", "defaultErrnoRet", "architectures", "flags", "syscalls"];
const ruleFields = ["names", "action", "errnoRet", "args", "comment"];
const maxRules = 2000;

/**
 * A caller's own profile, checked by hand and copied field by field. It replaces the default one.
 *
 * Throws `invalid` with the field `seccomp`. What would have the runtime talk to a listener on the host is refused.
 */
export function parseSeccomp(profile: SeccompProfile): SeccompProfile {
  knownFields(profile, profileFields, "the profile");
  const { defaultAction, architectures, syscalls } = profile;
  return {
    defaultAction: oneOf(defaultAction, actions, "defaultAction"),
    ...errno(profile["defaultErrnoRet"], "defaultErrnoRet"),
    ...(architectures === undefined
      ? {}
      : { architectures: names(architectures, "architectures", /^SCMP_ARCH_[A-Z0-9_]+$/) }),
    ...(profile["flags"] === undefined
      ? {}
      : { flags: list(profile["flags"], "flags").map((each) => oneOf(each, flags, "flags")) }),
    syscalls: list(syscalls ?? [], "syscalls").map(parseRule),
  };
}

function parseRule(value: unknown, index: number): unknown {
  const at = `syscalls[${index}]`;
  if (!isObject(value)) throw wrong(`${at} is no object`);
  knownFields(value, ruleFields, at);
  const { args } = value;
  const named = names(value["names"], `${at}.names`, /^[a-z0-9_]{1,64}$/);
  if (named.length === 0) throw wrong(`${at}.names is empty`);
  return {
    names: named,
    action: oneOf(value["action"], actions, `${at}.action`),
    ...errno(value["errnoRet"], `${at}.errnoRet`),
    ...(args === undefined || args === null
      ? {}
      : { args: list(args, `${at}.args`).map((each) => parseArgument(each, `${at}.args`)) }),
  };
}

function parseArgument(value: unknown, at: string): unknown {
  if (!isObject(value)) throw wrong(`${at} holds what is no object`);
  knownFields(value, ["index", "value", "valueTwo", "op"], at);
  return {
    index: whole(value["index"], 5, `${at}.index`),
    value: whole(value["value"], Number.MAX_SAFE_INTEGER, `${at}.value`),
    valueTwo: whole(value["valueTwo"] ?? 0, Number.MAX_SAFE_INTEGER, `${at}.valueTwo`),
    op: oneOf(value["op"], comparisons, `${at}.op`),
  };
}

function errno(value: unknown, at: string): Readonly<Record<string, number>> {
  if (value === undefined) return {};
  return { [at.split(".").at(-1) ?? at]: whole(value, 4095, at) };
}

function knownFields(value: object, known: readonly string[], at: string): void {
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw wrong(`${at} has an unknown field ${shown(unknown)}`);
}

function oneOf(value: unknown, known: readonly string[], at: string): string {
  const found = known.find((each) => each === value);
  if (found !== undefined) return found;
  throw wrong(`${at} is none of ${known.join(", ")}`);
}

function list(value: unknown, at: string): readonly unknown[] {
  if (Array.isArray(value) && value.length <= maxRules) return value;
  throw wrong(`${at} is no list of at most ${maxRules}`);
}

function names(value: unknown, at: string, form: RegExp): readonly string[] {
  return list(value, at).map((each) => {
    if (typeof each === "string" && form.test(each)) return each;
    throw wrong(`${at} holds ${shown(each)}`);
  });
}

function whole(value: unknown, max: number, at: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max)
    return value;
  throw wrong(`${at} is no whole number from 0 to ${max}`);
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : typeof value;
}

function wrong(message: string): Error {
  return invalid(
    "seccomp",
    message,
    "give the linux.seccomp object of the OCI runtime specification",
  );
}
