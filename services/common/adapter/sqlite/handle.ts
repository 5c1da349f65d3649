import { createRequire } from "node:module";

/** A prepared statement of better-sqlite3, as far as we use it. */
export type SqliteStatement = {
  all(params: readonly unknown[]): Readonly<Record<string, unknown>>[];
  run(params: readonly unknown[]): { readonly changes: number };
};

/** An open database of better-sqlite3, as far as we use it: the package has no types. Every call blocks. */
export type SqliteHandle = {
  prepare(sql: string): SqliteStatement;
  exec(sql: string): void;
  pragma(text: string): unknown;
  /** The whole database as bytes. */
  serialize(): Buffer;
  close(): void;
  readonly inTransaction: boolean;
};

type SqliteOptions = { readonly timeout: number; readonly fileMustExist?: boolean };
type SqliteConstructor = new (file: string | Buffer, options: SqliteOptions) => SqliteHandle;

/** What better-sqlite3 throws: `code` is "SQLITE_BUSY" and the like. */
export type SqliteError = Error & { readonly code: string };

/** Opens a file, ":memory:", or a database in memory from its bytes. */
export function openHandle(file: string | Buffer, timeoutMs: number): SqliteHandle {
  const Sqlite = createRequire(import.meta.url)("better-sqlite3") as SqliteConstructor;
  return new Sqlite(file, { timeout: timeoutMs });
}
