import { type Node, type Program, parse } from "acorn";
import { Edits } from "./edits.ts";
import {
  type Visit,
  importForms,
  isDeclaration,
  namesOf,
  needsAsync,
  variablesOf,
} from "./syntax.ts";

/** A cell as V8 can run it, with its lines where they were. */
export interface Cell {
  readonly source: string;
  /** How far the first line has moved to the right. */
  readonly offset: number;
  /** The source's value is a promise of `{ value }`. */
  readonly awaits: boolean;
  /** Whether the last statement is an expression, whose value is the cell's. */
  readonly hasValue: boolean;
  /** Names that the cell puts into the global object. */
  readonly names: readonly string[];
}

const options = {
  ecmaVersion: "latest",
  sourceType: "script",
  allowAwaitOutsideFunction: true,
  allowImportExportEverywhere: true,
  allowHashBang: true,
} as const;

/** Makes top-level declarations global and repeatable, and top-level `await` and `import` possible. Throws SyntaxError. */
export function rewrite(code: string): Cell {
  const { text, program } = parseCell(code);
  const awaits = needsAsync(program);
  const edits = new Edits(text);
  const names = new Set<string>();
  const last = program.body.at(-1);
  const hasValue = last?.type === "ExpressionStatement";
  for (const statement of program.body) topLevel(statement, { edits, names, awaits });
  if (!awaits) return { source: edits.text(), offset: 0, awaits, hasValue, names: [...names] };
  for (const statement of program.body) innerVariables(statement, { edits, names, awaits });
  if (last?.type === "ExpressionStatement") {
    edits.insert(last.start, "return { value: (");
    edits.replace({ start: last.expression.end, end: last.end }, parentheses(text, last) + ") };");
  }
  const functions = program.body.flatMap(functionNames);
  const hoisted = functions.map((name) => `globalThis.${name} = ${name}; `).join("");
  const declared = [...names].filter((name) => !functions.includes(name));
  const head = `${declared.length > 0 ? `var ${declared.join(", ")}; ` : ""}(async () => { ${hoisted}`;
  return {
    source: `${head}${edits.text()}\n})()`,
    offset: head.length,
    awaits,
    hasValue,
    names: [...names],
  };
}

/** What stands between the last expression's end and its statement's: closing parentheses belong to the expression. */
function parentheses(text: string, { end, expression }: { end: number; expression: Node }): string {
  return text.slice(expression.end, end).replace(/;\s*$/, "");
}

/** A cell that is one object literal is an expression, as in any console. */
function parseCell(code: string): { text: string; program: Program } {
  const trimmed = code.trim();
  if (trimmed.startsWith("{") && trimmed.endsWith("}")) {
    const text = `(${code}\n)`;
    const program = parsed(text);
    if (!(program instanceof SyntaxError)) return { text, program };
  }
  const program = parsed(code);
  if (program instanceof SyntaxError) throw program;
  return { text: code, program };
}

/** The code's tree, or what is wrong with it, with the line and a mark below the place. */
function parsed(code: string): Program | SyntaxError {
  try {
    return parse(code, options);
  } catch (error) {
    if (!(error instanceof SyntaxError) || !("pos" in error)) throw error;
    const before = code.slice(0, Number(error.pos)).split("\n");
    const told = new SyntaxError(error.message);
    const mark = " ".repeat(before.at(-1)?.length ?? 0);
    told.stack = `${code.split("\n")[before.length - 1] ?? ""}\n${mark}^\nSyntaxError: ${error.message}`;
    return told;
  }
}

type Statement = Program["body"][number];

interface Work {
  readonly edits: Edits;
  readonly names: Set<string>;
  readonly awaits: boolean;
}

function functionNames(statement: Statement): string[] {
  const declared = isDeclaration(statement) ? statement.declaration : statement;
  return declared?.type === "FunctionDeclaration" && declared.id ? [declared.id.name] : [];
}

function topLevel(statement: Statement, work: Work): void {
  const { edits, names, awaits } = work;
  if (statement.type === "VariableDeclaration") {
    for (const name of statement.declarations.flatMap((one) => namesOf(one.id))) names.add(name);
    if (awaits) edits.assign(statement);
    else edits.makeVar(statement);
  } else if (statement.type === "ClassDeclaration" && statement.id) {
    names.add(statement.id.name);
    edits.insert(statement.start, `${awaits ? "" : "var "}${statement.id.name} = `);
    edits.insert(statement.end, ";");
  } else if (statement.type === "FunctionDeclaration" && statement.id) {
    names.add(statement.id.name);
  } else if (statement.type === "ImportDeclaration") {
    const { bound, text } = importForms(statement, edits.original);
    for (const name of bound) names.add(name);
    edits.replace(statement, text);
  } else if (statement.type.startsWith("Export")) {
    exported(statement, work);
  }
}

/** There is nobody to export to: the declaration stays. */
function exported(statement: Statement, work: Work): void {
  const declaration = isDeclaration(statement) ? statement.declaration : undefined;
  if (declaration === undefined || declaration === null) {
    work.edits.replace(statement, ";");
    return;
  }
  const isNamed = isStatement(declaration);
  const head = { start: statement.start, end: declaration.start };
  work.edits.replace(head, isNamed ? "" : "void ");
  if (isNamed) topLevel(declaration, work);
}

/** Whether what is exported declares a name; a default export need not. */
function isStatement(node: Node): node is Statement {
  return node.type.endsWith("Declaration") && (!("id" in node) || node.id !== null);
}

/** Inside the function that awaits, `var` in a block would be the function's own. */
function innerVariables(statement: Statement, { edits, names }: Work): void {
  const visit: Visit = (declaration, place) => {
    for (const name of declaration.declarations.flatMap((one) => namesOf(one.id))) names.add(name);
    if (place === "statement") edits.assign(declaration);
    else edits.bare(declaration, place);
  };
  if (statement.type !== "VariableDeclaration" && !statement.type.startsWith("Export"))
    variablesOf(statement, visit);
}
