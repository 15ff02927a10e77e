/** A name under which sandboxes may be made, and whose it is. */
export interface TemplateRecord {
  readonly id: string;
  readonly name: string;
  /** `null`: the host's own, which every tenant may use and none may remove. */
  readonly tenantId: string | null;
  /** Whether other tenants may use it. */
  readonly isPublic: boolean;
  /** The driver that its sandboxes get when nobody says which; `null`: the server's. */
  readonly defaultDriver: string | null;
  readonly createdAt: string;
}

export interface Templates {
  /** Writes the template; one of the same id and owner is replaced. Throws `already-exists` for a name that is another's. */
  put(template: TemplateRecord): Promise<TemplateRecord>;
  /** By id or name, whoever owns it: the caller decides between 403 and 404. `undefined`: there is none. */
  find(idOrName: string): Promise<TemplateRecord | undefined>;
  /** What the tenant may use: its own, the host's and public ones, by name. */
  list(tenantId: string): Promise<readonly TemplateRecord[]>;
  /** `false`: the tenant owns none of that id. */
  remove(id: string, tenantId: string): Promise<boolean>;
}
