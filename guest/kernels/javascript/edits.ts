import type { VariableDeclaration } from "acorn";

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Changes to a text that are made at once. No change contains another; insertions at one place keep their order. */
export class Edits {
  readonly original: string;
  readonly #changes: { start: number; end: number; text: string }[] = [];

  constructor(original: string) {
    this.original = original;
  }

  insert(at: number, text: string): void {
    this.#changes.push({ start: at, end: at, text });
  }

  /** The lines of what is replaced stay, empty. */
  replace({ start, end }: Range, text: string): void {
    const lines = this.original.slice(start, end).split("\n").length - text.split("\n").length;
    this.#changes.push({ start, end, text: text + "\n".repeat(Math.max(lines, 0)) });
  }

  /** `let a = 1, b` becomes `var a = 1, b = undefined`. */
  makeVar(node: VariableDeclaration): void {
    if (node.kind === "var") return;
    this.replace({ start: node.start, end: node.start + node.kind.length }, "var");
    for (const one of node.declarations) if (!one.init) this.insert(one.end, " = undefined");
  }

  /** `let a = 1, { b } = c` becomes `void (a = 1, { b } = c);`. */
  assign(node: VariableDeclaration): void {
    const first = node.declarations[0]?.start ?? node.end;
    const last = node.declarations.at(-1)?.end ?? node.end;
    this.replace({ start: node.start, end: first }, "void (");
    for (const one of node.declarations)
      if (!one.init) this.insert(one.end, node.kind === "var" ? "" : " = undefined");
    this.replace({ start: last, end: node.end }, ");");
  }

  /** The head of a loop: `var i = 0` becomes `i = 0`. */
  bare(node: VariableDeclaration, place: "for" | "in"): void {
    const first = node.declarations[0]?.start ?? node.end;
    const open = place === "for" ? "(" : "";
    this.replace({ start: node.start, end: first }, open);
    if (place === "for") this.insert(node.declarations.at(-1)?.end ?? node.end, ")");
  }

  text(): string {
    const ordered = this.#changes.toSorted((a, b) => a.start - b.start || a.end - b.end);
    let text = "";
    let at = 0;
    for (const change of ordered) {
      text += this.original.slice(at, change.start) + change.text;
      at = change.end;
    }
    return text + this.original.slice(at);
  }
}
