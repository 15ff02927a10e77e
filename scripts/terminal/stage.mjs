// Stages of a long job, each with its time: one live line on a terminal, plain lines elsewhere.
import { stderr } from "node:process";
import { bold, cyan, dim, green, isTerminal, readableMs, red, yellow } from "./paint.mjs";

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const frameMs = 100;
const titleWidth = 26;
const quietMs = 15_000;
const marks = { done: green("✓"), skipped: dim("·"), failed: red("✗"), "not run": yellow("-") };
/** Sequences that colour, move and clear, and single control characters. */
// eslint-disable-next-line no-control-regex
const control = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b[@-_]|[\u0000-\u001f\u007f-\u009f]/g;
const running = new Set();
let timer;
let frame = 0;

/** Writes whole lines above the live one. */
export function say(text) {
  clear();
  stderr.write(`${text}\n`);
}

export function heading(text) {
  say(`\n${bold(text)}`);
}

/** The end of a stage that found nothing to do. */
export function skipped(note) {
  return { state: "skipped", note };
}

/**
 * Does a stage's work and writes its end with its time. `work` is given `detail(text)`, which says how far it is (with `often`,
 * each of many small steps), and returns a note, or `{ state, note }`. What it throws is thrown on.
 */
export async function stage(title, work) {
  const begun = performance.now();
  const shown = { title, begun, detail: "", saidAt: begun };
  running.add(shown);
  animate();
  const detail = (words, { often = false } = {}) => {
    const text = withoutControl(words);
    if (!isTerminal && text !== shown.detail && !(often && isTooSoon(shown)))
      say(dim(`  ${title}: ${text}`));
    shown.detail = text;
  };
  try {
    const end = await work(detail);
    const { state = "done", note = "" } = typeof end === "object" ? end : { note: end };
    finish(shown, state, note);
    return end;
  } catch (error) {
    finish(shown, "failed", "");
    throw error;
  }
}

/** Words of another program, without what acts on a terminal. */
function withoutControl(text) {
  return text.replaceAll(control, "");
}

/** Without a terminal, small steps are said every so often only. */
function isTooSoon(shown) {
  const now = performance.now();
  if (now - shown.saidAt < quietMs) return true;
  shown.saidAt = now;
  return false;
}

function finish(shown, state, note) {
  running.delete(shown);
  if (running.size === 0) clearInterval(timer);
  const took = readableMs(performance.now() - shown.begun).padStart(12);
  say(`${marks[state]} ${shown.title.padEnd(titleWidth)}${took}  ${dim(note)}`.trimEnd());
}

function animate() {
  if (!isTerminal || running.size !== 1) return;
  timer = setInterval(draw, frameMs).unref();
}

function draw() {
  const stages = [...running].map(({ title, begun, detail }) => {
    const took = readableMs(performance.now() - begun);
    return `${title} ${took}${detail === "" ? "" : ` ${detail}`}`;
  });
  frame = (frame + 1) % frames.length;
  const width = (stderr.columns ?? 80) - 3;
  clear();
  stderr.write(`${cyan(frames[frame])} ${stages.join(" | ").slice(0, width)}`);
}

function clear() {
  if (isTerminal) stderr.write("\r\u001b[K");
}
