import { once } from "node:events";
import { rmSync } from "node:fs";
import { type RequestListener, createServer } from "node:http";
import { SandboxError } from "../core/errors.ts";
import { dataServerOptions } from "./data/server-options.ts";
import type { Log } from "./log.ts";

/** Longer paths are no address of a socket. Bytes. */
const longestPath = 107;

/**
 * Lets this host's own commands ask the control plane through a file, whatever port and certificate the server has. Who may
 * is decided by the directory that the file lies in, and then as for everybody. Returns what shuts it.
 */
export async function openLocalDoor(
  path: string,
  listener: RequestListener,
  log: Log,
): Promise<() => void> {
  const server = createServer(dataServerOptions, listener);
  server.maxConnections = 16;
  try {
    if (Buffer.byteLength(path) > longestPath) throw new RangeError("the path is too long");
    rmSync(path, { force: true });
    server.listen(path);
    await once(server, "listening");
  } catch (cause) {
    log("warn", "commands of this host cannot ask the server by its socket", {
      path,
      error: SandboxError.from(cause).message,
    });
  }
  return () => {
    server.close();
    server.closeAllConnections();
  };
}
