/** Headers, names and values in turn, as node:http takes and gives them. */
export type RawHeaders = readonly string[];

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

const validName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// oxlint-disable-next-line no-control-regex
const invalidValue = /[^\t\u0020-\u007e\u0080-\u00ff]/;

/** Passes on what is not for this hop alone, is well formed, and is not dropped by name. */
export function passedOn(raw: RawHeaders, dropped: ReadonlySet<string>): string[] {
  const named = namedByConnection(raw);
  const kept: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? "";
    const value = raw[index + 1] ?? "";
    const key = name.toLowerCase();
    if (hopByHop.has(key) || dropped.has(key) || named?.has(key) === true) continue;
    if (validName.test(name) && !invalidValue.test(value)) kept.push(name, value);
  }
  return kept;
}

/** Names that a Connection header says are for this hop alone. */
function namedByConnection(raw: RawHeaders): ReadonlySet<string> | undefined {
  let named: Set<string> | undefined;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.toLowerCase() !== "connection") continue;
    for (const token of (raw[index + 1] ?? "").toLowerCase().split(",")) {
      const name = token.trim();
      if (name !== "keep-alive" && name !== "close" && name !== "upgrade")
        (named ??= new Set()).add(name);
    }
  }
  return named;
}
