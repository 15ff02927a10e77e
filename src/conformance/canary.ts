import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";

/** Things of this host that no guest may find or reach. All of them carry one token. */
export interface Canary extends AsyncDisposable {
  readonly token: string;
  /** A file that anybody on the host may read; its name and content hold the token. */
  readonly file: string;
  /** Addresses that answer on this host: loopback, each of its cards, and sockets with the token in their names. */
  readonly addresses: readonly (readonly [kind: string, host: string, port: number])[];
  /** How many connections arrived. */
  visits(): number;
}

async function listening(
  server: Server,
  where: { port: number; host: string } | string,
): Promise<void> {
  if (typeof where === "string") server.listen(where);
  else server.listen(where);
  await once(server, "listening");
}

/** Plants a file, a process with the token in its arguments, and listeners on every address and on unix sockets. */
export async function plantCanary(): Promise<Canary> {
  const token = `canary${randomBytes(12).toString("hex")}`;
  const directory = await mkdtemp(join(tmpdir(), "conformance-"));
  const file = join(directory, `${token}.txt`);
  await writeFile(file, `content ${token}\n`);
  let visits = 0;
  const visited = (): void => {
    visits += 1;
  };
  const tcp = createServer((socket) => {
    visited();
    socket.on("error", () => undefined).destroy();
  });
  const abstract = createServer(visited);
  const named = createServer(visited);
  await listening(tcp, { host: "::", port: 0 });
  await listening(abstract, `\0${token}`);
  await listening(named, join(directory, `${token}.sock`));
  const bound = tcp.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const cards = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const bystander: ChildProcess = spawn("sh", ["-c", "sleep 600; exit", token], {
    stdio: "ignore",
  });
  return {
    token,
    file,
    addresses: [
      ...cards.map(
        (each) => [each.family === "IPv4" ? "tcp" : "tcp6", each.address, port] as const,
      ),
      ["unix", `@${token}`, 0],
      ["unix", join(directory, `${token}.sock`), 0],
    ],
    visits: () => visits,
    async [Symbol.asyncDispose]() {
      const over = once(bystander, "close");
      bystander.kill("SIGKILL");
      await over;
      for (const server of [tcp, abstract, named]) server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
