import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { hostFileError } from "../host-files.ts";
import { writeAside } from "./write-aside.ts";

/** Where the server of a directory is found. */
interface Place {
  readonly url: string;
  /** File with the authority that signed its certificate, where it has made one itself. */
  readonly authority?: string;
}

const placeSchema: z.ZodType<Place> = z.strictObject({
  url: z.url(),
  authority: z.string().exactOptional(),
});

function fileIn(directory: string): string {
  return join(directory, "address.json");
}

/** Writes it down for other commands of this host; `forget` takes it away. */
export function notePlace(
  directory: string,
  { url, authority }: { readonly url: string; readonly authority: string | undefined },
): { readonly forget: () => void } {
  const place: Place = { url, ...(authority === undefined ? {} : { authority }) };
  writeAside(fileIn(directory), `${JSON.stringify(place)}\n`);
  return { forget: () => rmSync(fileIn(directory), { force: true }) };
}

/** Throws `unavailable` where no server runs. One that was killed may still be noted. */
export function notedPlace(directory: string): Place {
  const file = fileIn(directory);
  try {
    return placeSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    if (cause instanceof SyntaxError || cause instanceof z.ZodError)
      throw new SandboxError("untrusted", `${file} is damaged`, { mend: "remove it", cause });
    if (hostFileError("stateDir", file, cause).code !== "not-found")
      throw hostFileError("stateDir", file, cause);
    throw new SandboxError("unavailable", "no server of this state directory runs", {
      mend: "start one with cofferdam serve, or name one with --server URL",
      cause,
    });
  }
}
