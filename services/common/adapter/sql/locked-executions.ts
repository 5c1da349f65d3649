import { gateKeysOf } from "./execution-row.ts";
import { text } from "./row-reader.ts";
import type { Row, SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/** Rule 1: columns of executions, locked in the order of their identifiers; those that are not there are left out. */
export async function lockExecutions(session: SqlSession, columns: string, ids: readonly string[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const list of valueLists(ids.toSorted())) {
    rows.push(
      ...(await session.query(
        `SELECT ${columns} FROM executions WHERE execution_id IN (${list.sql})
          ORDER BY execution_id${session.dialect.forUpdate}`,
        list.values,
      )),
    );
  }
  return rows;
}

/** Rule 1: gate_keys never change, so they are read without a lock, and the gates are locked before the executions. */
export async function gateKeysOfExecutions(session: SqlSession, ids: readonly string[]): Promise<string[]> {
  const keys: string[] = [];
  for (const list of valueLists(ids)) {
    const rows = await session.query(
      `SELECT gate_keys FROM executions WHERE execution_id IN (${list.sql}) AND gate_keys IS NOT NULL`,
      list.values,
    );
    for (const row of rows) keys.push(...gateKeysOf(text(row, "gate_keys")));
  }
  return keys;
}
