import { parseSandboxOptions } from "../core/options.ts";
import type { Driver } from "../core/driver.ts";
import { jsonText } from "./report.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** Says what enforces each option of an ordinary sandbox on a driver. */
export async function enforcementTable(
  driver: Driver,
  { stdout }: Terminal,
  json: boolean,
): Promise<void> {
  const report = driver.enforcement(parseSandboxOptions({}));
  if (json) return stdout.write(jsonText(report));
  const rows = report.map(({ option, value, by, where, note }) => [
    option,
    value,
    where,
    note === undefined ? by : `${by} (${note})`,
  ]);
  return stdout.write(table(["OPTION", "VALUE", "WHERE", "BY"], rows));
}
