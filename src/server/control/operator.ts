import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { type Answer, type Call, type Control, type Operation, operation } from "./operation.ts";
import { auditAsked, auditPage, given } from "./own.ts";
import { parsedAs } from "./parsed-as.ts";

/** What only the server's keeper may ask. */
export const operatorOperations: readonly Operation[] = [
  operation(
    "GET /metrics",
    { name: "server.metrics", summary: "counts, for Prometheus", guard: "operator" },
    async ({ operator }) => {
      const { text, contentType } = await operator.metrics();
      return { status: 200, text, headers: { "content-type": contentType } };
    },
  ),
  operation(
    "GET /cofferdam/v1/operator/status",
    { name: "server.status", summary: "what the server is and does", guard: "operator" },
    async ({ operator }) => ({ status: 200, body: await operator.status() }),
  ),
  operation(
    "GET /cofferdam/v1/operator/audit",
    { name: "audit.all", summary: "records of all tenants, newest first", guard: "operator" },
    audit,
  ),
  operation(
    "GET /cofferdam/v1/operator/audit/verify",
    { name: "audit.verify", summary: "whether the chain of records is whole", guard: "operator" },
    verify,
  ),
];

const whose = z.object({ tenantId: z.string().min(1).max(64).exactOptional() });
const expectedHead = z.object({
  seq: z.coerce.number().int().min(1).exactOptional(),
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .exactOptional(),
});

async function audit({ audit: log }: Control, { query }: Call<undefined>): Promise<Answer> {
  return auditPage(log, { ...auditAsked(query), ...parsedAs(whose, given(whose, query)) });
}

async function verify(
  { audit: log }: Control,
  { query, signal }: Call<undefined>,
): Promise<Answer> {
  const { seq, hash } = parsedAs(expectedHead, given(expectedHead, query));
  if ((seq === undefined) !== (hash === undefined))
    throw new SandboxError("invalid", "seq and hash: go together", {
      field: "hash",
      mend: "give both, as an earlier verification told them",
    });
  const expected = seq === undefined || hash === undefined ? {} : { expected: { seq, hash } };
  return { status: 200, body: await log.verify({ ...expected, signal }) };
}
