import type { Row, SqlDatabase, SqlValue } from "./session.ts";

/** Pages of a sweep of leftovers, along a primary key. */

/** Rows looked at in one page. */
const MAX_ROWS = 100;

/** The next rows of a statement that has no LIMIT of its own. */
export function readPage(db: SqlDatabase, sql: string, params: readonly SqlValue[]): Promise<readonly Row[]> {
  return db.read("retention.leftovers", (session) => session.query(`${sql} LIMIT ${MAX_ROWS}`, params));
}

/** Where the next page begins; null when this was the last one. */
export function placeAfter(page: readonly Row[], placeOf: (row: Row) => string): string | null {
  const last = page.at(-1);
  return last === undefined || page.length < MAX_ROWS ? null : placeOf(last);
}
