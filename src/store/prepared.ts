import type { SqliteDatabase, SqliteStatement } from "kysely";

/** Texts that are remembered at once: the store has fewer, but those of lists differ by their length. */
const mostTexts = 300;

/**
 * The database, with each text prepared once. A statement that failed is let go: one that met a lock stays open, and no
 * transaction can be committed beside it.
 */
export function rememberingStatements(database: SqliteDatabase): SqliteDatabase {
  const known = new Map<string, SqliteStatement>();
  const remember = (text: string): SqliteStatement => {
    const statement = database.prepare(text);
    const trying = <T>(act: () => T): T => {
      try {
        return act();
      } catch (cause) {
        known.delete(text);
        throw cause;
      }
    };
    const one: SqliteStatement = {
      reader: statement.reader,
      all: (values) => trying(() => statement.all(values)),
      run: (values) => trying(() => statement.run(values)),
      iterate: (values) => trying(() => statement.iterate(values)),
    };
    if (known.size >= mostTexts) known.clear();
    known.set(text, one);
    return one;
  };
  return {
    prepare: (text) => known.get(text) ?? remember(text),
    close() {
      known.clear();
      database.close();
    },
  };
}
