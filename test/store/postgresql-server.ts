import { execFile } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const versions = "/usr/lib/postgresql";

/** A PostgreSQL server of these tests' own, reached by a unix socket in a directory that goes with it. */
export interface PostgresqlServer extends AsyncDisposable {
  /** Of a schema, which is where its unqualified names lie. */
  urlOf(schema: string): string;
}

/** Where the newest installed server's programs are, or why there is none. */
export function postgresqlPrograms(): { readonly directory: string } | { readonly absent: string } {
  const found = existsSync(versions) ? readdirSync(versions) : [];
  const newest = found.toSorted((left, right) => Number(right) - Number(left))[0];
  const directory = join(versions, newest ?? "", "bin");
  return newest !== undefined && existsSync(join(directory, "initdb"))
    ? { directory }
    : { absent: "no PostgreSQL server is installed here (Debian's package postgresql)" };
}

export async function startPostgresql(programs: string): Promise<PostgresqlServer> {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-postgresql-"));
  const data = join(directory, "data");
  const user = await serverUser();
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  const start = async (program: string, args: readonly string[]): Promise<void> => {
    await run(join(programs, program), args, {
      ...user,
      cwd: directory,
      env: { LC_ALL: "C.UTF-8" },
    });
  };
  const options = `-k ${directory} -c listen_addresses='' -c fsync=off -c max_connections=60`;
  try {
    await start("initdb", [
      "-D",
      data,
      "-U",
      "cofferdam",
      "-A",
      "trust",
      "-E",
      "UTF8",
      "--no-sync",
    ]);
    await start("pg_ctl", ["-w", "-D", data, "-l", join(directory, "log"), "-o", options, "start"]);
  } catch (cause) {
    rmSync(directory, { recursive: true, force: true });
    throw cause;
  }
  return {
    urlOf: (schema) =>
      `postgresql://cofferdam@localhost/postgres?host=${encodeURIComponent(directory)}` +
      `&options=${encodeURIComponent(`-c search_path=${schema}`)}`,
    [Symbol.asyncDispose]: async () => {
      await start("pg_ctl", ["-w", "-D", data, "-m", "immediate", "stop"]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses to run as root: then as the user that its package has made. `undefined`: as whoever we are. */
async function serverUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all(
    ["-u", "-g"].map(async (kind) => Number((await run("id", [kind, "postgres"])).stdout)),
  );
  if (uid === undefined || gid === undefined) throw new Error("there is no user postgres");
  return { uid, gid };
}
