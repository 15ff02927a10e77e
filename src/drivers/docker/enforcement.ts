import type { Isolation } from "../../core/driver.ts";
import type { Enforcement } from "../../core/enforcement.ts";
import type { SandboxSpec } from "../../core/spec.ts";
import { guestKernelRows, hostKernelRows } from "../engine/kernel-rows.ts";

/** What the runtime does, by what stands between its machines and the host. */
export function dockerEnforcement(spec: SandboxSpec, isolation: Isolation): readonly Enforcement[] {
  if (isolation === "syscall") return guestKernelRows("gVisor's own kernel");
  if (isolation === "vm") return guestKernelRows("the virtual machine's kernel");
  return hostKernelRows(spec);
}
