import type { StoreKind } from "../schema.ts";
import { hosts } from "./hosts.ts";
import { initial } from "./initial.ts";
import { sizes } from "./sizes.ts";

/** A step of the schema. Once released it is never edited; what changes is a further step at the end of the list. */
export interface Migration {
  readonly name: string;
  readonly statements: (kind: StoreKind) => readonly string[];
}

/** Version n is the n-th of the list. */
export const migrations: readonly Migration[] = [
  { name: "initial", statements: initial },
  { name: "hosts", statements: hosts },
  { name: "sizes", statements: sizes },
];
