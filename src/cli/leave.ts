import { closeSync, openSync } from "node:fs";

/**
 * Ends the process.
 *
 * One whose terminal is gone ends by the hang-up itself: Node aborts when it cannot give a terminal its settings back.
 */
export function leave(exitCode: number): void {
  if (process.stdin.isTTY && !hasTerminal()) {
    process.removeAllListeners("SIGHUP");
    process.kill(process.pid, "SIGHUP");
  }
  process.exit(exitCode);
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && ["ENXIO", "EIO"].includes(String(cause.code)))
      return false;
    throw cause;
  }
}
