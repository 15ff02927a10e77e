import { closeSync, fstatSync, openSync, constants } from "node:fs";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";
import { cancelled, notAborted } from "../../core/validate.ts";
import { systemCode } from "../../images/file-errors.ts";
import type { EngineCall } from "../microvm/engine.ts";

/** The API of one Firecracker. */
export interface EngineApi extends Disposable {
  /** Throws `unavailable` with what Firecracker says. */
  ask(call: EngineCall): Promise<void>;
}

const faultSchema = z.object({ fault_message: z.string() });
const longestAnswer = 65_536;
const pauseMs = 5;
/** Opens what a path names, and neither reads it nor follows a link. Linux's O_PATH. */
const nameOnly = 0o10000000 | constants.O_NOFOLLOW;

/**
 * Waits for Firecracker's socket and speaks with it. The directory is Firecracker's own: what lies at the path must be a socket and
 * no link. Throws `cancelled`.
 */
export async function engineApi(path: string, signal: AbortSignal): Promise<EngineApi> {
  const descriptor = await socketAt(path, signal);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const socketPath = `/proc/self/fd/${descriptor}`;
  return {
    ask: (call) => ask(call, { agent, socketPath, signal }),
    [Symbol.dispose]: () => {
      agent.destroy();
      closeSync(descriptor);
    },
  };
}

async function socketAt(path: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    notAborted(signal);
    const found = openSocket(path);
    if (found !== undefined) return found;
    await sleep(pauseMs);
  }
}

function openSocket(path: string): number | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, nameOnly);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
  if (fstatSync(descriptor).isSocket()) return descriptor;
  closeSync(descriptor);
  throw new SandboxError("untrusted", "Firecracker's socket is something else");
}

interface Way {
  readonly agent: Agent;
  readonly socketPath: string;
  readonly signal: AbortSignal;
}

function ask({ method, path, body }: EngineCall, way: Way): Promise<void> {
  const text = JSON.stringify(body);
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void =>
      reject(
        way.signal.aborted
          ? cancelled(way.signal)
          : new SandboxError("unavailable", `Firecracker does not answer: ${cause.message}`, {
              cause,
            }),
      );
    const asked = request({ ...way, method, path, headers }, (answer) => {
      let said = "";
      answer.setEncoding("latin1");
      answer.on("data", (chunk: string) => {
        said += chunk;
        if (said.length > longestAnswer) asked.destroy(new Error("its answer is too long"));
      });
      answer.on("error", failed);
      answer.on("end", () => {
        const status = answer.statusCode ?? 0;
        if (status >= 200 && status < 300) resolve();
        else reject(refusal(path, status, said));
      });
    });
    asked.on("error", failed);
    asked.end(text);
  });
}

function refusal(path: string, status: number, said: string): SandboxError {
  const fault = faultOf(said) ?? `status ${status}`;
  return new SandboxError("unavailable", `Firecracker refused ${path}: ${fault}`);
}

/** What an answer gives as its reason; `undefined` for one that is none of Firecracker's. */
function faultOf(said: string): string | undefined {
  let fault: string;
  try {
    fault = faultSchema.parse(JSON.parse(Buffer.from(said, "latin1").toString())).fault_message;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
  return fault.replace(/[^\x20-\x7e]+/g, " ").slice(0, 500);
}
