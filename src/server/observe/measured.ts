import type { Driver } from "../../core/driver.ts";
import { SandboxError } from "../../core/errors.ts";
import type { StoreWatch } from "../../store/watched.ts";
import type { Meters } from "./meters.ts";
import { inSpan } from "./spans.ts";

/** The driver, with how long each machine took to be made, and what came of it. */
export function measured(driver: Driver, meters: Pick<Meters, "created">): Driver {
  return {
    name: driver.name,
    isolation: driver.isolation,
    capabilities: driver.capabilities,
    probe: () => driver.probe(),
    enforcement: (spec) => driver.enforcement(spec),
    list: () => driver.list(),
    open: (id) => driver.open(id),
    snapshots: driver.snapshots,
    sweep: () => driver.sweep(),
    create: (spec, signal) => {
      const { name } = driver;
      const begun = performance.now();
      const tell = (failure: SandboxError["code"] | undefined): void =>
        meters.created({
          driver: name,
          template: spec.template,
          failure,
          seconds: secondsSince(begun),
        });
      const about = { "cofferdam.driver": name, "cofferdam.template": spec.template };
      return inSpan("machine.create", about, async () => {
        try {
          const machine = await driver.create(spec, signal);
          tell(undefined);
          return machine;
        } catch (cause) {
          tell(SandboxError.from(cause).code);
          throw cause;
        }
      });
    },
  };
}

/** How long the store takes, and what it fails with. */
export function storeWatch(meters: Pick<Meters, "stored">): StoreWatch {
  return (operation, work) =>
    inSpan(`store.${operation}`, {}, async () => {
      const begun = performance.now();
      try {
        const result = await work();
        meters.stored(operation, "ok", secondsSince(begun));
        return result;
      } catch (cause) {
        meters.stored(operation, SandboxError.from(cause).code, secondsSince(begun));
        throw cause;
      }
    });
}

export function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1000;
}
