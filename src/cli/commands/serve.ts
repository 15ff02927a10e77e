import { once } from "node:events";
import { Command, Option } from "commander";
import { openAuditLog } from "../../audit/audit-log.ts";
import { invalid } from "../../core/validate.ts";
import { chooseDriver } from "../../library/choose-driver.ts";
import { type RunningServer, startServer } from "../../server/server.ts";
import { type Log, type LogFormat, type LogLevel, lineLog, logLevels } from "../../server/log.ts";
import { storeWatch } from "../../server/observe/measured.ts";
import { type Meters, meters } from "../../server/observe/meters.ts";
import type { Store } from "../../store/store.ts";
import { type LocalHost, requireRoot } from "../assemble.ts";
import { type Context, localHostOf } from "../context.ts";
import { firstKey } from "../first-key.ts";
import { packageVersion } from "../package-version.ts";
import { type Encryption, encryptionOf, trustText } from "../serve/encryption.ts";
import { type DoorFlags, refuseOpenDoor } from "../serve/open-door.ts";
import { keptOperatorToken } from "../serve/operator-token.ts";
import { serviceManager } from "../serve/service-manager.ts";
import { tracing } from "../serve/tracing.ts";
import { localSocketIn, serverDirectory, serverStore } from "../server-store.ts";
import { templateCatalog } from "../template-catalog.ts";
import type { Output } from "../terminal.ts";
import { parseNumber } from "../units.ts";

interface ServeFlags extends DoorFlags {
  readonly port: number;
  readonly domain?: string;
  readonly driver?: string;
  readonly endSandboxes?: true;
  readonly memoryOvercommit?: number;
  readonly diskOvercommit?: number;
  readonly logFormat: LogFormat["format"];
  readonly logLevel: LogLevel;
}

const examples = `
Examples:
  cofferdam serve
  E2B_API_KEY=$(cat /var/lib/cofferdam/server/first-key) \\
    E2B_API_URL=http://127.0.0.1:3999 E2B_SANDBOX_URL=http://127.0.0.1:3999 node my-e2b-program.mjs

  cofferdam serve --dev-tls                       a local authority and certificate, and how to trust them
  cofferdam serve --host 0.0.0.0 --port 443 --domain sandboxes.example.org \\
    --tls-cert fullchain.pem --tls-key privkey.pem

Sandboxes outlive the server: started again, it finds them. DATABASE_URL takes PostgreSQL instead of SQLite.
Log lines go to stderr. New certificate files are taken at once, also at a SIGHUP.`;

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
    .option("--tls-cert <file>", "speak TLS with this certificate and its chain, in PEM")
    .option("--tls-key <file>", "the certificate's key, in PEM")
    .option("--dev-tls", "speak TLS with a certificate of a local authority, made when missing")
    .option("--driver <name>", "of sandboxes for which nobody names one: auto, gvisor or runc")
    .option(
      "--memory-overcommit <factor>",
      "promise sandboxes at most so many times the host's memory in all; 1: their limits fit into it",
      factorOf("memory-overcommit"),
    )
    .option(
      "--disk-overcommit <factor>",
      "promise sandboxes at most so many times the host's disk in all, paused ones included",
      factorOf("disk-overcommit"),
    )
    .option("--end-sandboxes", "end all sandboxes when the server ends, instead of leaving them")
    .option("--force", "listen beyond this host although nothing encrypts what is said")
    .addOption(
      new Option("--log-format <format>", "a JSON document or text on each line")
        .choices(["json", "text"])
        .default("json"),
    )
    .addOption(
      new Option("--log-level <level>", "from which level on lines are written")
        .choices(logLevels)
        .default("info"),
    );
  return command
    .addHelpText("after", examples)
    .action((flags: ServeFlags) => serveUntilEnd(command, context, flags));
}

/** Serves until it is told to end. */
async function serveUntilEnd(command: Command, context: Context, flags: ServeFlags): Promise<void> {
  requireRoot();
  refuseOpenDoor(flags);
  const host = localHostOf(command);
  const { stdout, stderr } = context.terminal;
  const log = logTo(stderr, flags);
  const traces = await tracing(process.env, { version: packageVersion(), log });
  const encryption = await encryptionOf(flags, host.stateDir);
  const counts = meters(packageVersion());
  await using store = await serverStore(host.stateDir, storeWatch(counts));
  const directory = serverDirectory(host.stateDir);
  const key = await firstKey(store, directory);
  const operatorToken = keptOperatorToken(directory);
  const server = await start(host, store, { flags, log, encryption, counts, operatorToken });
  const stopFreshness = encryption.keepFresh(log);
  context.interruption.onHangUp(() => void server.reload());
  await stdout.write(`${server.url}\n`);
  if (key !== undefined) await stderr.write(`The first API key lies in ${key}\n`);
  if (encryption.authority !== undefined)
    await stderr.write(trustText(encryption.authority, server.domain));
  const tell = serviceManager(process.env, log);
  await tell("READY=1", `serving ${server.url}`);
  await aborted(context.interruption.signal);
  await tell("STOPPING=1", "sandboxes live on");
  stopFreshness();
  await server.stop({ endSandboxes: flags.endSandboxes === true });
  await traces?.stop();
}

function portOf(text: string): number {
  const port = parseNumber("port", text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw invalid("port", "expected a whole number from 0 to 65535", "0 takes any that is free");
}

function factorOf(name: string): (text: string) => number {
  return (text) => {
    const factor = parseNumber(name, text);
    if (factor > 0 && factor <= 10_000) return factor;
    throw invalid(name, "expected a number above 0, at most 10000");
  };
}

interface Starting {
  readonly flags: ServeFlags;
  readonly log: Log;
  readonly encryption: Encryption;
  readonly counts: Meters;
  readonly operatorToken: string;
}

async function start(
  host: LocalHost,
  store: Store,
  { flags, log, encryption, counts, operatorToken }: Starting,
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
    domain: encryption.domain,
    credentials: encryption.credentials,
    stateDir,
    store,
    audit: openAuditLog(store),
    drivers: await host.drivers("auto"),
    defaultDriver: driver.name,
    memoryOvercommit: flags.memoryOvercommit,
    diskOvercommit: flags.diskOvercommit,
    catalog: templateCatalog(host.templates),
    version: packageVersion(),
    operatorToken,
    localSocket: localSocketIn(serverDirectory(stateDir)),
    meters: counts,
    log,
  });
  const { port, domain, found } = server;
  log("info", "the server is ready", { host: flags.host, port, domain, ...found });
  return server;
}

function logTo(output: Output, { logFormat, logLevel }: ServeFlags): Log {
  return lineLog({ format: logFormat, level: logLevel }, (line) => void output.write(line));
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
