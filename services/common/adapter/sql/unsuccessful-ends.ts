import type { ExecutionId } from "../../domain/identifier.ts";
import { StateNumber } from "./execution-row.ts";
import type { SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/**
 * Executions by how they ended: a row for each that has ended otherwise than
 * SUCCEEDED, written in the transaction that ends it and deleted in the one
 * that deletes it. What succeeds, which is most of what a mesh does, has none,
 * so that it costs nothing: lists find it by the primary key. A final state
 * never changes, so neither does such a row.
 */

const COLUMNS = "execution_id, namespace, state, state_reason, job_id";
/** Lists find by it what has ended so. */
const IS_UNSUCCESSFUL = `state > ${StateNumber.SUCCEEDED}`;

/**
 * Notes those of these executions that this transaction has ended otherwise than SUCCEEDED, after they are written. A
 * row that is there is overwritten: an older version deletes executions and leaves it, and a fire has one identifier.
 */
export async function noteEnds(session: SqlSession, ids: readonly (ExecutionId | string)[]): Promise<void> {
  const isMysql = session.dialect.kind === "mysql";
  const insert = isMysql ? "INSERT" : "INSERT OR REPLACE";
  const present = isMysql ? " ON DUPLICATE KEY UPDATE state = e.state, state_reason = e.state_reason" : "";
  for (const list of valueLists(ids.toSorted())) {
    await session.execute(
      `${insert} INTO unsuccessful_ends (${COLUMNS})
        SELECT ${COLUMNS} FROM executions e WHERE execution_id IN (${list.sql}) AND ${IS_UNSUCCESSFUL}${present}`,
      list.values,
    );
  }
}

/** Forgets executions that this transaction deletes. */
export async function forgetEnds(session: SqlSession, ids: readonly (ExecutionId | string)[]): Promise<void> {
  for (const list of valueLists(ids)) {
    await session.execute(`DELETE FROM unsuccessful_ends WHERE execution_id IN (${list.sql})`, list.values);
  }
}
