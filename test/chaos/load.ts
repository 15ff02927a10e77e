import { RateLimitError, Sandbox } from "e2b";
import type { Chance } from "./chance.ts";
import type { Ledger, Promised } from "./ledger.ts";

export interface Load {
  readonly chance: Chance;
  readonly ledger: Ledger;
  /** Those that work here; what is quick to start comes more often. */
  readonly drivers: readonly string[];
  /** What a pause can keep on each. */
  readonly keeps: ReadonlyMap<string, readonly string[]>;
  /** Whether the server is being ended: then a call may fail. */
  readonly isEnding: () => boolean;
}

const clients = 4;
const mostLive = 8;
const lifetimeMs = 1_800_000;
/** A command whose output tells whether it is still the same one. */
const counting = "at=0; while :; do at=$((at+1)); echo $at; sleep 0.1; done";

/** Clients at work until the server ends. */
export async function load(all: Load): Promise<void> {
  await Promise.all(Array.from({ length: clients }, () => client(all, all.chance.branch())));
}

async function client(all: Load, chance: Chance): Promise<void> {
  while (!all.isEnding()) {
    try {
      await step(all, chance);
    } catch (cause) {
      if (isRefusal(cause)) all.ledger.counts.refused += 1;
      else if (!all.isEnding()) all.ledger.complaints.push(String(cause));
    }
  }
}

/** The host has no room, which a server may say. */
function isRefusal(cause: unknown): boolean {
  return cause instanceof RateLimitError || /\b(503|507|429)\b/.test(String(cause));
}

async function step(all: Load, chance: Chance): Promise<void> {
  const { ledger } = all;
  const free = [...ledger.promised.values()].filter(({ isInUse }) => !isInUse);
  const dice = chance.between(1, 100);
  const chosen = chance.oneOf(free);
  if (chosen === undefined || (dice <= 40 && ledger.promised.size < mostLive))
    return create(all, chance);
  const kept = chance.oneOf(all.keeps.get(chosen.driver) ?? []);
  chosen.isInUse = true;
  try {
    if (dice <= 60) await kill(ledger, chosen);
    else if (dice <= 75 && kept !== undefined) await pause(ledger, chosen, kept);
    else await use(ledger, chosen, chance);
  } finally {
    chosen.isInUse = false;
  }
}

async function create({ ledger, drivers }: Load, chance: Chance): Promise<void> {
  const driver = chance.oneOf(drivers) ?? "";
  ledger.unanswered += 1;
  let sandbox: Sandbox;
  try {
    const metadata = { "cofferdam.driver": driver };
    sandbox = await Sandbox.create("base", { metadata, timeoutMs: lifetimeMs });
  } catch (cause) {
    if (isRefusal(cause)) ledger.unanswered -= 1;
    throw cause;
  }
  ledger.unanswered -= 1;
  ledger.counts.created += 1;
  const made: Promised = {
    id: sandbox.sandboxId,
    driver,
    pid: undefined,
    token: undefined,
    isInUse: true,
  };
  ledger.promised.set(made.id, made);
  try {
    made.token = await tokenOf(made.id);
    const handle = await sandbox.commands.run(counting, { background: true, timeoutMs: 0 });
    made.pid = handle.pid;
    await handle.disconnect();
  } finally {
    made.isInUse = false;
  }
}

/** What the control plane says that the data plane asks for. */
export async function tokenOf(id: string): Promise<string> {
  const answer = await fetch(`${process.env["E2B_API_URL"]}/sandboxes/${id}`, {
    headers: { "x-api-key": process.env["E2B_API_KEY"] ?? "" },
  });
  const body: { readonly envdAccessToken?: string } = JSON.parse(await answer.text());
  return body.envdAccessToken ?? "none";
}

async function use({ counts }: Ledger, { id }: Promised, chance: Chance): Promise<void> {
  const word = `word${chance.between(0, 1_000_000)}`;
  const sandbox = await Sandbox.connect(id, { timeoutMs: lifetimeMs });
  await sandbox.files.write("/tmp/word", word);
  const { stdout } = await sandbox.commands.run("cat /tmp/word");
  if (stdout !== word) throw new Error(`${id} kept ${stdout} and not ${word}`);
  counts.used += 1;
}

async function kill({ promised, doubtful, counts }: Ledger, { id }: Promised): Promise<void> {
  promised.delete(id);
  doubtful.add(id);
  await Sandbox.kill(id);
  doubtful.delete(id);
  counts.killed += 1;
}

/** What keeps its files alone starts anew, without the command that counts. */
async function pause({ counts }: Ledger, promised: Promised, kept: string): Promise<void> {
  const sandbox = await Sandbox.connect(promised.id, { timeoutMs: lifetimeMs });
  if (kept === "files") promised.pid = undefined;
  await sandbox.pause({ keepMemory: kept === "memory" });
  counts.paused += 1;
}
