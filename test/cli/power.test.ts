import { beforeEach, describe, expect, test } from "vitest";
import { cofferdam, running, subjects } from "./cofferdam.ts";

describe.each(await subjects())("pause, resume and snapshot on $name", ({ name, absent }) => {
  beforeEach(({ skip }) => {
    if (absent !== undefined) skip(`not run: ${absent}`);
  });

  test("a sandbox is paused, listed as such, resumed, made a snapshot of, and ended", async () => {
    const create = ["create", "--driver", name, "--template", "base"];
    const id = (await cofferdam(create)).stdout.trim();
    expect((await cofferdam(["pause", id, "--keep", "all"])).code).toBe(64);
    expect(await cofferdam(["pause", id, "--keep", "files"])).toMatchObject({
      code: 0,
      stdout: `${id}\n`,
    });
    expect((await cofferdam(["ls"])).stdout).toContain("paused");
    expect((await cofferdam(["pause", id])).code).toBe(73);
    expect(await cofferdam(["resume", id, "--lifetime", "10m"])).toMatchObject({
      code: 0,
      stdout: `${id}\n`,
    });
    expect((await cofferdam(["resume", id])).code).toBe(73);
    const snapshot = `cli-${name}`;
    expect(await cofferdam(["snapshot", "take", id, "--name", snapshot])).toMatchObject({
      code: 0,
      stdout: `${snapshot}\n`,
    });
    expect((await cofferdam(["snapshot", "ls"])).stdout).toContain(snapshot);
    expect((await cofferdam(["snapshot", "rm", snapshot])).code).toBe(0);
    expect((await cofferdam(["snapshot", "rm", snapshot])).code).toBe(66);
    expect((await cofferdam(["kill", id])).code).toBe(0);
    expect(await running()).toEqual([]);
  });
});
