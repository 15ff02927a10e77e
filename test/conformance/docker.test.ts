import { existsSync } from "node:fs";
import { afterAll } from "vitest";
import { containerNames, startEngine } from "../../scripts/conformance/engine.mjs";
import type { Case } from "../../src/conformance/case.ts";
import { sandboxSpec } from "../../src/conformance/spec.ts";
import { docker } from "../../src/drivers/docker/index.ts";
import type { EngineOptions } from "../../src/drivers/engine/options.ts";
import { bundled, root, stateDir } from "./local-driver.ts";
import { conformance } from "./suite.ts";

interface Column {
  readonly title: string;
  readonly runtime?: string;
  /** Whether the gate runs a case. */
  readonly inGate: (each: Case) => boolean;
  readonly known: Readonly<Record<string, string>>;
}

/** Control groups of version 1 do not count what waits in sockets, and the Engine's runtimes no longer limit it apart. */
const countsSockets = existsSync("/sys/fs/cgroup/cgroup.controllers");
const uncounted: Readonly<Record<string, string>> = countsSockets
  ? {}
  : {
      "what a sandbox's own network holds back counts, or is held to a small part of its memory":
        "control groups of version 1 do not count it",
    };
const readOnlyRoot: Readonly<Record<string, string>> = {
  "sudo works or is refused as enforcement() says, and a setuid program gains nothing where it is refused":
    "sudo is refused; the program cannot be put where the case wants it, as the root is read-only",
};

const topics = new Set(["isolation", "limits", "lifecycle"]);
/** What takes long and is told by others as well, and what needs the largest template. */
const isLong = /whichever of its processes|30 machines|aborted at any moment|idle: a running/;
const first =
  /^(output, error output|a time-out ends the whole|nothing of a machine is left|a memory bomb|a disk filler|the host's files)/;

const columns: readonly Column[] = [
  {
    title: "docker",
    inGate: ({ topic, name }) => topics.has(topic) && !isLong.test(name),
    known: {
      ...uncounted,
      ...readOnlyRoot,
      "root inside is nobody on the host, and another nobody in each sandbox":
        "an Engine maps no users unless it is told to, and then all of its containers alike",
      "terminals, watches, signals and asynchronous requests, of which the kernel has a number, are not one sandbox's to take":
        "the kernel counts them by users, which an Engine's containers share",
    },
  },
  {
    title: "docker with runsc",
    runtime: "runsc",
    inGate: ({ name }) => first.test(name),
    known: {
      ...readOnlyRoot,
      "a memory bomb ends at its limit, is told as out of memory, and a neighbour is answered":
        "it ends at its limit; gVisor says of the program that it has exited with 1",
    },
  },
];

const isWhole = process.env["COFFERDAM_CONFORMANCE"] === "whole";
const engine = await startEngine();
afterAll(() => engine.end());
await giveTemplates();
const bundle = await bundled("docker");
for (const { title, runtime, inGate, known } of columns) {
  const options: EngineOptions = {
    stateDir,
    socket: engine.socket,
    ...(runtime === undefined ? {} : { runtime }),
  };
  await conformance({
    title,
    driver: docker(options),
    stateDir,
    otherNames: containerNames(engine.socket),
    known,
    otherProcess: {
      argv: [process.execPath, "--input-type=module", "-e"],
      prelude: [
        `const { docker } = await import(${JSON.stringify(bundle)});`,
        `const driver = docker(${JSON.stringify(options)});`,
      ].join("\n"),
      cwd: root,
    },
    leaveOut: (each) =>
      isWhole || inGate(each) ? undefined : "the gate leaves it to npm run conformance",
  });
}

/** A template goes over to the Engine with its first machine, which takes longer than a case may. */
async function giveTemplates(): Promise<void> {
  const driver = docker({ stateDir, socket: engine.socket });
  for (const template of isWhole ? ["base", "code-interpreter"] : ["base"])
    await (await driver.create(sandboxSpec({ template })))[Symbol.asyncDispose]();
}
