import { visibleText } from "./visible-text.ts";

/** How a cell is painted once its width is known. */
export type Paint = (text: string) => string;

/** A cell: text, or text with its colour. */
export type Cell = string | { readonly text: string; readonly paint: Paint };

/** Rows as aligned lines under a head. What cells say is made visible; the last column is not padded. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [head, ...rows].map((row) => row.map(visible));
  const widths = head.map((_, column) =>
    Math.max(...lines.map((row) => Array.from(row[column]?.text ?? "").length)),
  );
  return lines
    .map((row) =>
      row
        .map(({ text, paint }, column) => paint(text) + " ".repeat(gap(text, widths, column)))
        .join("")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

function gap(text: string, widths: readonly number[], column: number): number {
  return column === widths.length - 1 ? 0 : (widths[column] ?? 0) - Array.from(text).length + 2;
}

function visible(cell: Cell): { readonly text: string; readonly paint: Paint } {
  if (typeof cell === "string") return { text: visibleText(cell), paint: (text) => text };
  return { text: visibleText(cell.text), paint: cell.paint };
}

/** A length of time as a person reads it: `850 ms`, `4.2 s`, `3 min`, `2 h`, `5 d`. */
export function readableMs(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

/** A number of bytes as a person reads it: `17 B`, `2.0 MiB`. */
export function readableBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}
