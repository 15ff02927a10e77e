import { z } from "zod";

type Maybe<T> = T | null | undefined;
type Pairs = Readonly<Record<string, string>>;

/** What may leave a sandbox, as a client asks for it. */
export interface EgressConfig {
  readonly allowOut?: Maybe<readonly string[]>;
  readonly denyOut?: Maybe<readonly string[]>;
  /** Changes of requests on their way out, by host name. */
  readonly rules?: Maybe<Readonly<Record<string, readonly unknown[]>>>;
  readonly egressProxy?: Maybe<{ readonly address: string }>;
}

export interface NetworkConfig extends EgressConfig {
  /** `false`: ports other than the agent's ask for the traffic token. */
  readonly allowPublicTraffic?: Maybe<boolean>;
  /** `Host` for programs of the guest; `${PORT}` stands for the port. */
  readonly maskRequestHost?: Maybe<string>;
  /** Ports that speak TLS. */
  readonly httpsPorts?: Maybe<readonly number[]>;
}

/** `POST /v2/sandboxes`. */
export interface NewSandbox {
  readonly templateID: string;
  /** Seconds. */
  readonly timeout: number;
  readonly metadata?: Maybe<Pairs>;
  readonly envVars?: Maybe<Pairs>;
  readonly allow_internet_access?: Maybe<boolean>;
  readonly network?: Maybe<NetworkConfig>;
  readonly autoPause?: Maybe<boolean>;
  readonly autoPauseMemory?: Maybe<boolean>;
  readonly autoResume?: Maybe<{ readonly enabled: boolean }>;
  readonly mcp?: Maybe<Readonly<Record<string, unknown>>>;
  readonly iam?: Maybe<{ readonly tokens?: Maybe<Readonly<Record<string, unknown>>> }>;
  readonly volumeMounts?: Maybe<readonly { readonly name: string; readonly path: string }[]>;
}

/** `POST /sandboxes`. */
export interface NewSandboxV1 extends NewSandbox {
  /** Whether the agent asks for an access token. */
  readonly secure: boolean;
}

/** `POST /cofferdam/v1/sandboxes`: what this server knows beside. */
export interface NewOwnSandbox extends NewSandbox {
  readonly driver?: Maybe<string>;
  /** Milliseconds. */
  readonly idleTimeoutMs?: Maybe<number>;
  /** Ends the sandbox when nobody has held it for so long. Milliseconds; absent: nobody must. */
  readonly leaseMs?: Maybe<number>;
  /** Checked by name and range where limits are known. */
  readonly resources?: Maybe<Readonly<Record<string, number>>>;
}

/** `PUT /sandboxes/{id}/network`: replaces what may leave; what is absent is cleared. */
export interface NetworkUpdate extends EgressConfig {
  readonly allow_internet_access?: Maybe<boolean>;
}

/** An int32. */
const longestSeconds = 2_147_483_647;
const mostPairs = 1000;

const lifetime = z.number().int().min(1).max(longestSeconds);
const text = z
  .string()
  .max(65_536)
  .refine((value) => !value.includes("\0"), "must not hold a NUL character");
const pairs = z
  .record(text, text)
  .refine((value) => Object.keys(value).length <= mostPairs, `has more than ${mostPairs} entries`);
const destinations = z.array(z.string().min(1).max(255)).max(1000);

const egressFields = {
  allowOut: destinations.nullish(),
  denyOut: destinations.nullish(),
  rules: z.record(z.string(), z.array(z.unknown())).nullish(),
  egressProxy: z.object({ address: z.string().max(255) }).nullish(),
};

const network = z.object({
  ...egressFields,
  allowPublicTraffic: z.boolean().nullish(),
  maskRequestHost: z
    .string()
    .max(255)
    .regex(/^[A-Za-z0-9.:[\]_${}-]+$/, "expected a host name, in which ${PORT} may stand")
    .nullish(),
  httpsPorts: z.array(z.number().int().min(1).max(65_535)).max(100).nullish(),
});

const shared = {
  templateID: z.string().min(1).max(256),
  metadata: pairs.nullish(),
  envVars: pairs.nullish(),
  allow_internet_access: z.boolean().nullish(),
  network: network.nullish(),
  autoPause: z.boolean().nullish(),
  autoPauseMemory: z.boolean().nullish(),
  autoResume: z.object({ enabled: z.boolean() }).nullish(),
  mcp: z.record(z.string(), z.unknown()).nullish(),
  iam: z.object({ tokens: z.record(z.string(), z.unknown()).nullish() }).nullish(),
  volumeMounts: z.array(z.object({ name: z.string(), path: z.string() })).nullish(),
};

/** Fifteen seconds, and no access token, unless told. Fields that other versions send are ignored. */
export const newSandboxV1: z.ZodType<NewSandboxV1> = z.object({
  ...shared,
  timeout: lifetime.default(15),
  secure: z
    .boolean()
    .nullish()
    .transform((secure) => secure === true),
});

/** How long an owner may be away. Milliseconds. */
const ownerLease = z.number().int().min(5000).max(600_000);

/** `POST /cofferdam/v1/sandboxes/{id}/hold`. */
export interface HoldRequest {
  /** Wanted for so long from now; absent: as it was. Milliseconds. */
  readonly leaseMs?: Maybe<number>;
  /** Answers after so long where nothing has happened. Milliseconds. */
  readonly waitMs: number;
}

export const hold: z.ZodType<HoldRequest> = z.object({
  leaseMs: ownerLease.nullish(),
  waitMs: z.number().int().min(0).max(300_000).default(0),
});

/** `POST /cofferdam/v1/sandboxes/{id}/lifetime`: milliseconds from now. */
export const ownLifetime: z.ZodType<{ readonly lifetimeMs: number }> = z.object({
  lifetimeMs: z.number().min(0).max(2_592_000_000),
});

export interface OwnResume {
  readonly lifetimeMs: number;
  /** `false`: it starts anew from its files, although its memory was kept. */
  readonly memory?: boolean;
}

/** `POST /cofferdam/v1/sandboxes/{id}/resume`: milliseconds from now. */
export const ownResume: z.ZodType<OwnResume> = z.object({
  lifetimeMs: z.number().min(0).max(2_592_000_000),
  memory: z.boolean().exactOptional(),
});

const version2 = z.object({ ...shared, timeout: lifetime.default(300) });
/** Five minutes unless told, and always an access token. */
export const newSandboxV2: z.ZodType<NewSandbox> = version2;

export const newOwnSandbox: z.ZodType<NewOwnSandbox> = z.object({
  ...version2.shape,
  driver: z.string().min(1).max(64).nullish(),
  idleTimeoutMs: z.number().int().min(1000).max(2_592_000_000).nullish(),
  leaseMs: ownerLease.nullish(),
  resources: z.record(z.string(), z.number()).nullish(),
});

export const networkUpdate: z.ZodType<NetworkUpdate> = z.object({
  ...egressFields,
  allow_internet_access: z.boolean().nullish(),
});
