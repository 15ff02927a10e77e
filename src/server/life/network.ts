import { z } from "zod";
import type { Driver } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import { invalid } from "../../core/validate.ts";
import type { EgressConfig, NetworkConfig } from "../../wire/control/new-sandbox.ts";

/** A sandbox's network as it is kept and reported. */
export interface ReportedNetwork {
  readonly allowPublicTraffic: boolean;
  readonly maskRequestHost?: string | undefined;
  readonly allowOut?: readonly string[] | undefined;
  readonly denyOut?: readonly string[] | undefined;
}

const reported: z.ZodType<ReportedNetwork> = z.object({
  allowPublicTraffic: z.boolean(),
  maskRequestHost: z.string().optional(),
  allowOut: z.array(z.string()).optional(),
  denyOut: z.array(z.string()).optional(),
});

/** What a row of the store says. */
export function reportedNetwork(kept: unknown): ReportedNetwork {
  const known = reported.safeParse(kept);
  return known.success ? known.data : { allowPublicTraffic: false };
}

/** The network as asked for. Throws `invalid`, and `unsupported` for what nothing here enforces, with the field. */
export function networkOf(
  asked: NetworkConfig,
  driver: Driver,
  isSecured: boolean,
): ReportedNetwork {
  requireNoWayOut(asked, driver, "network.");
  if ((asked.httpsPorts ?? []).length > 0)
    throw unsupported("network.httpsPorts", "the proxy speaks no TLS to programs of a sandbox");
  const allowPublicTraffic = asked.allowPublicTraffic ?? true;
  if (!allowPublicTraffic && !isSecured)
    throw invalid("network.allowPublicTraffic", "false needs a secured sandbox: send secure: true");
  return {
    allowPublicTraffic,
    ...(asked.maskRequestHost == null ? {} : { maskRequestHost: asked.maskRequestHost }),
    ...deniedBy(asked),
  };
}

/** What is denied is kept to be reported: nothing leaves anyway. */
export function deniedBy({ denyOut }: EgressConfig): { readonly denyOut?: readonly string[] } {
  return denyOut == null ? {} : { denyOut };
}

/** Refuses every wish that something may leave, where nothing can. Throws `unsupported` with the field. */
export function requireNoWayOut(asked: EgressConfig, { name }: Driver, at: "network." | ""): void {
  const nothingLeaves = `nothing can leave a sandbox of the driver ${name}`;
  if ((asked.allowOut ?? []).length > 0) throw unsupported(`${at}allowOut`, nothingLeaves);
  if (Object.keys(asked.rules ?? {}).length > 0) throw unsupported(`${at}rules`, nothingLeaves);
  if (asked.egressProxy != null) throw unsupported(`${at}egressProxy`, nothingLeaves);
}

export function unsupported(field: string, message: string): SandboxError {
  return new SandboxError("unsupported", `${field}: ${message}`, { field, mend: "leave it out" });
}
