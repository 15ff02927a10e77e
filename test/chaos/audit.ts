import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { Sandbox } from "e2b";
import type { Ledger, Promised } from "./ledger.ts";
import { tokenOf } from "./load.ts";
import { survey } from "./survey.ts";

/** What was found after a server's death, in numbers; `faults` are losses and leaks in words. */
export interface Findings {
  readonly found: number;
  readonly paused: number;
  /** Sandboxes whose creation was never answered, and that were there. */
  readonly untold: number;
  /** How long it took until nothing was left over. Milliseconds. */
  readonly sweptMs: number;
  readonly faults: readonly string[];
}

/** A directory that a dead server had just begun is looked after a minute later, at the next round of the server's. */
const sweptWithinMs = 150_000;

/** Compares what was promised with what is there, then with what the host holds. */
export async function audit(ledger: Ledger, stateDir: string): Promise<Findings> {
  const faults: string[] = [];
  const listed = await all();
  let paused = 0;
  for (const promised of ledger.promised.values()) {
    const state = listed.get(promised.id);
    if (state === undefined) faults.push(`lost: ${promised.id} on ${promised.driver}`);
    else faults.push(...(await faultsOf(promised)));
    paused += Number(state === "paused");
  }
  const others = [...listed.keys()].filter((id) => !ledger.promised.has(id));
  const untold = others.filter((id) => !ledger.doubtful.has(id));
  if (untold.length > ledger.unanswered)
    faults.push(`${untold.length} nobody made, of ${ledger.unanswered} without an answer`);
  await Promise.all(others.map((id) => Sandbox.kill(id)));
  const { sweptMs, left } = await swept(new Set(ledger.promised.keys()), stateDir);
  ledger.doubtful.clear();
  ledger.unanswered = 0;
  return {
    found: listed.size,
    paused,
    untold: untold.length,
    sweptMs,
    faults: [...faults, ...left],
  };
}

async function all(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const paginator = Sandbox.list({ query: { state: ["running", "paused"] } });
  while (paginator.hasNext)
    for (const { sandboxId, state } of await paginator.nextItems()) found.set(sandboxId, state);
  return found;
}

/** A sandbox is the same one: its token, its process with the same pid, its files and its one container. */
async function faultsOf({ id, driver, pid, token }: Promised): Promise<readonly string[]> {
  const faults: string[] = [];
  const say = (what: string): void => void faults.push(`${id} on ${driver}: ${what}`);
  try {
    const sandbox = await Sandbox.connect(id, { timeoutMs: 1_800_000 });
    if (token !== undefined && (await tokenOf(id)) !== token) say("it has another token");
    const { stdout } = await sandbox.commands.run("echo alive");
    if (stdout !== "alive\n") say(`it answers ${stdout}`);
    if (pid !== undefined && !(await goesOn(sandbox, pid))) say(`process ${pid} says no more`);
  } catch (cause) {
    say(String(cause));
  }
  return faults;
}

/** Whether the command that counts is connected to again, and still counts. */
async function goesOn(sandbox: Sandbox, pid: number): Promise<boolean> {
  const numbers: number[] = [];
  const { promise: twice, resolve: heard } = deferred();
  const handle = await sandbox.commands.connect(pid, {
    onStdout: (text) => {
      numbers.push(...text.trim().split("\n").map(Number));
      if (numbers.length >= 2) heard();
    },
  });
  await Promise.race([twice, sleep(20_000)]);
  await handle.disconnect();
  const [first = Number.NaN, second = Number.NaN] = numbers;
  return second === first + 1;
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let settle: (() => void) | undefined;
  const promise = new Promise<void>((resolve) => void (settle = resolve));
  return { promise, resolve: () => settle?.() };
}

/** Waits until the host holds nothing but the living. */
async function swept(
  living: ReadonlySet<string>,
  stateDir: string,
): Promise<{ readonly sweptMs: number; readonly left: readonly string[] }> {
  const begun = performance.now();
  for (;;) {
    const left = [...survey(stateDir)]
      .filter(([id]) => !living.has(id))
      .flatMap(([id, things]) => things.map((thing) => `left of ${id}: ${thing}`));
    const sweptMs = performance.now() - begun;
    if (left.length === 0 || sweptMs > sweptWithinMs) return { sweptMs, left };
    await sleep(500);
  }
}

/** The process that looks after a sandbox, for somebody who means to end it. */
export function supervisorOf(id: string, stateDir: string): number | undefined {
  const plan = `${stateDir}/machines/${id}/plan.json`;
  const lines = execFileSync("ps", ["-eo", "pid=,args="], { encoding: "utf8" }).split("\n");
  const line = lines.find((each) => each.endsWith(` run ${plan}`));
  return line === undefined ? undefined : Number(line.trim().split(" ")[0]);
}
