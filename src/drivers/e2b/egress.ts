import { isIPv4 } from "node:net";
import type { EgressPolicy } from "../../core/spec.ts";
import { unsupported } from "./refusals.ts";

const everywhere = "0.0.0.0/0";
/** How core spells "everywhere" for IPv6, which services of this kind do not route. */
const everywhereIPv6 = "::/0";

/** What a service is told of an egress policy: addresses that it denies, but for those that it allows. */
export interface EgressFields {
  readonly allow_internet_access: boolean;
  readonly network?: { readonly allowOut?: readonly string[]; readonly denyOut: readonly string[] };
}

/** A policy in the words of the protocol. Throws `unsupported`, with the field, for what those cannot say. */
export function egressFields({ allowOut, denyOut }: EgressPolicy): EgressFields {
  const denied = denyOut.map((each) => address("egress.denyOut", each));
  if (allowOut.includes(everywhere))
    return denied.length === 0
      ? { allow_internet_access: true }
      : { allow_internet_access: true, network: { denyOut: denied } };
  if (allowOut.length === 0) return { allow_internet_access: false };
  if (denied.length > 0)
    throw unsupported(
      "egress.denyOut",
      "the service allows what is named as allowed, whatever else is denied",
      "name what is allowed more narrowly, and deny nothing",
    );
  const allowed = allowOut.filter((each) => each !== everywhereIPv6).map(destination);
  return {
    allow_internet_access: true,
    network: { allowOut: allowed, denyOut: [everywhere] },
  };
}

/** A host name, a wildcard of one, or an address. */
function destination(text: string): string {
  const isName = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*$/i.test(text);
  return isName ? text.toLowerCase() : address("egress.allowOut", text);
}

function address(field: string, text: string): string {
  const [base = "", bits, ...more] = text.split("/");
  const hasBits = bits === undefined || (/^\d{1,2}$/.test(bits) && Number(bits) <= 32);
  if (isIPv4(base) && hasBits && more.length === 0) return text;
  throw unsupported(
    field,
    `the service has no rule for ${JSON.stringify(text.slice(0, 80))}`,
    "name IPv4 addresses, CIDRs of them or host names",
  );
}
