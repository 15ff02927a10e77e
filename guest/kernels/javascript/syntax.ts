import type {
  ExportDefaultDeclaration,
  ExportNamedDeclaration,
  ImportDeclaration,
  Node,
  Pattern,
  Program,
  VariableDeclaration,
} from "acorn";

type Place = "statement" | "for" | "in";

export type Visit = (declaration: VariableDeclaration, place: Place) => void;

/** The names that a pattern binds. */
export function namesOf(pattern: Pattern): string[] {
  switch (pattern.type) {
    case "Identifier":
      return [pattern.name];
    case "ObjectPattern":
      return pattern.properties.flatMap((one) =>
        namesOf(one.type === "RestElement" ? one.argument : one.value),
      );
    case "ArrayPattern":
      return pattern.elements.flatMap((one) => (one === null ? [] : namesOf(one)));
    case "AssignmentPattern":
      return namesOf(pattern.left);
    case "RestElement":
      return namesOf(pattern.argument);
    case "MemberExpression":
      break;
  }
  return [];
}

export function isDeclaration(
  node: Node,
): node is ExportDefaultDeclaration | ExportNamedDeclaration {
  return node.type === "ExportDefaultDeclaration" || node.type === "ExportNamedDeclaration";
}

const functions = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

/** Whether code outside of any function awaits or imports. */
export function needsAsync(program: Program): boolean {
  let found = false;
  walk(program, (node) => {
    found ||=
      node.type === "AwaitExpression" ||
      node.type === "ImportDeclaration" ||
      (node.type === "ForOfStatement" && "await" in node && node.await === true);
    return !found && !functions.has(node.type) && !ownScope.has(node.type);
  });
  return found;
}

const ownScope = new Set(["PropertyDefinition", "StaticBlock"]);

/** The `var` declarations below a statement that belong to the function around it. */
export function variablesOf(statement: Node, visit: Visit): void {
  walk(statement, (node, parent) => {
    if (isVar(node)) visit(node, placeOf(node, parent));
    return !functions.has(node.type) && !ownScope.has(node.type);
  });
}

function isVar(node: Node): node is VariableDeclaration {
  return node.type === "VariableDeclaration" && "kind" in node && node.kind === "var";
}

function placeOf(node: Node, parent: Node | undefined): Place {
  if (parent?.type === "ForStatement" && "init" in parent && parent.init === node) return "for";
  if (parent !== undefined && "left" in parent && parent.left === node) return "in";
  return "statement";
}

/** Visits nodes from the top while `enter` says so. */
function walk(node: Node, enter: (node: Node, parent?: Node) => boolean, parent?: Node): void {
  if (!enter(node, parent)) return;
  for (const value of Object.values(node))
    for (const child of Array.isArray(value) ? value : [value])
      if (isNode(child)) walk(child, enter, node);
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}

/** `import a, { b as c } from "d"` as an assignment, and the names that it binds. */
export function importForms(
  node: ImportDeclaration,
  code: string,
): { bound: string[]; text: string } {
  const bound = node.specifiers.map((one) => one.local.name);
  const attributes = node.attributes
    .map(
      ({ key, value }) =>
        `${code.slice(key.start, key.end)}: ${code.slice(value.start, value.end)}`,
    )
    .join(", ");
  const source = code.slice(node.source.start, node.source.end);
  const load = `await import(${source}${attributes === "" ? "" : `, { with: { ${attributes} } }`})`;
  const [space] = node.specifiers.filter((one) => one.type === "ImportNamespaceSpecifier");
  const picked = node.specifiers.flatMap((one) => {
    if (one.type === "ImportNamespaceSpecifier") return [];
    const name =
      one.type === "ImportDefaultSpecifier"
        ? "default"
        : code.slice(one.imported.start, one.imported.end);
    return [`${name}: ${one.local.name}`];
  });
  const whole = space === undefined ? load : `${space.local.name} = ${load}`;
  return {
    bound,
    text: picked.length === 0 ? `void (${whole});` : `void ({ ${picked.join(", ")} } = ${whole});`,
  };
}
