import type { Resources } from "../../core/spec.ts";
import { snapshotIdIn } from "./snapshot-name.ts";

/** A template that this host has. */
export interface TemplateFacts {
  readonly name: string;
  /** Limits that it asks for where nobody says. */
  readonly resources: Partial<Resources>;
  /** Changes when the template is built anew. */
  readonly digest: string;
  readonly createdAt: Date;
}

/** The templates of this host, as the server's maker knows them. */
export interface TemplateCatalog {
  /** `undefined`: none has the name. */
  find(name: string): Promise<TemplateFacts | undefined>;
  list(): Promise<readonly TemplateFacts[]>;
}

/** A catalog that knows nothing of servers' snapshots: those have owners. */
export function withoutSnapshots(catalog: TemplateCatalog): TemplateCatalog {
  return {
    find: async (name) => (snapshotIdIn(name) === undefined ? catalog.find(name) : undefined),
    list: async () => (await catalog.list()).filter(({ name }) => snapshotIdIn(name) === undefined),
  };
}

/** Names by which clients know templates of ours. */
const otherNames: Readonly<Record<string, string>> = {
  "code-interpreter-v1": "code-interpreter",
  "code-interpreter-beta": "code-interpreter",
};

/** The template's own name for what a client calls it; its one tag is `default`. */
export function ownName(asked: string): string {
  const name = asked.replace(/:(default|latest)$/, "");
  return Object.hasOwn(otherNames, name) ? (otherNames[name] ?? name) : name;
}

/** Other names of a template. */
export function aliasesOf(name: string): readonly string[] {
  return Object.keys(otherNames).filter((alias) => otherNames[alias] === name);
}
