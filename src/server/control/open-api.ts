import { z } from "zod";
import type { Operation } from "./operation.ts";

/** A description of the control plane in the format of OpenAPI 3.1. */
export interface OpenApiDocument {
  readonly openapi: "3.1.0";
  readonly info: Readonly<Record<string, unknown>>;
  /** By path, then by method in lower case. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, DescribedOperation>>>>;
  readonly components: Readonly<Record<string, unknown>>;
}

interface DescribedOperation {
  readonly operationId: string;
  readonly [field: string]: unknown;
}

const errorSchema = {
  type: "object",
  required: ["code", "message"],
  properties: {
    code: { type: "integer", description: "the HTTP status" },
    message: { type: "string" },
  },
};

export function openApiDocument(
  operations: readonly Operation[],
  version: string,
): OpenApiDocument {
  const paths: Record<string, Record<string, DescribedOperation>> = {};
  for (const operation of operations) {
    const path = operation.path.replaceAll(/:([a-z]+)/gi, "{$1}");
    (paths[path] ??= {})[operation.method.toLowerCase()] ??= described(operation);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Cofferdam",
      version,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      securitySchemes: {
        key: { type: "apiKey", in: "header", name: "X-API-KEY" },
        operator: { type: "http", scheme: "bearer" },
      },
      schemas: { Error: errorSchema },
    },
  };
}

function described({
  name,
  method,
  path,
  summary,
  success,
  request,
  guard,
}: Operation): DescribedOperation {
  const parameters = [...path.matchAll(/:([a-z]+)/gi)].map(([, part]) => ({
    name: part,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  return {
    operationId: operationId(method, path),
    tags: [name.split(".", 1)[0] ?? ""],
    summary,
    ...(guard === "open" ? {} : { security: [{ [guard]: [] }] }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(request === undefined ? {} : { requestBody: bodyOf(request) }),
    responses: {
      ...(success < 400 ? { [success]: { description: "done" } } : {}),
      default: {
        description: "what went wrong",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    },
  };
}

/** Unique: several versions of the protocol ask for the same operation. */
function operationId(method: string, path: string): string {
  return `${method.toLowerCase()}${path.replaceAll(/[^a-z0-9]+/gi, "_")}`;
}

function bodyOf(request: z.ZodType): unknown {
  const schema = z.toJSONSchema(request, { io: "input", unrepresentable: "any" });
  const { $schema: _, ...content } = schema;
  return { content: { "application/json": { schema: content } } };
}
