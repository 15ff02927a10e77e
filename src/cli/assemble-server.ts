import { createParts, openParts } from "../core/create.ts";
import type { Driver } from "../core/driver.ts";
import { parseSandboxOptions } from "../core/options.ts";
import { invalid } from "../core/validate.ts";
import { e2b } from "../drivers/e2b/index.ts";
import { SandboxList } from "../library/sandbox-list.ts";
import type { Host } from "./assemble.ts";
import type { ServerAddress } from "./server-options.ts";

/** A server's sandboxes. `driver` is one of those behind it; `auto` and `undefined`: the one that it takes itself. */
export function assembleServer({ url, apiKey, ca }: ServerAddress): Host {
  const driverBehind = (name: string | undefined): Promise<Driver> =>
    e2b({ apiUrl: url, apiKey, ca, behind: name === "auto" ? undefined : name });
  return {
    local: undefined,
    drivers: async (name) => [await driverBehind(name)],
    isElsewhere: () => true,
    check: async (_, options) => void parseSandboxOptions(options),
    async create(name, options) {
      const driver = await driverBehind(name);
      const reason = `the sandboxes of ${url} were asked for`;
      const choice = { driver: driver.name, reason, rejected: [] };
      return createParts(driver, options, { choice });
    },
    async open(id, name) {
      refuseDriver(name);
      return openParts(await driverBehind(undefined), id);
    },
    list(name, metadata) {
      refuseDriver(name);
      return new SandboxList(async () => [await driverBehind(undefined)], metadata);
    },
  };
}

/** A server knows itself where a sandbox runs. */
function refuseDriver(name: string | undefined): void {
  if (name === undefined) return;
  throw invalid("driver", "a server's sandboxes are found wherever they run", "leave it out");
}
