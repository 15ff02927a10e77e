import { meanings, SandboxError } from "../../src/core/errors.ts";
import { templates } from "../../src/images/templates.ts";

/** Builds a template and prints each stage: `builder STATE-DIRECTORY RECIPE`. SIGINT aborts it. */
const [stateDir = "", recipe = ""] = process.argv.slice(2);
const abort = new AbortController();
process.once("SIGINT", () => abort.abort());
const shown = new Set<string>();
try {
  await templates(stateDir).build(recipe, {
    signal: abort.signal,
    onProgress({ stage }) {
      if (!shown.has(stage)) process.stdout.write(`${stage}\n`);
      shown.add(stage);
    },
  });
} catch (cause) {
  const { code, message } = SandboxError.from(cause);
  process.stderr.write(`${message}\n`);
  process.exitCode = meanings[code].exit;
}
