import { z } from "zod";
import { SandboxError } from "../core/errors.ts";
import type { StoreDatabase } from "./database.ts";
import { parsed, shortText, time } from "./door.ts";
import type { Schema, Writing } from "./schema.ts";
import type { TemplateRecord, Templates } from "./template-record.ts";

type Row = Schema["templates"];

const templateSchema: z.ZodType<TemplateRecord> = z.strictObject({
  id: shortText,
  name: shortText,
  tenantId: shortText.nullable(),
  isPublic: z.boolean(),
  defaultDriver: shortText.nullable(),
  createdAt: time,
});

export function templates(database: StoreDatabase): Templates {
  return {
    put: (template) => put(database, template),
    find: (idOrName) =>
      database.read(async (queries) => {
        const rows = await queries
          .selectFrom("templates")
          .selectAll()
          .where((where) =>
            where.or([where.eb("id", "=", idOrName), where.eb("name", "=", idOrName)]),
          )
          .execute();
        const row = rows.find(({ id }) => id === idOrName) ?? rows[0];
        return row && recordOf(row);
      }),
    list: (tenantId) =>
      database.read(async (queries) => {
        const rows = await queries
          .selectFrom("templates")
          .selectAll()
          .where((where) =>
            where.or([
              where.eb("tenant_id", "=", tenantId),
              where.eb("tenant_id", "is", null),
              where.eb("is_public", "=", 1),
            ]),
          )
          .orderBy("name")
          .execute();
        return rows.map(recordOf);
      }),
    remove: (id, tenantId) =>
      database.write(
        async (writing) => {
          const { numDeletedRows } = await writing
            .deleteFrom("templates")
            .where("id", "=", id)
            .where("tenant_id", "=", tenantId)
            .executeTakeFirstOrThrow();
          return numDeletedRows > 0;
        },
        { survivesPowerLoss: true },
      ),
  };
}

async function put(database: StoreDatabase, template: TemplateRecord): Promise<TemplateRecord> {
  const checked = parsed(templateSchema, template);
  return database.write(
    async (writing) => {
      await database.exclusively(writing, "templates");
      await refuseOthers(writing, checked);
      const row = rowOf(checked);
      await writing
        .insertInto("templates")
        .values(row)
        .onConflict((conflict) => conflict.column("id").doUpdateSet(row))
        .execute();
      return checked;
    },
    { survivesPowerLoss: true },
  );
}

async function refuseOthers(
  writing: Writing,
  { id, name, tenantId }: TemplateRecord,
): Promise<void> {
  const rows = await writing
    .selectFrom("templates")
    .selectAll()
    .where((where) =>
      where.or([where.eb("id", "in", [id, name]), where.eb("name", "in", [id, name])]),
    )
    .execute();
  const other = rows.find((row) => row.id !== id || row.tenant_id !== tenantId);
  if (other === undefined) return;
  throw new SandboxError("already-exists", `the template name ${name} is taken`, { field: "name" });
}

function rowOf(template: TemplateRecord): Row {
  return {
    id: template.id,
    name: template.name,
    tenant_id: template.tenantId,
    is_public: Number(template.isPublic),
    default_driver: template.defaultDriver,
    created_at: template.createdAt,
  };
}

function recordOf(row: Row): TemplateRecord {
  return {
    id: row.id,
    name: row.name,
    tenantId: row.tenant_id,
    isPublic: row.is_public === 1,
    defaultDriver: row.default_driver,
    createdAt: row.created_at,
  };
}
