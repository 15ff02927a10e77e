import { kill } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { z } from "zod";
import { stateDir, subjects } from "../cli/cofferdam.ts";
import { type Served, call, serve, tellClients } from "../server/serve.ts";
import { audit, supervisorOf } from "./audit.ts";
import { type Chance, chance } from "./chance.ts";
import { type Ledger, ledger as newLedger } from "./ledger.ts";
import { load } from "./load.ts";
import { survey } from "./survey.ts";

const rounds = Number(process.env["CHAOS_ROUNDS"] ?? 6);
const seed = Number(process.env["CHAOS_SEED"] ?? Date.now() % 1_000_000_000);
/** Every so many rounds a supervisor dies as well, and every so many the server is asked to end instead of killed. */
const everySupervisor = 3;
const everyDrain = 4;
const drivers = (await subjects()).filter(({ absent }) => absent === undefined);
const names = drivers.map(({ name }) => name);
/** The lighter one is chosen three times of four. */
const chosenFrom = names.includes("runc") ? ["runc", "runc", "runc", ...names] : names;

test.skipIf(names.length === 0)(
  "a server that dies at any instant under load loses no sandbox and leaks nothing",
  { timeout: 120_000 + rounds * 240_000, retry: 0 },
  async () => {
    const dice = chance(seed);
    const ledger = newLedger();
    const faults: string[] = [];
    say(`seed ${seed}, ${rounds} rounds on ${names.join(" and ")}`);
    let server = await serve(["--port", "0", "--end-sandboxes"]);
    tellClients(server);
    try {
      for (let round = 1; round <= rounds; round += 1) {
        const what = await disturb(server, { round, dice, ledger });
        server = await serve(["--port", String(server.port), ...lastWords(round)]);
        faults.push(...(await judged(ledger, `round ${round}: ${what}`)));
      }
    } finally {
      await server.end("SIGTERM");
    }
    const left = [...survey(stateDir)].map(([id, things]) => `left of ${id}: ${things.join()}`);
    expect([...faults, ...left]).toEqual([]);
    expect(ledger.counts.created).toBeGreaterThan(0);
  },
);

/** Only the last server ends its sandboxes. */
function lastWords(round: number): readonly string[] {
  return round === rounds ? ["--end-sandboxes"] : [];
}

/** What was lost, left or wrong; the rest is shown. */
async function judged(ledger: Ledger, title: string): Promise<readonly string[]> {
  const { found, paused, untold, sweptMs, faults } = await audit(ledger, stateDir);
  const wrong = [...faults, ...ledger.complaints.splice(0)].map((each) => `${title}: ${each}`);
  say(
    `${title}; ${found} found again (${paused} paused, ${untold} that nobody was told of), ` +
      `clean after ${Math.round(sweptMs)} ms; so far ${JSON.stringify(ledger.counts)}`,
  );
  for (const each of wrong) say(each);
  return wrong;
}

interface Round {
  readonly round: number;
  readonly dice: Chance;
  readonly ledger: Ledger;
}

/** Sets clients to work, and ends the server at an instant that the dice choose. Resolves with what was done. */
async function disturb(server: Served, { round, dice, ledger }: Round): Promise<string> {
  let isEnding = false;
  const afterMs = dice.between(50, 4000);
  const keeps = await pausing(server);
  const working = load({
    chance: dice.branch(),
    ledger,
    drivers: chosenFrom,
    keeps,
    isEnding: () => isEnding,
  });
  await sleep(afterMs);
  const victim = round % everySupervisor === 0 ? robbed(ledger, dice) : "";
  const signal = round % everyDrain === 0 ? "SIGTERM" : "SIGKILL";
  isEnding = true;
  await server.end(signal);
  await working;
  return `${signal} after ${afterMs} ms${victim}`;
}

/** Kills the process that looks after one of the sandboxes, which may live on or not. */
function robbed({ promised, doubtful }: Ledger, dice: Chance): string {
  const chosen = dice.oneOf([...promised.keys()]);
  const pid = chosen === undefined ? undefined : supervisorOf(chosen, stateDir);
  if (chosen === undefined || pid === undefined) return "";
  promised.delete(chosen);
  doubtful.add(chosen);
  kill(pid, "SIGKILL");
  return ` with the supervisor of ${chosen}`;
}

async function pausing(server: Served): Promise<ReadonlyMap<string, readonly string[]>> {
  const { body } = await call(server, "GET /cofferdam/v1/drivers");
  const told = z.array(z.object({ name: z.string(), pauseKeeps: z.array(z.string()) }));
  return new Map(told.parse(body).map(({ name, pauseKeeps }) => [name, pauseKeeps]));
}

/** Shown as it happens, since a long run is watched. */
function say(line: string): void {
  process.stderr.write(`chaos: ${line}\n`);
}
