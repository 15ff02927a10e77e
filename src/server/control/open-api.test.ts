import { Hono } from "hono";
import { expect, test } from "vitest";
import { operations } from "./operations.ts";
import { openApiDocument } from "./open-api.ts";

test("the document has every route and no other, each with what it takes and an id of its own", () => {
  const { paths } = openApiDocument(operations, "1.2.3");
  const told = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const app = new Hono();
  for (const { method, path } of operations) app.on(method, [path], () => new Response());
  const served = app.routes.map(
    ({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`,
  );
  expect(told.toSorted()).toEqual([...new Set(served)].toSorted());
  const ids = Object.values(paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
  expect(JSON.stringify(paths["/v2/sandboxes"]?.["post"])).toContain('"templateID"');
});
