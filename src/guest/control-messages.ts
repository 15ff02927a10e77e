import { z } from "zod";
import type { EndReason } from "../core/driver.ts";
import { SandboxError } from "../core/errors.ts";
import { type Fields, isFields } from "../wire/json.ts";
import { errorCodeOf } from "../wire/connect-errors.ts";

/** What a supervisor knows of its machine's lease. */
export interface ControlInfo {
  readonly state: "running" | "paused";
  readonly startedAt: Date;
  readonly endAt: Date;
  readonly idleTimeoutMs: number;
  readonly detached: boolean;
  readonly agentVersion: string;
  readonly protocolVersion: string;
  readonly supervisorPid: number;
}

/** One reading of the machine's cgroup and disk. */
export interface ControlMetrics {
  /** CPU time used since the start. Microseconds. */
  readonly cpuUsageUsec: number;
  readonly cpuCount: number;
  readonly memoryUsedBytes: number;
  readonly memoryTotalBytes: number;
  readonly memoryCacheBytes: number;
  readonly diskUsedBytes: number;
  readonly diskTotalBytes: number;
  readonly oomKills: number;
  readonly timestamp: Date;
}

/** A copy of a machine's disk. */
export interface CopiedDisk {
  readonly digest: string;
  /** What it takes on the host's disk. */
  readonly sizeBytes: number;
  /** Its memory, where that was copied as well. */
  readonly memory?: CopiedMemory | undefined;
}

/** A kernel's memory, as decision 16 describes it. */
interface CopiedMemory {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly runtime: string;
  readonly processor: string;
}

export type ControlLine =
  | { readonly kind: "ended"; readonly reason: EndReason }
  | { readonly kind: "state"; readonly state: "running" | "paused" }
  | { readonly kind: "answer"; readonly id: number; readonly fields: Fields }
  | { readonly kind: "refusal"; readonly id: number; readonly error: SandboxError };

const endReason = z.enum([
  "killed",
  "lifetime",
  "idle",
  "owner-gone",
  "exited",
  "out-of-memory",
  "runtime-lost",
]);
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const amount = z.number().nonnegative();

const event = z.discriminatedUnion("event", [
  z.object({ event: z.literal("ended"), reason: endReason }),
  z.object({ event: z.literal("paused") }),
  z.object({ event: z.literal("resumed") }),
]);

const reply = z.union([
  z.object({ id: z.int(), ok: z.literal(true) }).loose(),
  z.object({
    id: z.int(),
    ok: z.literal(false),
    error: z.object({ code: z.string(), message: z.string() }),
  }),
]);

const info = z.object({
  info: z.object({
    // A supervisor that was started before an upgrade may not say it.
    state: z.enum(["running", "paused"]).default("running"),
    startedAt: time,
    endAt: time,
    idleTimeoutMs: amount,
    detached: z.boolean(),
    agentVersion: z.string(),
    protocolVersion: z.string(),
    supervisorPid: z.int(),
  }),
});

const metrics = z.object({
  metrics: z.object({
    cpuUsageUsec: amount,
    cpuCount: amount,
    memoryUsedBytes: amount,
    memoryTotalBytes: amount,
    memoryCacheBytes: amount,
    diskUsedBytes: amount,
    diskTotalBytes: amount,
    oomKills: amount,
    timestamp: time,
  }),
});

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const copied = z.object({
  copy: z.object({
    digest,
    sizeBytes: amount,
    memory: z
      .object({ digest, sizeBytes: amount, runtime: z.string(), processor: z.string() })
      .optional(),
  }),
});

export function parseCopiedDisk(answer: Fields): CopiedDisk {
  return checked(copied, answer).copy;
}

/** The reason in a note or a line about an end; `undefined` for anything else. */
export function parseEndReason(value: unknown): EndReason | undefined {
  const parsed = endReason.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** One line from a supervisor. Throws `internal` for one that breaks the protocol. */
export function parseControlLine(value: unknown): ControlLine {
  if (isFields(value) && "event" in value) return controlEvent(checked(event, value));
  const message = checked(reply, value);
  if (message.ok) return { kind: "answer", id: message.id, fields: message };
  const { code, message: text } = message.error;
  return { kind: "refusal", id: message.id, error: new SandboxError(errorCodeOf(code), text) };
}

function controlEvent(told: z.infer<typeof event>): ControlLine {
  if (told.event === "ended") return { kind: "ended", reason: told.reason };
  return { kind: "state", state: told.event === "paused" ? "paused" : "running" };
}

export function parseControlInfo(answer: Fields): ControlInfo {
  return checked(info, answer).info;
}

export function parseControlMetrics(answer: Fields): ControlMetrics {
  return checked(metrics, answer).metrics;
}

function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SandboxError("internal", "the supervisor broke its protocol", { cause: parsed.error });
}
