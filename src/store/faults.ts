import { SandboxError } from "../core/errors.ts";

/** Runs the work; what a database throws leaves as a SandboxError. */
export async function withFaults<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw faultOf(cause);
  }
}

/** Whether the statement met a row of the same key. */
export function isDuplicate(cause: unknown): boolean {
  const code = codeOf(cause);
  return (
    code === "SQLITE_CONSTRAINT_PRIMARYKEY" ||
    code === "SQLITE_CONSTRAINT_UNIQUE" ||
    code === "23505"
  );
}

/** Whether the statement named a row of another table that is not there. */
export function isMissingReference(cause: unknown): boolean {
  const code = codeOf(cause);
  return code === "SQLITE_CONSTRAINT_FOREIGNKEY" || code === "23503";
}

/** What an error of either database means to the caller. */
export function faultOf(cause: unknown): SandboxError {
  if (cause instanceof SandboxError) return cause;
  const code = codeOf(cause);
  const fault = faults.find(({ codes }) => codes.test(code));
  if (fault === undefined) return SandboxError.from(cause, "the store failed");
  return new SandboxError(fault.code, fault.message, { mend: fault.mend, cause });
}

interface Fault {
  readonly codes: RegExp;
  readonly code: "unavailable" | "disk-full";
  readonly message: string;
  readonly mend: string;
}

/** SQLite's names, PostgreSQL's SQLSTATEs and Node's names of network errors; the first that matches counts. */
const faults: readonly Fault[] = [
  {
    codes: /^(SQLITE_BUSY|SQLITE_LOCKED|55P03$|40001$|40P01$|57014$)/,
    code: "unavailable",
    message: "the store is locked by another writer",
    mend: "try again; if it stays so, end the program that holds it",
  },
  {
    codes: /^(SQLITE_FULL|ENOSPC$|EDQUOT$|53100$)/,
    code: "disk-full",
    message: "the disk of the store is full",
    mend: "make room on the disk that holds the store",
  },
  {
    codes: /^(SQLITE_CORRUPT|SQLITE_NOTADB|XX001$|XX002$)/,
    code: "unavailable",
    message: "the store is damaged",
    mend: "restore the last backup, and keep the damaged file",
  },
  {
    codes: /^(SQLITE_(READONLY|CANTOPEN|PERM|AUTH)|EACCES$|EROFS$|EPERM$|ENOTDIR$|25006$)/,
    code: "unavailable",
    message: "the store cannot be opened for writing",
    mend: "give this user the right to write the store's directory and file",
  },
  {
    codes: /^(SQLITE_IOERR|EIO$|58030$)/,
    code: "unavailable",
    message: "the disk of the store reports errors",
    mend: "look into the kernel's log",
  },
  {
    codes: /^(28...|3D000|42501)$/,
    code: "unavailable",
    message: "PostgreSQL does not let the server in",
    mend: "check user, password and database of the store's URL",
  },
  {
    codes: /^closed$/,
    code: "unavailable",
    message: "the store is closed",
    mend: "the server is ending; start it again",
  },
  {
    codes:
      /^(08...|57P0.|53300|53400|ECONN.*|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|ENOENT|lost)$/,
    code: "unavailable",
    message: "the store cannot be reached",
    mend: "check that PostgreSQL runs and accepts connections at the store's URL",
  },
];

function codeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return "";
  if ("code" in cause && typeof cause.code === "string" && cause.code !== "") return cause.code;
  return codesByMessage.find(([message]) => message.test(cause.message))?.[1] ?? "";
}

/** Errors that the clients throw without a code. */
const codesByMessage: readonly (readonly [RegExp, string])[] = [
  [
    /^Connection terminated|timeout exceeded when trying to connect|^Client has encountered/,
    "lost",
  ],
  [/driver has already been destroyed|Cannot use a pool after calling end/, "closed"],
  [/Unable to open connection to local database/, "SQLITE_CANTOPEN"],
];
