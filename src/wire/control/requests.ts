import { z } from "zod";

const longestSeconds = 2_147_483_647;
const lifetime = z.number().int().min(1).max(longestSeconds);

/** `POST …/connect`. */
export interface ConnectRequest {
  /** Seconds from now. */
  readonly timeout: number;
  /** `false`: a paused sandbox starts anew from its files. */
  readonly memory?: boolean | null | undefined;
}

const memory = z.boolean().nullish();

export const connectV1: z.ZodType<ConnectRequest> = z.object({ timeout: lifetime, memory });
export const connectV2: z.ZodType<ConnectRequest> = z.object({
  timeout: lifetime.default(300),
  memory,
});
/** `POST …/resume`, of old clients. */
export interface ResumeRequest extends ConnectRequest {
  /** Whether the end of its lifetime pauses it. */
  readonly autoPause?: boolean | null | undefined;
}

export const resume: z.ZodType<ResumeRequest> = z.object({
  timeout: lifetime.default(15),
  memory,
  autoPause: z.boolean().nullish(),
});

/** `POST …/timeout`: seconds from now; what is negative counts as 0, which ends the sandbox. */
export const timeout: z.ZodType<{ readonly timeout: number }> = z.object({
  timeout: z
    .number()
    .int()
    .max(longestSeconds)
    .transform((value) => Math.max(0, value)),
});

/** `POST …/refreshes`: lives at least so many seconds more. */
export const refreshes: z.ZodType<{ readonly duration: number }> = z.object({
  duration: z.number().int().min(0).max(3600).default(15),
});

export const pause: z.ZodType<{ readonly memory?: boolean | null | undefined }> = z.object({
  memory,
});

export const newSnapshot: z.ZodType<{ readonly name?: string | null | undefined }> = z.object({
  name: z.string().min(1).max(128).nullish(),
});

/** `POST /cofferdam/v1/sandboxes/{id}/snapshots`. */
export const ownSnapshot: z.ZodType<{ readonly name: string }> = z.object({
  name: z.string().min(1).max(128),
});

export interface ForkRequest {
  readonly count: number;
  /** Seconds from now. */
  readonly timeout: number;
}

export const fork: z.ZodType<ForkRequest> = z.object({
  count: z.number().int().min(1).max(100).default(1),
  timeout: lifetime.default(15),
});
