import { request } from "node:http";
import { CommandExitError, Sandbox, TimeoutError } from "e2b";
import { Sandbox as Older } from "e2b-2-45";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { subjects } from "../cli/cofferdam.ts";
import { isSdk, served } from "./serve.ts";

const drivers = await subjects();
const sdks: readonly (readonly [string, unknown])[] = [
  ["e2b 2.51", Sandbox],
  ["e2b 2.45", Older],
];
const server = served();

/** An answer of a port of the guest, asked for by its host name. */
function byHost(
  host: string,
  headers: Record<string, string> = {},
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: "127.0.0.1", port: server.now().port, path: "/hello", headers: { host, ...headers } },
      (answer) => {
        let body = "";
        answer.setEncoding("utf8");
        answer.on("data", (text: string) => void (body += text));
        answer.on("end", () => resolve({ status: answer.statusCode, body }));
      },
    );
    asked.on("error", reject);
    asked.end();
  });
}

const program = `python3 -c "
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write((self.path + ' for ' + self.headers['Host']).encode())
http.server.HTTPServer(('127.0.0.1', 8000), Handler).serve_forever()"`;

for (const { name: driver, absent } of drivers)
  describe.skipIf(absent !== undefined).each(sdks)(`commands on ${driver} by %s`, (_, sdk) => {
    if (!isSdk(sdk)) throw new Error("not an SDK");
    const metadata = { "cofferdam.driver": driver };
    let sandbox: Sandbox;
    beforeAll(async () => {
      sandbox = await sdk.create("code-interpreter", { metadata, timeoutMs: 300_000 });
    });
    afterAll(async () => {
      await sandbox.kill();
    });

    test("one in the foreground gives its output and its code, in its directory, as its user", async () => {
      const options = { cwd: "/tmp", user: "root", envs: { WORD: "wörd" } };
      const { stdout, stderr, exitCode } = await sandbox.commands.run(
        "pwd; id -un; echo $WORD; echo wrong >&2",
        options,
      );
      expect([stdout, stderr, exitCode]).toEqual(["/tmp\nroot\nwörd\n", "wrong\n", 0]);
      const failed = await sandbox.commands
        .run("echo out; exit 3")
        .catch((error: unknown) => error);
      expect(failed).toMatchObject({ name: CommandExitError.name, exitCode: 3, stdout: "out\n" });
    });

    test("one in the background is listed, fed, and killed", async () => {
      let output = "";
      const handle = await sandbox.commands.run("cat; echo over", {
        background: true,
        stdin: true,
        onStdout: (text) => void (output += text),
      });
      expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(handle.pid);
      await sandbox.commands.sendStdin(handle.pid, "fed\n");
      await expect.poll(() => output, { timeout: 20_000 }).toBe("fed\n");
      await sandbox.commands.closeStdin(handle.pid);
      expect((await handle.wait()).stdout).toBe("fed\nover\n");
      const sleeping = await sandbox.commands.run("sleep 100", { background: true });
      expect(await sleeping.kill()).toBe(true);
      await expect(sleeping.wait()).rejects.toThrow(/killed|signal|exit/i);
      expect(await sandbox.commands.kill(sleeping.pid)).toBe(false);
    });

    test("one that takes too long is ended; one whose reader leaves is not", async () => {
      await expect(sandbox.commands.run("sleep 100", { timeoutMs: 1000 })).rejects.toThrow(
        new RegExp(`${TimeoutError.name}|timeout|deadline`, "i"),
      );
      const handle = await sandbox.commands.run("sleep 1; echo lived > /tmp/lived", {
        background: true,
      });
      await handle.disconnect();
      const read = (): Promise<string> => sandbox.files.read("/tmp/lived").catch(() => "");
      await expect.poll(read, { timeout: 20_000 }).toBe("lived\n");
    });

    test("a lot of output comes whole", async () => {
      const { stdout } = await sandbox.commands.run("seq 1 200000");
      expect(stdout.length).toBe(1_288_895);
      expect(stdout.endsWith("\n200000\n")).toBe(true);
    });

    test("a terminal takes input, a size, and ends", async () => {
      let screen = "";
      const decoder = new TextDecoder();
      const terminal = await sandbox.pty.create({
        cols: 80,
        rows: 24,
        onData: (bytes) => void (screen += decoder.decode(bytes, { stream: true })),
      });
      const type = (text: string): Promise<void> =>
        sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode(text));
      await sandbox.pty.resize(terminal.pid, { cols: 100, rows: 30 });
      await type("stty size; echo $TERM\n");
      await expect.poll(() => screen, { timeout: 20_000 }).toMatch(/30 100\r\nxterm-256color/);
      await type("exit 0\n");
      expect((await terminal.wait()).exitCode).toBe(0);
    });

    test("a port is reached by its host name, and one that is closed says so", async () => {
      await sandbox.commands.run(program, { background: true });
      const host = sandbox.getHost(8000);
      expect(host).toBe(`8000-${sandbox.sandboxId}.localhost:${server.now().port}`);
      await expect
        .poll(() => byHost(host), { timeout: 20_000 })
        .toEqual({ status: 200, body: `/hello for ${host}` });
      const closed = await byHost(sandbox.getHost(8001));
      expect(closed.status).toBe(502);
      expect(JSON.parse(closed.body)).toMatchObject({ code: 502, port: 8001 });
    });

    test("ports of a private sandbox ask for its traffic token", async () => {
      const network = { allowPublicTraffic: false, maskRequestHost: "localhost:${PORT}" };
      const hidden = await sdk.create("code-interpreter", { metadata, network });
      try {
        expect(hidden.trafficAccessToken).toMatch(/^[0-9a-f]{64}$/);
        await hidden.commands.run(program, { background: true });
        const host = hidden.getHost(8000);
        const headers = { "e2b-traffic-access-token": hidden.trafficAccessToken ?? "" };
        await expect
          .poll(() => byHost(host, headers), { timeout: 20_000 })
          .toEqual({ status: 200, body: "/hello for localhost:8000" });
        expect((await byHost(host)).status).toBe(403);
        expect((await byHost(host, { "e2b-traffic-access-token": "wrong" })).status).toBe(403);
        const found = await sdk.connect(hidden.sandboxId);
        expect(found.trafficAccessToken).toBe(hidden.trafficAccessToken);
        expect((await found.commands.run("echo in")).stdout).toBe("in\n");
      } finally {
        await hidden.kill();
      }
    });
  });
