import { setTimeout as sleep } from "node:timers/promises";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import { cofferdam, program, running, stateDir, subjects } from "./cofferdam.ts";

const harness = fileURLToPath(new URL("terminal.py", import.meta.url));

interface Ended {
  /** The program's exit code; below 0 for a signal. */
  readonly exit: number;
  /** Whether the terminal's settings are what they were; `null`: there is no terminal any more. */
  readonly restored: boolean | null;
}

/** The command line in a terminal of 100 columns and 30 rows, and a person in front of it. */
class Person implements AsyncDisposable {
  readonly #child: ChildProcess;
  #seen = "";
  #from = 0;

  constructor(words: readonly string[]) {
    this.#child = spawn(
      "python3",
      [harness, process.execPath, program, "--state-dir", stateDir, ...words],
      { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, TERM: "xterm-256color" } },
    );
    this.#child.stdout?.on("data", (bytes: Buffer) => {
      this.#seen += bytes.toString();
    });
  }

  order(order: Readonly<Record<string, unknown>>): void {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  type(keys: string): void {
    this.order({ send: keys });
  }

  /** Waits until the text appears behind what was seen before. */
  async sees(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.#seen.slice(this.#from));
      if (match !== null) {
        this.#from += match.index + match[0].length;
        return match[1] ?? match[0];
      }
      if (this.#child.exitCode !== null)
        throw new Error(`it ended without ${pattern}: ${this.#seen}`);
      await Promise.race([
        once(this.#child.stdout ?? this.#child, "data"),
        once(this.#child, "close"),
      ]);
    }
  }

  async end(): Promise<Ended> {
    if (this.#child.exitCode === null) await once(this.#child, "close");
    const ended: Ended = JSON.parse(this.#seen.trimEnd().split("\n").at(-1) ?? "");
    return ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "close");
  }
}

describe.each(await subjects())("shell on $name", ({ name, absent }) => {
  const words = ["shell", "--driver", name, "--template", "base"];
  const prompt = /[$#] /;
  beforeEach(({ skip }) => {
    if (absent !== undefined) skip(`not run: ${absent}`);
  });

  test("has the terminal's size, follows it, shows colours and gives Ctrl-C to the guest", async () => {
    await using person = new Person(words);
    await person.sees(prompt);
    person.type("stty size; echo $TERM; tty\r");
    await person.sees(/30 100/);
    await person.sees(/xterm-256color/);
    await person.sees(/\/dev\/pts\/\d+/);
    person.order({ resize: [120, 40] });
    person.type("sleep 0.3; stty size\r");
    await person.sees(/40 120/);
    person.type("printf '\\033[31mred\\033[0m\\n'\r");
    // eslint-disable-next-line no-control-regex
    await person.sees(/\u001b\[31mred/);
    person.type("echo begun-$((1 + 1)); sleep 1000; echo status $?\r");
    await person.sees(/begun-2/);
    await sleep(1000);
    person.type("\u0003");
    person.type("echo still $((1 + 1)) here\r");
    await person.sees(/still 2 here/);
    person.type("exit 7\r");
    expect(await person.end()).toEqual({ exit: 7, restored: true });
    expect(await running()).toEqual([]);
  });

  test("gives the terminal back and ends the sandbox when it is ended itself", async () => {
    for (const [signal, exit] of [
      [15, 143],
      [1, 129],
    ] as const) {
      await using person = new Person(words);
      await person.sees(prompt);
      person.order({ signal });
      expect(await person.end()).toEqual({ exit, restored: true });
      expect(await running()).toEqual([]);
    }
  });

  test("ends the sandbox when the terminal's window is closed", async () => {
    await using person = new Person(words);
    await person.sees(prompt);
    person.order({ "hang-up": true });
    expect(await person.end()).toEqual({ exit: -constants.signals.SIGHUP, restored: null });
    expect(await running()).toEqual([]);
  });

  test("keeps a sandbox with a short idle time-out alive while it is open, and leaves it alive", async () => {
    const made = await cofferdam([
      "create",
      "--driver",
      name,
      "--template",
      "base",
      "--idle-timeout",
      "5s",
    ]);
    const id = made.stdout.trim();
    await using person = new Person(["shell", id]);
    await person.sees(prompt);
    person.type("sleep 7; echo slept $((2 + 3)) seconds\r");
    await person.sees(/slept 5 seconds/);
    person.type("exit\r");
    expect(await person.end()).toEqual({ exit: 0, restored: true });
    expect((await cofferdam(["kill", id])).stdout).toBe(`${id}\n`);
  });

  test("says why it ends when the sandbox is killed under it", async () => {
    const made = await cofferdam(["create", "--driver", name, "--template", "base"]);
    const id = made.stdout.trim();
    await using person = new Person(["shell", id]);
    await person.sees(prompt);
    await cofferdam(["kill", id]);
    await person.sees(/cofferdam: .*it was killed/);
    expect(await person.end()).toEqual({ exit: 69, restored: true });
  });
});
