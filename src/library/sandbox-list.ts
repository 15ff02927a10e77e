import type { Driver, MachineInfo } from "../core/driver.ts";
import { type SandboxInfo, sandboxInfo } from "../core/sandbox-info.ts";

/** Running sandboxes, newest first. */
export class SandboxList implements AsyncIterable<SandboxInfo> {
  /** Whether `nextItems` has not been called yet: one page holds all. */
  hasNext = true;
  readonly #drivers: () => Promise<readonly Driver[]>;
  readonly #wanted: readonly (readonly [string, string])[];

  constructor(
    drivers: () => Promise<readonly Driver[]>,
    metadata: Readonly<Record<string, string>>,
  ) {
    this.#drivers = drivers;
    this.#wanted = Object.entries(metadata);
  }

  /** All of them. */
  async nextItems(): Promise<readonly SandboxInfo[]> {
    this.hasNext = false;
    const machines: Map<string, MachineInfo> = new Map();
    for (const driver of await this.#drivers()) {
      for await (const machine of driver.list())
        if (this.#isWanted(machine)) machines.set(machine.id, machine);
    }
    return [...machines.values()]
      .toSorted((left, right) => right.startedAt.getTime() - left.startedAt.getTime())
      .map(sandboxInfo);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SandboxInfo, void, undefined> {
    yield* await this.nextItems();
  }

  #isWanted({ metadata }: MachineInfo): boolean {
    return this.#wanted.every(
      ([name, value]) => Object.hasOwn(metadata, name) && metadata[name] === value,
    );
  }
}
