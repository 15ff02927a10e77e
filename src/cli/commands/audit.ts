import { Command } from "commander";
import type { AuditRecord } from "../../audit/audit-record.ts";
import { invalid } from "../../core/validate.ts";
import { type AuditBook, auditBook } from "../audit-book.ts";
import type { Context } from "../context.ts";
import { jsonText } from "../report.ts";
import { table } from "../table.ts";
import { parseMilliseconds, parseNumber } from "../units.ts";
import { visibleText } from "../visible-text.ts";

interface ListFlags {
  readonly since?: string;
  readonly until?: string;
  readonly tenant?: string;
  readonly sandbox?: string;
  readonly action?: string;
  readonly result?: string;
  readonly limit: number;
  readonly json?: true;
}

const examples = `
Examples:
  cofferdam audit ls --since 1h --action sandbox.create --result ok
  cofferdam audit ls --sandbox i0a1b… --json
  cofferdam audit verify --expect 4711:9f86d0…         also that nothing before that record was changed`;

/** `cofferdam audit` */
export function auditCommand(context: Context): Command {
  return new Command("audit")
    .description("the record of what happened on the server: look into it, and verify it")
    .addHelpText("after", examples)
    .addCommand(list(context))
    .addCommand(verify(context));
}

function list(context: Context): Command {
  const command = new Command("ls")
    .alias("list")
    .description("list records, newest first")
    .option("--since <time>", "2026-01-31, 2026-01-31T12:00:00Z, or how long ago: 1h, 2d", timeOf)
    .option("--until <time>", "the same", timeOf)
    .option("--tenant <name>", "only those of one tenant, by name or id")
    .option("--sandbox <id>", "only those of one sandbox")
    .option("--action <name>", "only those of one kind, such as sandbox.create")
    .option("--result <word>", "only those that ended so: ok, a status, an error code, a reason")
    .option("--limit <number>", "how many; 0: all", limitOf, 100)
    .option("--json", "print one JSON document a line");
  return command.action(async (flags: ListFlags) => {
    await using book = await auditBook(command, context);
    const { stdout } = context.terminal;
    const rows: AuditRecord[] = [];
    for await (const record of found(book, flags)) {
      if (flags.json === true) await stdout.write(`${JSON.stringify(record)}\n`);
      else rows.push(record);
    }
    if (flags.json !== true) await stdout.write(recordTable(rows));
  });
}

const mostAtOnce = 1000;

/** Follows the pages until there are enough. */
async function* found(book: AuditBook, flags: ListFlags): AsyncGenerator<AuditRecord> {
  const { since, until, tenant, sandbox, action, result } = flags;
  const wanted = flags.limit === 0 ? Number.POSITIVE_INFINITY : flags.limit;
  const tenantId = tenant === undefined ? undefined : await book.tenantId(tenant);
  const query = { since, until, tenantId, sandboxId: sandbox, action, result };
  let token: string | undefined;
  let given = 0;
  do {
    const limit = Math.min(wanted - given, mostAtOnce);
    const page = await book.page({ ...query, limit, token });
    yield* page.records;
    given += page.records.length;
    token = page.nextToken;
  } while (token !== undefined && given < wanted);
}

function recordTable(records: readonly AuditRecord[]): string {
  return table(
    ["NUMBER", "TIME", "ACTION", "RESULT", "SANDBOX", "BY", "FROM", "DETAILS"],
    records.map(({ seq, at, action, result, sandboxId, actor, from, details }) => [
      String(seq),
      at,
      action,
      result,
      sandboxId ?? "",
      actor,
      from ?? "",
      visibleText(
        Object.entries(details)
          .map(([name, value]) => `${name}=${value}`)
          .join(" "),
        80,
      ),
    ]),
  );
}

function verify(context: Context): Command {
  const command = new Command("verify")
    .description("read the whole chain of records, and say where it breaks")
    .option("--expect <number:hash>", "an end of the chain that was kept elsewhere", headOf)
    .option("--json", "print one JSON document");
  return command.action(
    async (flags: { readonly expect?: ReturnType<typeof headOf>; readonly json?: true }) => {
      await using book = await auditBook(command, context);
      const verdict = await book.verify(flags.expect);
      if (!verdict.ok) context.exitWith(brokenExitCode);
      const text = verdict.ok
        ? `The record is whole: ${verdict.head.seq} entries.\nIts end, to be kept elsewhere: ${verdict.head.seq}:${verdict.head.hash}\n`
        : `The record is broken at entry ${verdict.seq} (${verdict.fault}): ${verdict.reason}\n`;
      await context.terminal.stdout.write(flags.json === true ? jsonText(verdict) : text);
    },
  );
}

/** As for data that cannot be trusted. */
const brokenExitCode = 76;

function headOf(text: string): { readonly seq: number; readonly hash: string } {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq !== undefined && hash !== undefined && Number(seq) > 0) return { seq: Number(seq), hash };
  throw invalid("expect", "expected NUMBER:HASH", "give what audit verify printed before");
}

function limitOf(text: string): number {
  const limit = parseNumber("limit", text);
  if (Number.isSafeInteger(limit)) return limit;
  throw invalid("limit", "expected a whole number");
}

/** A moment, or how long ago it was. */
function timeOf(text: string): string {
  const isMoment = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text);
  if (isMoment && !Number.isNaN(Date.parse(text))) return new Date(text).toISOString();
  return new Date(Date.now() - parseMilliseconds("since", text)).toISOString();
}
