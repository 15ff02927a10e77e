// The edge of a script: what it throws becomes words and an exit code.
import process from "node:process";
import { red } from "./paint.mjs";
import { Failure, Interrupted } from "./run-process.mjs";
import { say } from "./stage.mjs";

/** Runs a script's main function; a number that it returns is the exit code. */
export async function program(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    say(`\n${red("✗")} ${wordsOf(error)}`);
    process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
  }
}

function wordsOf(error) {
  const isForPeople = error instanceof Failure || error instanceof Interrupted;
  return isForPeople ? error.message : (error.stack ?? String(error));
}
