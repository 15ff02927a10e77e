import { expect, test } from "vitest";
import { turnstile } from "./turnstile.ts";

/** Lets waiters that can go on do so. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test("so many are in at once, and who leaves lets the next in", async () => {
  const door = turnstile({ places: 2, waiting: 10 });
  const inside = [await door.enter("a", undefined), await door.enter("a", undefined)];
  let isIn = false;
  const third = door.enter("a", undefined).then((turn) => {
    isIn = true;
    return turn;
  });
  await settled();
  expect(isIn).toBe(false);
  inside[0]?.[Symbol.dispose]();
  inside[0]?.[Symbol.dispose]();
  const turn = await third;
  let isFourthIn = false;
  const fourth = door.enter("a", undefined).then((next) => {
    isFourthIn = true;
    return next;
  });
  await settled();
  expect(isFourthIn).toBe(false);
  turn[Symbol.dispose]();
  (await fourth)[Symbol.dispose]();
});

test("a tenant with one to make does not wait for all of another's", async () => {
  const door = turnstile({ places: 1, waiting: 12 });
  const first = await door.enter("many", undefined);
  const order: string[] = [];
  const come = async (name: string, tenantId: string): Promise<void> => {
    using _ = await door.enter(tenantId, undefined);
    order.push(name);
  };
  const all = [come("1", "many"), come("2", "many"), come("3", "many"), come("one", "few")];
  first[Symbol.dispose]();
  await Promise.all(all);
  expect(order).toEqual(["1", "one", "2", "3"]);
});

test("who waits and goes away is cancelled, and no place is lost by it", async () => {
  const door = turnstile({ places: 1, waiting: 1 });
  const first = await door.enter("a", undefined);
  const leaving = new AbortController();
  const waiting = door.enter("a", leaving.signal);
  await expect(door.enter("b", undefined)).rejects.toMatchObject({ code: "unavailable" });
  leaving.abort();
  await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
  const next = door.enter("b", undefined);
  first[Symbol.dispose]();
  (await next)[Symbol.dispose]();
  (await door.enter("a", undefined))[Symbol.dispose]();
});

test("one tenant fills a part of the line, and another finds room in it", async () => {
  const door = turnstile({ places: 1, waiting: 8 });
  const first = await door.enter("many", undefined);
  const waiting = [door.enter("many", undefined), door.enter("many", undefined)];
  await expect(door.enter("many", undefined)).rejects.toMatchObject({ code: "unavailable" });
  const other = door.enter("few", undefined);
  first[Symbol.dispose]();
  for (const each of [...waiting, other]) void each.then((turn) => turn[Symbol.dispose]());
  await Promise.all([...waiting, other]);
});
