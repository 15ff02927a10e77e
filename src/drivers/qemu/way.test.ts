import { chmod, mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requireWay } from "./way.ts";

test("a directory that only its owner enters is named, with what lets engines through", async () => {
  const closed = await realpath(await mkdtemp(join(tmpdir(), "cofferdam-way-")));
  const inside = join(closed, "states");
  try {
    await mkdir(inside, { mode: 0o711 });
    await expect(requireWay(inside)).rejects.toMatchObject({
      code: "denied",
      field: "stateDir",
      mend: expect.stringContaining(`chmod o+x ${closed}`),
    });
    await chmod(closed, 0o711);
    await requireWay(inside);
  } finally {
    await rm(closed, { recursive: true });
  }
});
