import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { serve } from "../server/serve.ts";
import { cofferdam, stateDir, subjects } from "./cofferdam.ts";

const [works] = (await subjects()).filter(({ absent }) => absent === undefined);

describe.skipIf(works === undefined)("the command line on a server with TLS", () => {
  test("works with the certificates that are named, and with no other", async () => {
    const secure = await serve(["--port", "0", "--end-sandboxes", "--dev-tls"]);
    try {
      const at = ["--server", secure.url, "--api-key-file", join(stateDir, "server/first-key")];
      const trusted = [...at, "--ca", join(stateDir, "server/dev-tls/ca.crt")];
      const ran = await cofferdam([...trusted, "run", "-c", "6 * 7"], { isAfar: true });
      expect(ran).toMatchObject({ code: 0, stdout: "42\n" });
      const refused = await cofferdam([...at, "ls"], { isAfar: true });
      expect(refused).toMatchObject({ code: 69, stdout: "" });
      expect(refused.stderr).toContain("certificate");
    } finally {
      await secure.end("SIGTERM");
    }
  });
});
