import type { Machine } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";

const counts = "/proc/sys/user/max_user_namespaces";

/** The filter lets `clone3` through, so the machine's count of user namespaces has to be 0. Throws `unsupported`. */
export async function requireNoNewNamespaces(machine: Machine): Promise<void> {
  const content = await machine.files.read(counts, { user: "root" });
  const allowed = Buffer.from(await content.bytes())
    .toString()
    .trim();
  if (allowed === "0") return;
  throw new SandboxError(
    "unsupported",
    "this kernel does not let a sandbox give up new namespaces",
    {
      mend: "use a kernel with CONFIG_SYSCTL and user.max_user_namespaces",
    },
  );
}
