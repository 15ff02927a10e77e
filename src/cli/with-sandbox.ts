import type { SandboxOptions } from "../core/options.ts";
import type { Host } from "./assemble.ts";
import { withEndReason } from "./end-reason.ts";
import { type Opened, freshSandbox, opened } from "./fresh.ts";
import { type SandboxFlags, sandboxOptions } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** A sandbox to work in: one that runs, by its id, or a new one. */
export interface Place {
  readonly id: string | undefined;
  readonly flags: SandboxFlags;
  readonly signal: AbortSignal;
  readonly verbose: boolean;
  /** What a new sandbox is where the flags say nothing. */
  readonly standard: SandboxOptions;
}

/** Works in a sandbox. A new one is ended afterwards, however the work ends; one that was named lives on. */
export async function withSandbox<T>(
  { host, terminal }: { readonly host: Host; readonly terminal: Terminal },
  place: Place,
  work: (sandbox: Opened) => Promise<T>,
): Promise<T> {
  const { id, flags, signal, verbose, standard } = place;
  if (id !== undefined) return explained(work, opened(await host.open(id, flags.driver)));
  const made = await freshSandbox(host, terminal, {
    driver: flags.driver,
    options: { ...sandboxOptions(flags, standard), signal },
    build: flags.build,
    verbose,
  });
  try {
    return await explained(work, made);
  } finally {
    await made.sandbox[Symbol.asyncDispose]();
  }
}

async function explained<T>(work: (sandbox: Opened) => Promise<T>, place: Opened): Promise<T> {
  try {
    return await work(place);
  } catch (cause) {
    throw await withEndReason(cause, place.sandbox.ended);
  }
}
