import type { Output } from "./terminal.ts";
import { visibleText } from "./visible-text.ts";

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const frameMs = 90;
const barCells = 24;

/** How much further a stage must be before that is worth a line. Percent of the whole. */
const toldPercent = 5;

/** One line on a terminal that says what is going on, and is gone afterwards. Elsewhere it is silent. */
export interface Spinner {
  say(what: string): void;
  /** Removes the line. Idempotent. */
  stop(): void;
}

export function spinner(output: Output, what: string): Spinner {
  if (!output.isTerminal) return { say: () => undefined, stop: () => undefined };
  let said = what;
  let frame = 0;
  let drawn = false;
  const draw = (): void => {
    const mark = output.colours.cyan(frames[frame % frames.length] ?? "");
    frame += 1;
    drawn = true;
    void output.write(`\r\u001b[K${mark} ${visibleText(said, 60)}`);
  };
  const timer = setInterval(draw, frameMs).unref();
  return {
    say(next) {
      said = next;
    },
    stop() {
      clearInterval(timer);
      if (drawn) void output.write("\r\u001b[K");
      drawn = false;
    },
  };
}

/** Where a job is. */
export interface Step {
  readonly stage: string;
  /** What it is at just now; may be empty. */
  readonly detail: string;
  /** 0 to 100; `undefined`: not known. */
  readonly percent: number | undefined;
}

/** Progress of a long job with a known end: a bar on a terminal, lines with each stage and its percents elsewhere. */
export interface Progress {
  show(step: Step): void;
  /** Ends the bar's line. */
  stop(): void;
}

export function progress(output: Output, job: string): Progress {
  return output.isTerminal ? bar(output, job) : stageLines(output, job);
}

function bar(output: Output, job: string): Progress {
  let drawn = "";
  return {
    show({ stage, detail, percent }) {
      const line = `${job}  ${barText(percent)}  ${visibleText(`${stage} ${detail}`, 48)}`;
      if (line === drawn) return;
      drawn = line;
      void output.write(`\r\u001b[K${line}`);
    },
    stop() {
      if (drawn !== "") void output.write("\r\u001b[K");
      drawn = "";
    },
  };
}

function stageLines(output: Output, job: string): Progress {
  let last = "";
  let told = 0;
  return {
    show({ stage, percent }) {
      if (stage === last && (percent === undefined || percent < told + toldPercent)) return;
      last = stage;
      told = percent ?? told;
      const share = percent === undefined ? "" : ` (${percent} %)`;
      void output.write(`${job}: ${visibleText(stage)}${share}\n`);
    },
    stop: () => undefined,
  };
}

/** `[######------]  50%` */
export function barText(percent: number | undefined): string {
  if (percent === undefined) return `[${"-".repeat(barCells)}]    `;
  const part = Math.min(100, Math.max(0, percent));
  const full = Math.round((part / 100) * barCells);
  return `[${"#".repeat(full)}${"-".repeat(barCells - full)}] ${String(Math.floor(part)).padStart(3)}%`;
}
