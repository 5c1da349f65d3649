import type { Dialect, RowUpdate } from "./dialect.ts";
import type { SqlSession, SqlValue } from "./session.ts";

/** A statement of many rows ends at about this many bytes, so that it fits MySQL's packet. */
const MAX_STATEMENT_BYTES = 4 * 1024 * 1024;

type Values = readonly SqlValue[];

/**
 * Inserts rows in as few statements as fit. A key that is there fails it,
 * unless `keep` names a column of the primary key: then that row stays as it
 * is.
 */
export async function insertRows(
  session: SqlSession,
  table: string,
  columns: readonly string[],
  rows: readonly Values[],
  keep?: string,
): Promise<void> {
  if (rows.length === 0) return;
  const { dialect } = session;
  if (dialect.maxRows === 1) {
    await session.executeEach(dialect.insert(table, columns, 1, keep), rows);
    return;
  }
  for (const chunk of chunks(rows, dialect)) {
    await session.execute(dialect.insert(table, columns, chunk.length, keep), chunk.flat());
  }
}

/** Updates rows by their keys; each of `rows` is the keys, then the values to set. Answers how many matched. */
export async function updateRows(session: SqlSession, update: RowUpdate, rows: readonly Values[]): Promise<number> {
  if (rows.length === 0) return 0;
  const { dialect } = session;
  const keyCount = update.keys.length;
  const ordered = dialect.valuesFirst ? rows.map((row) => [...row.slice(keyCount), ...row.slice(0, keyCount)]) : rows;
  if (dialect.maxRows === 1) return await session.executeEach(dialect.updateMany(update, 1), ordered);
  let matched = 0;
  for (const chunk of chunks(ordered, dialect)) {
    matched += await session.execute(dialect.updateMany(update, chunk.length), chunk.flat());
  }
  return matched;
}

/** Cuts rows so that no statement exceeds its limits of rows, parameters and bytes. */
export function* chunks(
  rows: readonly Values[],
  dialect: Pick<Dialect, "maxRows" | "maxParameters">,
): Generator<readonly Values[]> {
  let first = 0;
  let bytes = 0;
  for (const [index, row] of rows.entries()) {
    const size = sizeOf(row);
    const count = index - first;
    const full = count >= dialect.maxRows || (count + 1) * row.length > dialect.maxParameters;
    if (count > 0 && (full || bytes + size > MAX_STATEMENT_BYTES)) {
      yield rows.slice(first, index);
      first = index;
      bytes = 0;
    }
    bytes += size;
  }
  if (first < rows.length) yield rows.slice(first);
}

/** About the bytes of a row in a statement: hex doubles a blob, and text may be escaped. */
function sizeOf(row: Values): number {
  let size = 0;
  for (const value of row) {
    size += typeof value === "string" || value instanceof Uint8Array ? value.length * 2 + 3 : 20;
  }
  return size;
}
