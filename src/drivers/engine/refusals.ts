import { z } from "zod";
import { SandboxError } from "../../core/errors.ts";

const said = z.object({ message: z.string() });
const longest = 600;

/** What an Engine refused, typed where its words are known. */
export function engineRefusal(status: number, text: string): SandboxError {
  const message = messageOf(text);
  if (message === undefined)
    return new SandboxError("untrusted", `the Engine refused with status ${status} and no reason`);
  if (/no space left|disk quota exceeded/i.test(message))
    return new SandboxError("disk-full", `the Engine's disk is full: ${message}`, {
      mend: "free space where the Engine keeps its data: docker system df",
    });
  if (status === 403)
    return new SandboxError("denied", `the Engine refused: ${message}`, {
      mend: "see which plugin or proxy stands before the Engine",
    });
  if (status === 404) return new SandboxError("not-found", `the Engine has it not: ${message}`);
  return new SandboxError("internal", `the Engine refused: ${message}`);
}

function messageOf(text: string): string | undefined {
  try {
    return said.parse(JSON.parse(text)).message.slice(0, longest);
  } catch (cause) {
    if (cause instanceof SyntaxError || cause instanceof z.ZodError) return undefined;
    throw cause;
  }
}
