import type { AuditLog } from "../../audit/audit-log.ts";
import { SandboxError } from "../../core/errors.ts";
import type { Authenticated } from "../../store/api-key.ts";
import type { Log } from "../log.ts";
import type { Inquiry } from "./inquiry.ts";
import type { Answer, Operation } from "./operation.ts";
import { type Repeats, repeats } from "./repeats.ts";

/** A call of the control plane that is over. */
export interface Done {
  readonly operation: Operation;
  /** `undefined`: nobody that is known. */
  readonly by: Authenticated | undefined;
  readonly answer: Answer;
  readonly sandboxId: string | undefined;
  readonly inquiry: Inquiry;
}

/** Resolves once a call that may have changed something is written. Never rejects. */
export type Recorder = (done: Done) => Promise<void>;

/** Callers whom nobody knows could fill the disk: of their calls so many are written each minute. */
const strangersPerMinute = 60;
const minuteMs = 60_000;

export function recorder(audit: AuditLog, log: Log): Recorder {
  let minute = 0;
  let strangers = 0;
  const isTooMuch = (): boolean => {
    const now = Math.floor(Date.now() / minuteMs);
    if (now !== minute) strangers = 0;
    minute = now;
    strangers += 1;
    return strangers > strangersPerMinute;
  };
  const again = repeats();
  return async (done) => {
    if (done.by === undefined && isTooMuch()) return;
    const unrecorded = repetition(again, done);
    if (unrecorded === undefined) return;
    const written = write(audit, done, unrecorded).catch((cause: unknown) =>
      log("error", "a call could not be recorded", {
        requestId: done.inquiry.requestId,
        error: SandboxError.from(cause).message,
      }),
    );
    if (done.operation.method !== "GET") await written;
  };
}

/** How many calls like it its record stands for beside it; `undefined`: a later record stands for it. */
function repetition(
  again: Repeats,
  { operation, by, answer, sandboxId, inquiry }: Done,
): number | undefined {
  if (answer.repeats === undefined) return 0;
  const likeness = JSON.stringify([operation.name, by?.key.id, sandboxId, inquiry.from]);
  return answer.repeats ? again.count(likeness) : again.end(likeness);
}

async function write(
  audit: AuditLog,
  { operation, by, answer, sandboxId, inquiry }: Done,
  unrecorded: number,
): Promise<void> {
  await audit.append({
    tenantId: by?.tenant.id ?? null,
    actor: by?.key.id ?? "anonymous",
    action: operation.name,
    sandboxId: sandboxId ?? null,
    from: inquiry.from,
    result: answer.status < 400 ? "ok" : String(answer.status),
    details: {
      requestId: inquiry.requestId,
      ...(unrecorded === 0 ? {} : { repeated: String(unrecorded) }),
    },
  });
}
