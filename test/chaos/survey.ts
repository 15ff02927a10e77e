import { existsSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import Database from "libsql";
import { z } from "zod";

/** Things of this host that belong to sandboxes of a state directory, each with the id of its sandbox. */
export type Survey = ReadonlyMap<string, readonly string[]>;

const row = z.object({ id: z.string(), what: z.string() });
const isId = /^i[a-z0-9]{20}$/;

/** Looks at processes, mounts, control groups, loop devices, sockets, directories, reservations and rows; asks nobody. */
export function survey(stateDir: string): Survey {
  const found = new Map<string, string[]>();
  const note = (id: string, what: string): void => {
    const known = found.get(id) ?? [];
    if (!known.includes(what)) known.push(what);
    found.set(id, known);
  };
  const digest = createHash("sha256").update(stateDir).digest("hex").slice(0, 8);
  const naming = new RegExp(`(?:${stateDir}/[a-z-]+|cofferdam/${digest})/(i[a-z0-9]{20})\\b`, "g");
  const noteAll = (said: string, what: string): void => {
    for (const [, id] of said.matchAll(naming)) note(id ?? "", what);
  };
  processesAndMounts(noteAll);
  for (const name of names("/sys/block"))
    noteAll(text(`/sys/block/${name}/loop/backing_file`), `loop device ${name}`);
  noteAll(text("/proc/net/unix"), "a socket");
  for (const hierarchy of ["", ...names("/sys/fs/cgroup")])
    for (const id of directories(join("/sys/fs/cgroup", hierarchy, "cofferdam", digest)))
      note(id, `control group of ${hierarchy || "version 2"}`);
  for (const name of names("/run/cofferdam-ids"))
    noteAll(link(`/run/cofferdam-ids/${name}`), "a range of user ids");
  const kept = new Set(["ended", "templates", "server"]);
  for (const below of directories(stateDir).filter((name) => !kept.has(name)))
    for (const id of directories(join(stateDir, below)).filter((name) => isId.test(name)))
      note(id, `directory of ${below}`);
  rows(stateDir, note);
  return found;
}

function processesAndMounts(noteAll: (text: string, what: string) => void): void {
  const namespaces = new Set<string>();
  for (const pid of names("/proc").filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    const at = `/proc/${pid}`;
    const argv = text(`${at}/cmdline`).replaceAll("\0", " ");
    const said = `${argv} ${text(`${at}/cgroup`)} ${link(`${at}/cwd`)}`;
    noteAll(said, `process ${pid}: ${argv.slice(0, 100)}`);
    const namespace = link(`${at}/ns/mnt`);
    if (namespace === "" || namespaces.has(namespace)) continue;
    namespaces.add(namespace);
    noteAll(text(`${at}/mountinfo`), `a mount in the namespace of process ${pid}`);
  }
}

function rows(stateDir: string, note: (id: string, what: string) => void): void {
  const file = join(stateDir, "server/store.sqlite");
  if (!existsSync(file)) return;
  const database = new Database(file, { readonly: true });
  try {
    const open = "select id, state as what from sandboxes where state <> 'ended'";
    const secrets = "select sandbox_id as id, 'secrets' as what from sandbox_secrets";
    for (const statement of [open, secrets])
      for (const { id, what } of row.array().parse(database.prepare(statement).all()))
        note(id, `a row: ${what}`);
  } finally {
    database.close();
  }
}

/** What a read gives; nothing where the file vanished: a process may end while it is looked at. */
function text(path: string): string {
  return orEmpty(() => readFileSync(path, "latin1"), "");
}

function link(path: string): string {
  return orEmpty(() => readlinkSync(path), "");
}

function names(path: string): readonly string[] {
  return orEmpty(() => readdirSync(path), []);
}

function directories(path: string): readonly string[] {
  const entries = orEmpty(() => readdirSync(path, { withFileTypes: true }), []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

function orEmpty<T>(read: () => T, empty: T): T {
  try {
    return read();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    if (["ENOENT", "ESRCH", "EINVAL", "ENOTDIR", "EACCES"].includes(code)) return empty;
    throw cause;
  }
}
