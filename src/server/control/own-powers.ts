import { z } from "zod";
import type { SnapshotRecord } from "../../store/snapshot-record.ts";
import type { WireOwnSnapshot } from "../../wire/control/answers.ts";
import { ownResume } from "../../wire/control/new-sandbox.ts";
import { ownSnapshot } from "../../wire/control/requests.ts";
import { shownName } from "../life/snapshot-name.ts";
import { answerOf } from "./own-sandboxes.ts";
import { type Operation, operation, operationWith } from "./operation.ts";
import { given } from "./own.ts";
import { parsedAs } from "./parsed-as.ts";
import { sandboxIdIn } from "./sandbox-id.ts";

const pageAsked = z.object({
  name: z.string().min(1).max(256).exactOptional(),
  token: z.string().min(1).max(1024).exactOptional(),
  limit: z.coerce.number().int().min(1).max(100).exactOptional(),
});

/** Pauses and snapshots, where this server says and does more than the protocol. */
export const ownPowerOperations: readonly Operation[] = [
  operationWith(
    "POST /cofferdam/v1/sandboxes/:id/resume",
    {
      name: "sandbox.resume",
      summary: "let a paused sandbox go on for so many milliseconds; one that runs is a conflict",
      request: ownResume,
    },
    async (control, call) => {
      const { lifetimeMs, memory } = call.body;
      const request = {
        seconds: lifetimeMs / 1000,
        tenant: call.by.tenant,
        anew: memory === false,
      };
      return answerOf(control, await control.life.resume(sandboxIdIn(call), request));
    },
  ),
  operationWith(
    "POST /cofferdam/v1/sandboxes/:id/snapshots",
    {
      name: "sandbox.snapshot",
      summary: "make a template of a running sandbox, by a name that no snapshot has",
      success: 201,
      request: ownSnapshot,
    },
    async ({ life }, call) => {
      const request = { tenant: call.by.tenant, name: call.body.name, isNew: true };
      const snapshot = await life.snapshot(sandboxIdIn(call), request);
      return { status: 201, body: wireOwnSnapshot(snapshot) };
    },
  ),
  operation(
    "GET /cofferdam/v1/snapshots",
    { name: "snapshot.list", summary: "say what snapshots there are, page by page" },
    async ({ life }, { by, query }) => {
      const asked = parsedAs(pageAsked, given(pageAsked, query));
      const page = await life.snapshots({ ...asked, tenant: by.tenant });
      return {
        status: 200,
        body: page.records.map(wireOwnSnapshot),
        headers: page.nextToken === undefined ? {} : { "x-next-token": page.nextToken },
      };
    },
  ),
];

function wireOwnSnapshot(record: SnapshotRecord): WireOwnSnapshot {
  const { id, names, template, driver, kept, digest, sizeBytes, createdAt } = record;
  const [first] = names;
  const name = first === undefined ? id : shownName(first);
  return { snapshotID: id, name, template, driver, kept, digest, sizeBytes, createdAt };
}
