import type { Machine } from "../../src/core/driver.ts";

async function drained(events: AsyncIterable<unknown>, limit = 1000): Promise<number> {
  let count = 0;
  for await (const _ of events) {
    count += 1;
    if (count >= limit) break;
  }
  return count;
}

/** What a caller may ask of a machine, each with the signal that ends its patience. */
export const operations: Readonly<
  Record<string, (machine: Machine, signal: AbortSignal) => Promise<unknown>>
> = {
  async spawn(machine, signal) {
    const process = await machine.spawn({ argv: ["true"], timeoutMs: 500 }, signal);
    await drained(process.output);
    return process.end;
  },
  async "kill of a spawned process"(machine, signal) {
    const process = await machine.spawn({ argv: ["true"] }, signal);
    await process.kill();
    process.detach();
  },
  processes: (machine) => machine.processes(),
  async attach(machine) {
    const process = await machine.attach(7);
    process.detach();
  },
  async "read bytes"(machine, signal) {
    const content = await machine.files.read("/x", { signal, length: 10 });
    return (await content.bytes()).length;
  },
  async "read a stream"(machine, signal) {
    const content = await machine.files.read("/x", { signal });
    return drained(content.stream(), 50);
  },
  write: (machine, signal) => machine.files.write("/x", Buffer.from("x"), { signal }),
  writeMany: (machine, signal) =>
    machine.files.writeMany(
      [
        { path: "/x", data: Buffer.from("x") },
        { path: "/y", data: Buffer.from("y") },
      ],
      { signal },
    ),
  list: (machine, signal) => machine.files.list("/", { signal }),
  stat: (machine, signal) => machine.files.stat("/", { signal }),
  makeDir: (machine, signal) => machine.files.makeDir("/x", { signal }),
  move: (machine, signal) => machine.files.move("/x", "/y", { signal }),
  async watch(machine, signal) {
    const watch = await machine.files.watch("/", { signal });
    try {
      return await drained(watch.events, 20);
    } finally {
      await watch[Symbol.asyncDispose]();
    }
  },
  "run code": (machine, signal) =>
    machine.code === undefined
      ? Promise.resolve()
      : drained(machine.code.run({ code: "1", timeoutMs: 500 }, signal)),
  "list contexts": async (machine) => machine.code?.list(),
  "create a context": async (machine) => machine.code?.create({ language: "python" }),
  isRunning: (machine) => machine.isRunning(),
  info: (machine) => machine.info(),
  async "connect a port"(machine, signal) {
    const channel = await machine.ports?.connect(80, signal);
    await channel?.[Symbol.asyncDispose]();
  },
};
