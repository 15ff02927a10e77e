import { once } from "node:events";
import { isIP } from "node:net";
import { Command } from "commander";
import { openAuditLog } from "../../audit/audit-log.ts";
import { SandboxError } from "../../core/errors.ts";
import { invalid } from "../../core/validate.ts";
import { chooseDriver } from "../../library/choose-driver.ts";
import { type RunningServer, startServer } from "../../server/server.ts";
import type { Log } from "../../server/log.ts";
import type { Store } from "../../store/store.ts";
import { type Host, requireRoot } from "../assemble.ts";
import { type Context, hostOf } from "../context.ts";
import { firstKey } from "../first-key.ts";
import { packageVersion } from "../package-version.ts";
import { serverDirectory, serverStore } from "../server-store.ts";
import { templateCatalog } from "../template-catalog.ts";
import type { Output } from "../terminal.ts";
import { parseNumber } from "../units.ts";

interface ServeFlags {
  readonly host: string;
  readonly port: number;
  readonly domain?: string;
  readonly driver?: string;
  readonly force?: true;
  readonly endSandboxes?: true;
  readonly memoryOvercommit?: number;
}

const examples = `
Examples:
  cofferdam serve
  E2B_API_KEY=$(cat /var/lib/cofferdam/server/first-key) \\
    E2B_API_URL=http://127.0.0.1:3999 E2B_SANDBOX_URL=http://127.0.0.1:3999 node my-e2b-program.mjs

Sandboxes outlive the server: started again, it finds them. DATABASE_URL takes PostgreSQL instead of SQLite.
Log lines go to stderr, each a JSON document.`;

/** `cofferdam serve` */
export function serveCommand(context: Context): Command {
  const command = new Command("serve")
    .description("serve sandboxes to everything that knows E2B, on one port")
    .option("--host <address>", "where to listen", "127.0.0.1")
    .option("--port <number>", "where to listen; 0: any that is free", portOf, 3999)
    .option(
      "--domain <name>",
      "below which sandboxes have host names (default: localhost and the port)",
    )
    .option("--driver <name>", "of sandboxes for which nobody names one: auto, gvisor or runc")
    .option(
      "--memory-overcommit <factor>",
      "promise sandboxes at most so many times the host's memory in all; 1: their limits fit into it",
      factorOf,
    )
    .option("--end-sandboxes", "end all sandboxes when the server ends, instead of leaving them")
    .option("--force", "listen beyond this host although nothing encrypts what is said");
  return command.addHelpText("after", examples).action(async (flags: ServeFlags) => {
    requireRoot();
    refuseOpenDoor(flags);
    const host = hostOf(command);
    const { stderr } = context.terminal;
    await using store = await serverStore(host.stateDir);
    const key = await firstKey(store, serverDirectory(host.stateDir));
    const server = await start(host, store, { flags, log: jsonLog(stderr) });
    const url = `http://${urlHost(flags.host)}:${server.port}`;
    await context.terminal.stdout.write(`${url}\n`);
    if (key !== undefined) await stderr.write(`The first API key lies in ${key}\n`);
    await aborted(context.interruption.signal);
    await server.stop({ endSandboxes: flags.endSandboxes === true });
  });
}

function portOf(text: string): number {
  const port = parseNumber("port", text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw invalid("port", "expected a whole number from 0 to 65535");
}

function factorOf(text: string): number {
  const factor = parseNumber("memory-overcommit", text);
  if (factor >= 0.01 && factor <= 10_000) return factor;
  throw invalid("memory-overcommit", "expected a number from 0.01 to 10000");
}

/** Keys would go over the network as anybody can read them. */
function refuseOpenDoor({ host, force }: ServeFlags): void {
  if (force === true || host === "localhost" || isLoopback(host)) return;
  throw new SandboxError(
    "denied",
    `${host} is beyond this host, and nothing encrypts what is said`,
    {
      field: "host",
      mend: "put a proxy with TLS before 127.0.0.1, or say --force where the network is yours alone",
    },
  );
}

function isLoopback(host: string): boolean {
  return isIP(host) === 4 ? host.startsWith("127.") : host === "::1";
}

function urlHost(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

async function start(
  host: Host,
  store: Store,
  { flags, log }: { readonly flags: ServeFlags; readonly log: Log },
): Promise<RunningServer> {
  const { stateDir } = host;
  const { driver, choice } = await chooseDriver(flags.driver, host);
  log("info", "sandboxes run on a driver unless told otherwise", {
    driver: driver.name,
    reason: choice.reason,
  });
  const server = await startServer({
    host: flags.host,
    port: flags.port,
    domain: flags.domain,
    stateDir,
    store,
    audit: openAuditLog(store),
    drivers: await host.drivers("auto"),
    defaultDriver: driver.name,
    memoryOvercommit: flags.memoryOvercommit,
    catalog: templateCatalog(host.templates),
    version: packageVersion(),
    log,
  });
  const { port, domain, found } = server;
  log("info", "the server is ready", { host: flags.host, port, domain, ...found });
  return server;
}

function jsonLog(output: Output): Log {
  return (level, message, facts = {}) => {
    const line = JSON.stringify({ time: new Date().toISOString(), level, message, ...facts });
    void output.write(`${line}\n`);
  };
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
