import { SandboxError } from "../../core/errors.ts";
import { defaultResources } from "../../core/options.ts";
import type { TemplateRecord } from "../../store/template-record.ts";
import type { WireTemplate } from "../../wire/control/answers.ts";
import { type TemplateFacts, aliasesOf, ownName } from "../life/template-catalog.ts";
import { type Answer, type Call, type Control, type Operation, operation } from "./operation.ts";

export const templateOperations: readonly Operation[] = [
  operation(
    "GET /templates/aliases/:alias",
    { name: "template.alias", summary: "whether a template has a name" },
    alias,
  ),
  operation("GET /templates", { name: "template.list", summary: "list templates" }, list),
  operation("GET /v2/templates", { name: "template.list", summary: "list templates" }, list),
  operation(
    "DELETE /templates/:template",
    { name: "template.delete", summary: "remove a template or a snapshot", success: 204 },
    remove,
  ),
];

/** What other tenants keep to themselves is told to exist, and no more: names are one space. */
async function alias({ life, store, catalog }: Control, call: Call<undefined>): Promise<Answer> {
  const asked = call.param("alias");
  const name = ownName(asked);
  const known = await store.templates.find(name);
  if (known !== undefined && !isVisible(known, call.by.tenant.id))
    throw new SandboxError("denied", `the template ${JSON.stringify(name)} is another's`, {
      mend: "take another name",
    });
  if ((await catalog.find(known?.name ?? name)) === undefined) {
    const { tenant } = call.by;
    const [snapshot] = (await life.snapshots({ tenant, name: asked })).records;
    if (snapshot === undefined) throw noTemplate(asked);
    return { status: 200, body: { templateID: snapshot.id, public: false } };
  }
  return { status: 200, body: { templateID: name, public: known?.isPublic ?? true } };
}

function isVisible({ tenantId, isPublic }: TemplateRecord, asker: string): boolean {
  return tenantId === null || tenantId === asker || isPublic;
}

function noTemplate(name: string): SandboxError {
  return new SandboxError(
    "not-found",
    `there is no template ${JSON.stringify(name.slice(0, 128))}`,
    { mend: "GET /templates and GET /snapshots list those that are there" },
  );
}

async function list({ store, catalog }: Control, { by }: Call<undefined>): Promise<Answer> {
  const visible: TemplateFacts[] = [];
  for (const facts of await catalog.list()) {
    const known = await store.templates.find(facts.name);
    if (known === undefined || isVisible(known, by.tenant.id)) visible.push(facts);
  }
  return { status: 200, body: visible.map(wireTemplate) };
}

function wireTemplate({ name, resources, digest, createdAt }: TemplateFacts): WireTemplate {
  const { cpus, memoryMiB, diskMiB } = { ...defaultResources, ...resources };
  const aliases = [name, ...aliasesOf(name)];
  return {
    templateID: name,
    buildID: digest,
    cpuCount: Math.ceil(cpus),
    memoryMB: memoryMiB,
    diskSizeMB: diskMiB,
    public: true,
    aliases,
    names: aliases,
    createdAt: createdAt.toISOString(),
    updatedAt: createdAt.toISOString(),
    lastSpawnedAt: null,
    spawnCount: 0,
    buildCount: 1,
    envdVersion: "",
    buildStatus: "ready",
  };
}

/** Removes the tenant's own template or snapshot; the host's templates are removed on the host. */
async function remove(control: Control, call: Call<undefined>): Promise<Answer> {
  const { life, store, catalog } = control;
  const asked = call.param("template");
  const tenantId = call.by.tenant.id;
  if (await store.templates.remove(asked, tenantId)) return { status: 204 };
  if (await life.removeSnapshot(asked, call.by.tenant)) return { status: 204 };
  const known = await store.templates.find(ownName(asked));
  const isHosts = (known?.tenantId ?? null) === null;
  if (isHosts && (await catalog.find(ownName(asked))) !== undefined)
    throw new SandboxError("denied", "the templates of the host are removed on the host", {
      mend: "cofferdam template rm does it there",
    });
  throw noTemplate(asked);
}
