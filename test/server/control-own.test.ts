import { expect, test } from "vitest";
import { call, served } from "./serve.ts";

const server = served();

async function made(more: Readonly<Record<string, unknown>>): Promise<string> {
  const body = { templateID: "base", timeout: 300, ...more };
  const answer = await call(server.now(), "POST /cofferdam/v1/sandboxes", body);
  expect(answer).toMatchObject({ status: 201, body: { sandboxID: expect.any(String) } });
  const { sandboxID } = JSON.parse(JSON.stringify(answer.body));
  return sandboxID;
}

test("a sandbox with a lease lives while somebody holds it, and then ends as its owner is gone", async () => {
  const id = await made({ leaseMs: 5000 });
  const path = `/cofferdam/v1/sandboxes/${id}`;
  for (let turn = 0; turn < 4; turn += 1) {
    const held = await call(server.now(), `POST ${path}/hold`, { leaseMs: 5000, waitMs: 2000 });
    expect(held).toMatchObject({ status: 200, body: { state: "running", endReason: null } });
  }
  const ended = await call(server.now(), `POST ${path}/hold`, { waitMs: 60_000 });
  expect(ended).toMatchObject({ body: { state: "ended", endReason: "owner-gone" } });
  expect(await call(server.now(), `GET ${path}`)).toMatchObject({
    status: 200,
    body: { state: "ended", endReason: "owner-gone" },
  });
});

test("an owner that holds its sandbox again and again stands in the record once, with how often", async () => {
  const id = await made({ leaseMs: 60_000 });
  const path = `/cofferdam/v1/sandboxes/${id}`;
  for (let turn = 0; turn < 3; turn += 1)
    await call(server.now(), `POST ${path}/hold`, { leaseMs: 60_000 });
  const holds = async (): Promise<unknown> => {
    const query = `sandboxId=${id}&action=sandbox.hold`;
    const { body } = await call(server.now(), `GET /cofferdam/v1/audit?${query}`);
    return body;
  };
  expect(await holds()).toMatchObject({ records: [{ details: { requestId: expect.anything() } }] });
  const waiting = call(server.now(), `POST ${path}/hold`, { waitMs: 60_000 });
  await call(server.now(), `DELETE /sandboxes/${id}`);
  expect(await waiting).toMatchObject({ body: { state: "ended", endReason: "killed" } });
  expect(await holds()).toMatchObject({
    records: [{ details: { repeated: "2" } }, { result: "ok" }],
  });
});

test("a sandbox with a lease that was paused is its owner's again once it is resumed, whoever does it", async () => {
  const id = await made({ leaseMs: 5000 });
  const path = `/cofferdam/v1/sandboxes/${id}`;
  expect((await call(server.now(), `POST ${path}/resume`, { lifetimeMs: 60_000 })).status).toBe(
    409,
  );
  await call(server.now(), `POST /sandboxes/${id}/pause`, { memory: true });
  const long = await call(server.now(), `POST ${path}/hold`, { waitMs: 6000 });
  expect(long).toMatchObject({ body: { state: "paused", leaseMs: 5000 } });
  const resumed = await call(server.now(), `POST ${path}/resume`, { lifetimeMs: 60_500 });
  expect(resumed).toMatchObject({ status: 200, body: { state: "running", leaseMs: 5000 } });
  const ended = await call(server.now(), `POST ${path}/hold`, { waitMs: 60_000 });
  expect(ended).toMatchObject({ body: { state: "ended", endReason: "owner-gone" } });
});

test("who waits for an end learns it and its reason at once, and of a stranger's nothing", async () => {
  const id = await made({});
  const path = `/cofferdam/v1/sandboxes/${id}`;
  const waiting = call(server.now(), `POST ${path}/hold`, { waitMs: 60_000 });
  expect(await call(server.now(), `GET ${path}/metrics`)).toMatchObject({ body: { cpuCount: 2 } });
  await call(server.now(), `POST ${path}/lifetime`, { lifetimeMs: 500 });
  expect(await waiting).toMatchObject({ body: { state: "ended", endReason: "lifetime" } });
  const unknown = "/cofferdam/v1/sandboxes/iaaaaaaaaaaaaaaaaaaaa";
  for (const route of [`GET ${unknown}`, `GET ${unknown}/metrics`])
    expect(await call(server.now(), route)).toMatchObject({
      status: 404,
      body: { error_code: "not-found" },
    });
});
