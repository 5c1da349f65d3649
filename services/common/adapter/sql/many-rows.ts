import type { RowUpdate } from "./dialect.ts";
import type { SqlSession, SqlValue } from "./session.ts";

/** A statement of many rows ends at about this many bytes of text and blobs, so that it fits MySQL's packet. */
const MAX_STATEMENT_BYTES = 4 * 1024 * 1024;
/** And at this many rows, so that few texts of statements are ever prepared. */
const MAX_STATEMENT_ROWS = 500;

/** Inserts rows in as few statements as fit. A key that is there fails it, unless `keep` names a column of the key: then that row stays as it is. */
export async function insertRows(
  session: SqlSession,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly SqlValue[])[],
  keep?: string,
): Promise<void> {
  for (const chunk of chunks(rows, session.dialect.maxParameters)) {
    await session.execute(session.dialect.insert(table, columns, chunk.length, keep), chunk.flat());
  }
}

/** Updates rows by their keys; each of `rows` is the keys, then the values to set. Answers how many matched. */
export async function updateRows(
  session: SqlSession,
  update: RowUpdate,
  rows: readonly (readonly SqlValue[])[],
): Promise<number> {
  let matched = 0;
  for (const chunk of chunks(rows, session.dialect.maxParameters)) {
    const sql = session.dialect.updateMany(update, chunk.length);
    if (sql === null) matched += await updateEach(session, update, chunk);
    else matched += await session.execute(sql, chunk.flat());
  }
  return matched;
}

async function updateEach(
  session: SqlSession,
  update: RowUpdate,
  rows: readonly (readonly SqlValue[])[],
): Promise<number> {
  const set = update.set.map((column) => `${column} = ?`);
  if (update.also !== undefined) set.push(update.also);
  const where = update.keys.map((column) => `t.${column} = ?`);
  if (update.where !== undefined) where.push(update.where);
  const sql = `UPDATE ${update.table} AS t SET ${set.join(", ")} WHERE ${where.join(" AND ")}`;
  let matched = 0;
  for (const row of rows) {
    const keys = row.slice(0, update.keys.length);
    matched += await session.execute(sql, [...row.slice(update.keys.length), ...keys]);
  }
  return matched;
}

/** Cuts rows so that neither parameters nor bytes of a statement exceed their limits. */
export function* chunks(
  rows: readonly (readonly SqlValue[])[],
  maxParameters: number,
): Generator<readonly (readonly SqlValue[])[]> {
  let first = 0;
  let bytes = 0;
  for (const [index, row] of rows.entries()) {
    const size = sizeOf(row);
    const count = index - first;
    const full = count >= MAX_STATEMENT_ROWS || (count + 1) * row.length > maxParameters;
    if (count > 0 && (full || bytes + size > MAX_STATEMENT_BYTES)) {
      yield rows.slice(first, index);
      first = index;
      bytes = 0;
    }
    bytes += size;
  }
  if (first < rows.length) yield rows.slice(first);
}

/** About the bytes of a row in a statement: hex doubles a blob. */
function sizeOf(row: readonly SqlValue[]): number {
  let size = 0;
  for (const value of row) {
    if (typeof value === "string") size += value.length * 2 + 3;
    else if (value instanceof Uint8Array) size += value.length * 2 + 3;
    else size += 20;
  }
  return size;
}
