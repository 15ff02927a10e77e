import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Programs that see one domain, and every name below it, lead to this host. */
export interface Names extends AsyncDisposable {
  /** Runs a program so; resolves with what it printed. Rejects with its complaints when it fails. */
  run(words: readonly string[], environment: Readonly<Record<string, string>>): Promise<string>;
}

/** A DNS server for one domain, and a mount namespace in which it is the one that programs ask. */
export async function namesBelow(domain: string, directory: string): Promise<Names> {
  const server = createSocket("udp4", (question, { port, address }) => {
    const answer = answerTo(question, domain);
    if (answer !== undefined) server.send(answer, port, address);
  });
  const address = `127.${1 + (process.pid % 250)}.${1 + (process.hrtime()[1] % 250)}.53`;
  server.bind(53, address);
  await once(server, "listening");
  const resolvers = join(directory, "resolv.conf");
  writeFileSync(resolvers, `nameserver ${address}\n`);
  return {
    run: (words, environment) => run(resolvers, words, environment),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

async function run(
  resolvers: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  const child = spawn("unshare", ["--mount", "sh", "-c", script, resolvers, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], ...environment },
  });
  const printed: Buffer[] = [];
  const complaints: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => printed.push(bytes));
  child.stderr.on("data", (bytes: Buffer) => complaints.push(bytes));
  await once(child, "close");
  if (child.exitCode === 0) return Buffer.concat(printed).toString();
  throw new Error(`${child.exitCode ?? child.signalCode}: ${Buffer.concat(complaints).toString()}`);
}

const typeA = 1;

/** The answer to a question for an IPv4 address: this host's for names of the domain, else that there is no such name. */
function answerTo(question: Buffer, domain: string): Buffer | undefined {
  const { name, end } = nameIn(question);
  if (end + 4 > question.length) return undefined;
  const isOurs = name === domain || name.endsWith(`.${domain}`);
  const hasAddress = isOurs && question.readUInt16BE(end) === typeA;
  const head = Buffer.from(question.subarray(0, 12));
  head.writeUInt16BE(isOurs ? 0x81_80 : 0x81_83, 2);
  head.writeUInt16BE(hasAddress ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1]);
  return Buffer.concat([head, question.subarray(12, end + 4), ...(hasAddress ? [record] : [])]);
}

function nameIn(question: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
    labels.push(question.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 };
}
