import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Sandbox } from "e2b";
import { describe, expect, test } from "vitest";
import { cofferdam, running, stateDir, subjects } from "../cli/cofferdam.ts";
import { serve, tellClients } from "./serve.ts";

const drivers = await subjects();

/** Whether every machine belongs to a sandbox that is listed. */
async function isSettled(): Promise<boolean> {
  const listed = await Sandbox.list().nextItems();
  const known = new Set(listed.map(({ sandboxId }) => sandboxId));
  return (await running()).every((id) => known.has(id));
}

describe("a server that dies", () => {
  for (const { name: driver, absent } of drivers)
    test.skipIf(absent !== undefined)(
      `leaves its sandboxes on ${driver} running, and the next one finds them`,
      async () => {
        const options = { metadata: { "cofferdam.driver": driver }, timeoutMs: 300_000 };
        const first = await serve();
        tellClients(first);
        const kept = await Sandbox.create("base", options);
        const lost = await Sandbox.create("base", options);
        const counting = await kept.commands.run(
          "for i in $(seq 1 1000); do echo $i; sleep 0.1; done",
          { background: true },
        );
        const before = await kept.getInfo();
        expect(await first.end("SIGKILL")).toBe("SIGKILL");
        expect((await cofferdam(["kill", lost.sandboxId])).code).toBe(0);
        const byHand = (
          await cofferdam(["create", "--template", "base", "--driver", driver])
        ).stdout.trim();

        const second = await serve(["--port", String(first.port)]);
        expect(second.key).toBe(first.key);
        const ready = second.lines.find((line) => line.includes("the server is ready"));
        expect(ready).toMatch(/"adopted":1,"closed":1,"ended":0/);
        expect((await kept.getInfo()).endAt).toEqual(before.endAt);
        let output = "";
        const again = await kept.commands.connect(counting.pid, {
          onStdout: (text) => void (output += text),
        });
        await expect.poll(() => output, { timeout: 20_000 }).toMatch(/\d+\n\d+\n/);
        await again.disconnect();
        expect((await kept.commands.run("echo alive")).stdout).toBe("alive\n");
        await expect(Sandbox.getInfo(lost.sandboxId)).rejects.toThrow(/not found/);
        expect(await kept.kill()).toBe(true);
        expect(await running()).toEqual([byHand]);
        await cofferdam(["kill", byHand]);
        expect(await second.end("SIGTERM")).toBe(143);
        expect(readdirSync(join(stateDir, "machines"))).toEqual([]);
      },
    );

  test.skipIf(drivers.every(({ absent }) => absent !== undefined))(
    "in the middle of creations leaves nothing that no answer named",
    async () => {
      const first = await serve();
      tellClients(first);
      const makings = Array.from({ length: 6 }, () =>
        Sandbox.create("base").catch(() => undefined),
      );
      const one = await Promise.race(makings);
      await first.end("SIGKILL");
      const made = (await Promise.all(makings)).flatMap((each) => (each ? [each.sandboxId] : []));
      expect(made).toContain(one?.sandboxId);

      const second = await serve(["--port", String(first.port), "--end-sandboxes"]);
      const listed = await Sandbox.list().nextItems();
      expect(listed.map(({ sandboxId }) => sandboxId)).toEqual(expect.arrayContaining(made));
      await expect.poll(isSettled, { timeout: 100_000, interval: 2000 }).toBe(true);
      expect(await second.end("SIGTERM")).toBe(143);
      expect(await running()).toEqual([]);
    },
  );

  test("another server is not let into the state directory of one that runs", async () => {
    const first = await serve();
    await expect(serve()).rejects.toThrow(/another server has/);
    expect(await first.end("SIGTERM")).toBe(143);
  });

  test("beyond this host it does not listen without being forced", async () => {
    await expect(serve(["--host", "0.0.0.0", "--port", "0"])).rejects.toThrow(/nothing encrypts/);
  });
});
