import { existsSync } from "node:fs";
import type { Command } from "commander";
import { SandboxError } from "../core/errors.ts";
import { requireRoot } from "./assemble.ts";
import { type Context, localHostOf, serverOf } from "./context.ts";
import { tokenIn } from "./serve/operator-token.ts";
import { type ServerClient, serverClient } from "./server-client.ts";
import { localSocketIn, serverDirectory } from "./server-store.ts";

/** The server that the options name, or else the one of this host's state directory. Throws `unavailable`. */
export function askedServer(command: Command, { interruption }: Context): ServerClient {
  const { signal } = interruption;
  const named = serverOf(command);
  if (named !== undefined) return serverClient(named, signal);
  requireRoot();
  const { stateDir } = localHostOf(command);
  const directory = serverDirectory(stateDir);
  const socketPath = localSocketIn(directory);
  const apiKey = tokenIn(directory);
  if (apiKey === undefined || !existsSync(socketPath))
    throw new SandboxError("unavailable", `no server of ${stateDir} runs`, {
      mend: "start one with cofferdam serve, or name one with --server URL",
    });
  return serverClient({ url: "http://localhost", apiKey, ca: undefined, socketPath }, signal);
}
