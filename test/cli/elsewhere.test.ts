import { expect, test } from "vitest";
import { served } from "../server/serve.ts";
import { cofferdam } from "./cofferdam.ts";

const server = served();

test("--driver e2b makes a sandbox at a service elsewhere, without root, and says how it ended", async () => {
  expect(server.now().url).toMatch(/^http/);
  const words = ["exec", "--driver", "e2b", "--template", "base", "--", "sh", "-c"];
  const ran = await cofferdam([...words, "cat; id -un; exit 7"], {
    input: "sent in\n",
    uid: 65_534,
  });
  expect([ran.stdout, ran.code]).toEqual(["sent in\nuser\n", 7]);
  const { stdout } = await cofferdam(["ls", "--driver", "e2b", "--json"]);
  expect(JSON.parse(stdout)).toEqual([]);
});

test("a detached one is found, used and ended by its id", async () => {
  const made = await cofferdam(["create", "--driver", "e2b", "--template", "base"]);
  const id = made.stdout.trim();
  const ran = await cofferdam(["exec", "--driver", "e2b", id, "--", "hostname"]);
  expect(ran.stdout).toBe(`${id}\n`);
  const killed = await cofferdam(["kill", "--driver", "e2b", id]);
  expect([killed.stdout, killed.code]).toEqual([`${id}\n`, 0]);
});

test("a service is listed by doctor where there is a key for it, and is never taken by itself", async () => {
  const { stdout } = await cofferdam(["doctor", "--json"]);
  const { drivers }: { drivers: readonly { name: string; ok: boolean; isolation: string }[] } =
    JSON.parse(stdout);
  expect(drivers.at(-1)).toMatchObject({ name: "e2b", ok: true, isolation: "hosted" });
  const { stderr } = await cofferdam(["exec", "-v", "--template", "base", "--", "true"]);
  expect(stderr).toMatch(/^driver: (gvisor|runc), because it is the strongest/m);
});

test("a key that is not good, and a service that is not there, are told with the mend", async () => {
  process.env["E2B_API_KEY"] = "e2b_0000";
  expect(await cofferdam(["ls", "--driver", "e2b"])).toMatchObject({ code: 77 });
  process.env["E2B_API_URL"] = "http://127.0.0.1:1";
  const gone = await cofferdam(["ls", "--driver", "e2b"]);
  expect([gone.code, /mend: /.test(gone.stderr)]).toEqual([69, true]);
});
