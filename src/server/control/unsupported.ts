import { SandboxError } from "../../core/errors.ts";
import { type Operation, operation } from "./operation.ts";

/** What clients may ask for and this server does not do, each with the name of what is missing. */
const missing = [
  ["POST /templates", "template builds"],
  ["POST /v2/templates", "template builds"],
  ["POST /v3/templates", "template builds"],
  ["GET /templates/:template/files/:hash", "template builds"],
  ["POST /templates/:template/builds/:build", "template builds"],
  ["POST /v2/templates/:template/builds/:build", "template builds"],
  ["GET /templates/:template/builds/:build/status", "template builds"],
  ["PATCH /templates/:template", "published templates"],
  ["PATCH /v2/templates/:template", "published templates"],
  ["POST /templates/tags", "template tags"],
  ["DELETE /templates/tags", "template tags"],
  ["GET /templates/:template/tags", "template tags"],
  ["GET /volumes", "volumes"],
  ["POST /volumes", "volumes"],
  ["GET /volumes/:volume", "volumes"],
  ["DELETE /volumes/:volume", "volumes"],
  ["GET /secrets", "secrets"],
  ["POST /secrets", "secrets"],
  ["GET /secrets/:secret", "secrets"],
  ["PATCH /secrets/:secret", "secrets"],
  ["DELETE /secrets/:secret", "secrets"],
  ["GET /teams", "teams"],
] as const;

/** What does instead. */
const instead: Readonly<Record<(typeof missing)[number][1], string>> = {
  "template builds": "cofferdam template build on the server's host, or take a snapshot",
  "published templates": "every template of the host is everybody's",
  "template tags": "name snapshots with a :tag",
  volumes: "keep files in a sandbox that is paused, or in a snapshot",
  secrets: "pass them as envVars",
  teams: "a tenant is who owns the key: cofferdam key create --tenant NAME",
};

export const unsupportedOperations: readonly Operation[] = missing.map(([route, what]) =>
  operation(
    route,
    { name: "unsupported", summary: `not supported yet: ${what}`, success: 501 },
    () =>
      Promise.reject(
        new SandboxError("unsupported", `${what} are not supported yet`, { mend: instead[what] }),
      ),
  ),
);
