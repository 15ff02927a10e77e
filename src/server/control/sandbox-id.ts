import { sandboxMend } from "../life/parts.ts";
import { SandboxError } from "../../core/errors.ts";
import { readSandboxId } from "../data/host-name.ts";
import type { Call } from "./operation.ts";

/** The sandbox that the path names, also as the older `<id>-<client id>`. Throws `not-found` for what can be no id. */
export function sandboxIdIn(call: Call<unknown>): string {
  const asked = call.param("id");
  const id = readSandboxId(asked);
  if (id !== undefined) return id;
  throw new SandboxError("not-found", `there is no sandbox ${JSON.stringify(asked.slice(0, 64))}`, {
    mend: sandboxMend,
  });
}
