import type { Socket } from "node:net";
import { SandboxError } from "../../core/errors.ts";
import { parseJson } from "../../wire/json.ts";
import { lineDecoder } from "../../wire/lines.ts";

const longestLine = 1024 * 1024;

/** A conversation with an engine that runs nothing but our own kernel and agent. A machine in use has no monitor. */
export interface Monitor {
  /** Throws `internal` with what the engine says. */
  ask(command: string, fields?: Readonly<Record<string, unknown>>): Promise<unknown>;
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: SandboxError) => void;
}

/** Talks over a socket whose other end the engine has. */
export async function monitor(socket: Socket): Promise<Monitor> {
  const waiting: Waiting[] = [];
  const fail = (why: string): void => {
    for (const { reject } of waiting.splice(0))
      reject(new SandboxError("internal", `QEMU's monitor: ${why}`));
  };
  const lines = lineDecoder(longestLine);
  const take = (line: Uint8Array): void => {
    const said = parseJson(line);
    if (!isFields(said)) return;
    if ("return" in said) waiting.shift()?.resolve(said["return"]);
    else if ("error" in said)
      waiting
        .shift()
        ?.reject(new SandboxError("internal", `QEMU refused: ${JSON.stringify(said["error"])}`));
  };
  socket.on("data", (chunk: Buffer) => {
    try {
      for (const line of lines.push(chunk)) take(line);
    } catch (cause) {
      socket.destroy();
      fail(SandboxError.from(cause).message);
    }
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => fail("it is gone"));
  const ask: Monitor["ask"] = (command, fields = {}) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      socket.write(`${JSON.stringify({ execute: command, arguments: fields })}\n`);
    });
  await ask("qmp_capabilities");
  return { ask };
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
