import { describe, expect, test } from "vitest";
import { SandboxError } from "../../core/errors.ts";
import { conditionalCalls, defaultSeccomp, parseSeccomp } from "./seccomp.ts";
import { allowedCalls } from "./system-calls.ts";

const forbidden = `
  acct add_key bpf chroot clock_adjtime clock_settime delete_module finit_module fsconfig fsmount fsopen fspick
  get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl
  lookup_dcookie mbind migrate_pages mount mount_setattr move_mount move_pages nfsservctl open_by_handle_at open_tree
  perf_event_open pidfd_getfd pivot_root quotactl quotactl_fd reboot request_key set_mempolicy setdomainname sethostname setns
  settimeofday swapoff swapon syslog umount umount2 unshare uselib userfaultfd vhangup
`
  .trim()
  .split(/\s+/);

describe("the default profile", () => {
  test("refuses what it does not name", () => {
    expect(defaultSeccomp("x64")).toMatchObject({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 1,
      architectures: ["SCMP_ARCH_X86_64"],
    });
    expect(defaultSeccomp("arm64")["architectures"]).toEqual(["SCMP_ARCH_AARCH64"]);
  });

  test("names no call that reaches beyond the caller's own processes and files", () => {
    expect(allowedCalls.filter((name) => forbidden.includes(name))).toEqual([]);
  });

  test("names each call once, and the conditional ones under a condition alone", () => {
    expect(new Set(allowedCalls).size).toBe(allowedCalls.length);
    for (const name of [...conditionalCalls, "sync", "io_setup"])
      expect(allowedCalls).not.toContain(name);
  });

  test("passes its own parser unchanged but for the fields that stand for nothing", () => {
    const profile = defaultSeccomp("x64");
    expect(parseSeccomp(profile)).toMatchObject(JSON.parse(JSON.stringify(profile)));
  });
});

describe("a caller's own profile", () => {
  test("is copied field by field", () => {
    const profile = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO", errnoRet: 13 }],
    };
    expect(parseSeccomp(profile)).toEqual(profile);
  });

  test.each([
    ["no default action", {}],
    ["an unknown field", { nonsense: true }],
    ["a listener on the host", { defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/x.sock" }],
    ["an action that asks a listener", { defaultAction: "SCMP_ACT_NOTIFY" }],
    ["an action for a tracer", { defaultAction: "SCMP_ACT_TRACE" }],
    ["rules that are no list", { defaultAction: "SCMP_ACT_ALLOW", syscalls: {} }],
    ["a rule without names", rule({ names: [] })],
    ["a name that is a path", rule({ names: ["../mkdir"] })],
    ["a name that is a number", rule({ names: [83] })],
    ["an errno that is none", rule({ names: ["mkdir"], errnoRet: 1e9 })],
    [
      "an argument that no call has",
      rule({ names: ["mkdir"], args: [{ index: 6, value: 0, op: "SCMP_CMP_EQ" }] }),
    ],
    [
      "a comparison that is none",
      rule({ names: ["mkdir"], args: [{ index: 0, value: 0, op: "==" }] }),
    ],
    [
      "too many rules",
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: Array.from({ length: 2001 }, () => ({})) },
    ],
  ])("with %s is refused by field", (_, profile) => {
    const act = (): unknown => parseSeccomp(profile);
    expect(act).toThrow(SandboxError);
    expect(act).toThrow(expect.objectContaining({ code: "invalid", field: "seccomp" }));
  });
});

function rule(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ action: "SCMP_ACT_ERRNO", ...fields }] };
}
