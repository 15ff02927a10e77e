import { type ErrorCode, SandboxError } from "../../src/core/errors.ts";

/** The code of the SandboxError that the act throws; `undefined` when it throws none. Any other error is rethrown. */
export function codeThrownBy(act: () => unknown): ErrorCode | undefined {
  try {
    act();
    return undefined;
  } catch (cause) {
    if (cause instanceof SandboxError) return cause.code;
    throw cause;
  }
}

/** The SandboxError that the promise rejects with. Throws when it does not, and any other error as it is. */
export async function refusalOf(promise: Promise<unknown>): Promise<SandboxError> {
  try {
    await promise;
  } catch (cause) {
    if (cause instanceof SandboxError) return cause;
    throw cause;
  }
  throw new Error("it was not refused");
}
