import { existsSync } from "node:fs";
import { afterAll } from "vitest";
import type { Topic, Case } from "../../src/conformance/case.ts";
import { sandboxSpec } from "../../src/conformance/spec.ts";
import { docker } from "../../src/drivers/docker/index.ts";
import type { EngineOptions } from "../../src/drivers/engine/options.ts";
import { startEngine } from "../support/engine.ts";
import { bundled, root, stateDir } from "./local-driver.ts";
import { conformance } from "./suite.ts";

interface Column {
  readonly title: string;
  readonly runtime?: string;
  /** Topics that the gate runs. */
  readonly topics: readonly Topic[];
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

const columns: readonly Column[] = [
  {
    title: "docker",
    topics: ["isolation", "limits", "lifecycle", "network"],
    known: {
      ...uncounted,
      "root inside is nobody on the host, and another nobody in each sandbox":
        "an Engine maps no users unless it is told to, and then all of its containers alike",
      "terminals, watches, signals and asynchronous requests, of which the kernel has a number, are not one sandbox's to take":
        "the kernel counts them by users, which an Engine's containers share",
      "sudo works or is refused as enforcement() says, and a setuid program gains nothing where it is refused":
        "sudo is refused; the program cannot be put where the case wants it, as the root is read-only",
    },
  },
  { title: "docker with runsc", runtime: "runsc", topics: ["limits"], known: {} },
];

const isWhole = process.env["COFFERDAM_CONFORMANCE"] === "whole";
const engine = await startEngine();
afterAll(() => engine.end());
await giveTemplates();
const bundle = await bundled("docker");
for (const { title, runtime, topics, known } of columns) {
  const options: EngineOptions = {
    stateDir,
    socket: engine.socket,
    ...(runtime === undefined ? {} : { runtime }),
  };
  await conformance({
    title,
    driver: docker(options),
    stateDir,
    known,
    otherProcess: {
      argv: [process.execPath, "--input-type=module", "-e"],
      prelude: [
        `const { docker } = await import(${JSON.stringify(bundle)});`,
        `const driver = docker(${JSON.stringify(options)});`,
      ].join("\n"),
      cwd: root,
    },
    leaveOut: isWhole
      ? () => undefined
      : ({ topic }: Case) =>
          topics.includes(topic) ? undefined : "the gate leaves it to npm run conformance",
  });
}

/** A template goes over to the Engine with its first machine, which takes longer than a case may. */
async function giveTemplates(): Promise<void> {
  const driver = docker({ stateDir, socket: engine.socket });
  for (const template of ["base", "code-interpreter"])
    await (await driver.create(sandboxSpec({ template })))[Symbol.asyncDispose]();
}
