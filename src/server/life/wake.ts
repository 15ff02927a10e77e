import { SandboxError } from "../../core/errors.ts";
import { admits, mayWake } from "../data/admission.ts";
import type { Target, Visit } from "../data/target.ts";
import { currentOf } from "./lease.ts";
import type { LiveSandbox } from "./live.ts";
import type { LifeParts } from "./parts.ts";
import { resumeNow } from "./power.ts";

/** How long a request waits for its sandbox to be resumed. Milliseconds. */
const longestWaitMs = 60_000;
/** Requests that wait at once: for one sandbox, for those of a tenant, and for all. */
const mostForOne = 128;
const mostForTenant = 512;
const mostInAll = 2048;

/** Finds sandboxes for the proxy, and wakes those that asked for it. */
export type Door = (id: string, visit: Visit) => Promise<Target | undefined>;

export function door(parts: LifeParts): Door {
  const waking = new Map<string, { readonly woken: Promise<boolean>; waiters: number }>();
  const ofTenants = new Map<string, number>();
  let waiters = 0;

  function count(tenantId: string, change: 1 | -1): void {
    const now = (ofTenants.get(tenantId) ?? 0) + change;
    if (now === 0) ofTenants.delete(tenantId);
    else ofTenants.set(tenantId, now);
    waiters += change;
  }

  async function wake(sandbox: LiveSandbox): Promise<Target | undefined> {
    const { id, tenantId } = sandbox;
    const isCrowded =
      (waking.get(id)?.waiters ?? 0) >= mostForOne ||
      (ofTenants.get(tenantId) ?? 0) >= mostForTenant;
    if (isCrowded || waiters >= mostInAll)
      throw new SandboxError("exhausted", "too many requests wait for a sandbox to be resumed", {
        mend: "try again in a moment",
      });
    const known = waking.get(id) ?? { woken: resumed(parts, sandbox), waiters: 0 };
    waking.set(id, known);
    known.waiters += 1;
    count(tenantId, 1);
    try {
      const isAwake = await within(known.woken, longestWaitMs);
      return isAwake ? sandbox.gate.target : undefined;
    } finally {
      known.waiters -= 1;
      count(tenantId, -1);
      if (known.waiters === 0 && waking.get(id) === known) waking.delete(id);
    }
  }

  return async (id, visit) => {
    const sandbox = parts.live.get(id);
    const { target } = sandbox?.gate ?? {};
    if (sandbox === undefined || target === undefined || sandbox.isEnding) return undefined;
    if (sandbox.gate.isOpen && !sandbox.alarm.isDue) return target;
    if (!sandbox.autoResume) return undefined;
    if (!admits(target, visit)) return target;
    return mayWake(target, visit) ? wake(sandbox) : undefined;
  };
}

/** Resumes it for the lifetime that it had; `false` for one that kept no memory: that is not what traffic may start. */
async function resumed(parts: LifeParts, sandbox: LiveSandbox): Promise<boolean> {
  return sandbox.inTurn(async () => {
    const record = await currentOf(parts, sandbox);
    if (record.state === "running") return true;
    if (record.kept !== "memory") return false;
    const { lifetimeMs } = record;
    await resumeNow(parts, sandbox, { record, lifetimeMs, anew: false });
    return true;
  });
}

async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new SandboxError("timed-out", "the sandbox was not resumed in time", {
      mend: "connect to it, and try again",
    });
    timer = setTimeout(() => reject(error), milliseconds).unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
