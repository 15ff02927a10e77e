// Colours on a terminal, plain text elsewhere.
import { env, stderr } from "node:process";

const wanted = stderr.isTTY && env.NO_COLOR === undefined && env.TERM !== "dumb";
const style = (start, end) => (text) => (wanted ? `\u001b[${start}m${text}\u001b[${end}m` : text);

export const isTerminal = stderr.isTTY;
export const bold = style(1, 22);
export const dim = style(2, 22);
export const red = style(31, 39);
export const green = style(32, 39);
export const yellow = style(33, 39);
export const cyan = style(36, 39);

/** `0.4 s`, `12 s`, `3 min 07 s` */
export function readableMs(ms) {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}
