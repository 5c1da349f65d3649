import type { ExecutionId } from "../../domain/identifier.ts";
import { insertLabels } from "./execution-labels.ts";
import { BASIC_COLUMNS, executionOf } from "./execution-row.ts";
import { lockExecutions } from "./locked-executions.ts";
import { text } from "./row-reader.ts";
import type { SqlDatabase, SqlSession } from "./session.ts";
import { noteEnds } from "./unsuccessful-ends.ts";
import { valueLists } from "./value-list.ts";

/**
 * While processes of an older version still write to a store that is of this
 * one, what they store, end and delete lacks rows that lists find it by, or
 * leaves them. This walk writes what is missing and deletes what is left over;
 * of what is right it changes nothing, so that it may be run at any time.
 */

/** Executions in one transaction. */
const MAX_RELISTED = 250;
/** Executions that are gone and are forgotten in one transaction, of each list. */
const MAX_ORPHANS = 2_000;
/** Rows beside executions, by their identifier. */
const LISTS = ["unsuccessful_ends", "execution_labels"] as const;

/** Mends the rows of the first executions after a place; answers the place of the next call, null when they were the last. */
export function relist(db: SqlDatabase, after: ExecutionId | null): Promise<ExecutionId | null> {
  return db.transact("relist", async (session) => {
    const found = await session.query(
      "SELECT execution_id FROM executions WHERE execution_id > ? ORDER BY execution_id LIMIT ?",
      [after ?? "", MAX_RELISTED],
    );
    const ids = found.map((row) => text(row, "execution_id") as ExecutionId);
    const last = ids.length < MAX_RELISTED ? null : (ids.at(-1) ?? null);
    const rows = await lockExecutions(session, BASIC_COLUMNS, ids);
    await noteEnds(session, ids);
    await insertLabels(session, rows.map(executionOf));
    let place = last;
    for (const table of LISTS) place = await deleteOrphans(session, table, after, place);
    return place;
  });
}

/**
 * Deletes rows between two places whose executions are gone. They are read by one SELECT, which sees an execution and
 * what stands beside it together or not at all: a DELETE that looks by itself waits for a row that is being inserted,
 * and then does not see its execution. Answers how far it came.
 */
async function deleteOrphans(
  session: SqlSession,
  table: (typeof LISTS)[number],
  after: ExecutionId | null,
  last: ExecutionId | null,
): Promise<ExecutionId | null> {
  const bounds = `t.execution_id > ?${last === null ? "" : " AND t.execution_id <= ?"}`;
  const found = await session.query(
    `SELECT DISTINCT t.execution_id FROM ${table} t LEFT JOIN executions e ON e.execution_id = t.execution_id
      WHERE ${bounds} AND e.execution_id IS NULL ORDER BY t.execution_id LIMIT ?`,
    [after ?? "", ...(last === null ? [] : [last]), MAX_ORPHANS],
  );
  const ids = found.map((row) => text(row, "execution_id") as ExecutionId);
  for (const list of valueLists(ids)) {
    await session.execute(`DELETE FROM ${table} WHERE execution_id IN (${list.sql})`, list.values);
  }
  return ids.length < MAX_ORPHANS ? last : (ids.at(-1) ?? null);
}
