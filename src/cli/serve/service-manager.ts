import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SandboxError } from "../../core/errors.ts";
import type { Log } from "../../server/log.ts";

/** Tells systemd how the server is, where systemd has started it. Never rejects. */
export type ServiceManager = (state: "READY=1" | "STOPPING=1", status: string) => Promise<void>;

type Environment = Readonly<Record<string, string | undefined>>;

const patienceMs = 5000;

/** Node.js has no datagrams on unix sockets, so systemd's own program says it. */
export function serviceManager(environment: Environment, log: Log): ServiceManager {
  const socket = environment["NOTIFY_SOCKET"];
  if (socket === undefined || socket === "") return () => Promise.resolve();
  return async (state, status) => {
    const words = [`--pid=${process.pid}`, `--status=${status}`, state];
    const options = {
      timeout: patienceMs,
      env: { PATH: environment["PATH"], NOTIFY_SOCKET: socket },
    };
    try {
      await promisify(execFile)("systemd-notify", words, options);
    } catch (cause) {
      log("error", "systemd could not be told", {
        state,
        error: SandboxError.from(cause).message,
      });
    }
  };
}
