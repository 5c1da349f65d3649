/**
 * Dialect is what differs between the engines in statements that both run.
 * Rule 1: on MySQL rows are locked by SELECT … FOR UPDATE; SQLite has one
 * writer at a time, whose whole transaction is the lock.
 */
export interface Dialect {
  readonly kind: "mysql" | "sqlite";
  /** Locks the rows that a SELECT finds: " FOR UPDATE" or "". Goes last. */
  readonly forUpdate: string;
  /** The same, passing over rows that others hold (claims, rule 6): " FOR UPDATE SKIP LOCKED" or "". */
  readonly skipLocked: string;
  /** At most this many parameters in one statement. */
  readonly maxParameters: number;
  /** At most this many rows in one statement; 1 where the engine is quicker with one prepared statement a row. */
  readonly maxRows: number;
  /**
   * INSERT of `rowCount` rows, parameters row by row. With `keep`, a row whose
   * key is there stays as it is, and every other error still fails the
   * statement; `keep` names a column of the primary key. How many rows were
   * inserted cannot be told from the count: read back where it matters.
   */
  insert(table: string, columns: readonly string[], rowCount: number, keep?: string): string;
  /**
   * UPDATE of `rowCount` rows by their keys, parameters row by row. Call it
   * through `updateRows`, which cuts rows into statements.
   */
  updateMany(update: RowUpdate, rowCount: number): string;
  /** DELETE of at most `limit` rows that a condition on the table's own columns finds. */
  deleteSome(table: string, condition: string, limit: number): string;
  /** True when a row's parameters of updateMany are its values, then its keys; else keys, then values. */
  readonly valuesFirst: boolean;
}

/** An UPDATE that many rows share: which columns find a row and which are set. */
export type RowUpdate = {
  readonly table: string;
  /** Columns that find a row; all of them compared by `=`. */
  readonly keys: readonly string[];
  /** Columns that get new values. */
  readonly set: readonly string[];
  /** More of SET, on `t`, that is the same for all rows and has no parameters, such as "change_number = change_number + 1". */
  readonly also?: string;
  /** A condition on `t`, the table, that is the same for all rows and has no parameters, such as "t.state IN (3, 4)". */
  readonly where?: string;
};

/** "(?, ?), (?, ?)" for rows of so many columns. */
export function placeholders(columnCount: number, rowCount: number): string {
  const row = `(${Array(columnCount).fill("?").join(", ")})`;
  return Array(rowCount).fill(row).join(", ");
}

/** "?, ?, ?" for an IN list; never empty, as SQL forbids `IN ()`. */
export function inList(count: number): string {
  if (count < 1) throw new RangeError("an IN list needs at least one value");
  return Array(count).fill("?").join(", ");
}
