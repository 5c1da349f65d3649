import { StoreUnavailable } from "../../port/store.ts";
import { StatementRefused } from "../sql/store-fault.ts";

/** Another process holds the file for a moment: run the transaction again. */
export class SqliteBusy extends StoreUnavailable {}

/** What better-sqlite3 threw, as the store's errors. What is nobody's but ours (a syntax error) stays as it is. */
export function sqliteFault(error: unknown): unknown {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return bindFault(error);
  const { code, message } = error;
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new SqliteBusy("the data file is locked by another process", { cause: error });
  }
  if (code.startsWith("SQLITE_CONSTRAINT") || code === "SQLITE_TOOBIG" || code === "SQLITE_MISMATCH") {
    return new StatementRefused(`the store refuses the row: ${message}`, { cause: error });
  }
  if (code !== "SQLITE_ERROR")
    return new StoreUnavailable(`the data file cannot be used: ${message}`, { cause: error });
  return error;
}

/** A value that SQLite cannot take is refused like a row that breaks a constraint. */
function bindFault(error: unknown): unknown {
  if (error instanceof RangeError)
    return new StatementRefused(`the store refuses the row: ${error.message}`, { cause: error });
  return error;
}
