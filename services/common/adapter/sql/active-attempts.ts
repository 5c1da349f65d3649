import { assert } from "../../domain/assert.ts";
import type { Execution } from "../../domain/execution.ts";
import { holdUntilUs } from "../../domain/held-fire.ts";
import type { AttemptKey, ExecutorId, Incarnation, SchedulerId } from "../../domain/identifier.ts";
import { keyText } from "../../domain/identifier.ts";
import type { ActiveAttempt } from "../../port/store-executions.ts";
import { attemptKeyOf } from "./attempt-row.ts";
import { ACTIVE_STATES, executionOf, FULL_COLUMNS, stateOf, stopOf } from "./execution-row.ts";
import { int, intOrNull, text } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/**
 * Current attempts, as homes and rescuers watch them (rules 15, 19, 25). The
 * index begins with active_executor, which is NULL once the attempt has ended.
 */

const ACTIVE_ATTEMPT_COLUMNS = `e.execution_id, e.attempt, e.fence, e.active_executor, e.incarnation, e.session_number, e.state,
  e.ready_us, e.dispatch_us, e.attempt_start_us, e.timeout_ms, e.stop_reason, e.stop_message, e.stop_us`;

/** Current attempts of an incarnation that were dispatched before a time, oldest first. */
export function active(
  db: SqlDatabase,
  executorId: ExecutorId,
  incarnation: Incarnation,
  dispatchedBeforeUs: number,
  limit: number,
): Promise<ActiveAttempt[]> {
  return db.read("active", async (session) => {
    const rows = await session.query(
      `SELECT ${ACTIVE_ATTEMPT_COLUMNS} FROM executions e
        WHERE e.active_executor = ? AND e.incarnation = ? AND e.dispatch_us < ?
        ORDER BY e.dispatch_us LIMIT ?`,
      [executorId, incarnation, dispatchedBeforeUs, limit],
    );
    return rows.map(activeAttemptOf);
  });
}

/** Rule 25: current attempts with a stop, of the executors homed at a scheduler. */
export function stops(db: SqlDatabase, home: SchedulerId, limit: number): Promise<ActiveAttempt[]> {
  return db.read("stops", async (session) => {
    const rows = await session.query(
      `SELECT ${ACTIVE_ATTEMPT_COLUMNS} FROM executors x
        JOIN executions e ON e.active_executor = x.executor_id AND e.incarnation = x.incarnation
        WHERE x.home = ? AND x.lost_us IS NULL AND x.left_us IS NULL AND e.stop_reason > 0 LIMIT ?`,
      [home, limit],
    );
    return rows.map(activeAttemptOf);
  });
}

function activeAttemptOf(row: Row): ActiveAttempt {
  const state = stateOf(int(row, "state"));
  assert(state === "DISPATCHED" || state === "RUNNING", "an active attempt is DISPATCHED or RUNNING");
  const stop = stopOf(row);
  return {
    key: attemptKeyOf(row),
    executorId: text(row, "active_executor") as ExecutorId,
    incarnation: text(row, "incarnation") as Incarnation,
    sessionNumber: int(row, "session_number"),
    state,
    dispatchUs: int(row, "dispatch_us"),
    holdUntilUs: holdUntilUs({ readyUs: intOrNull(row, "ready_us"), dispatchUs: int(row, "dispatch_us") }),
    startUs: intOrNull(row, "attempt_start_us"),
    timeoutMs: int(row, "timeout_ms"),
    stop: stop === null ? null : { reason: stop.reason, message: stop.message },
  };
}

/** The executions behind these keys, for a resend; keys that are not the store's are left out. */
export function forResend(db: SqlDatabase, keys: readonly AttemptKey[]): Promise<Execution[]> {
  return db.read("for_resend", async (session) => {
    const rows = await currentRows(session, FULL_COLUMNS, keys);
    return keys.flatMap((key) => {
      const row = rows.get(keyText(key));
      return row === undefined ? [] : [executionOf(row)];
    });
  });
}

/** Of these keys those that are current attempts. */
export function currentKeys(db: SqlDatabase, keys: readonly AttemptKey[]): Promise<AttemptKey[]> {
  return db.read("current_keys", async (session) => {
    const rows = await currentRows(session, "execution_id, attempt, fence", keys);
    return keys.filter((key) => rows.has(keyText(key)));
  });
}

async function currentRows(
  session: SqlSession,
  columns: string,
  keys: readonly AttemptKey[],
): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  for (const list of valueLists([...new Set(keys.map(({ executionId }) => executionId))])) {
    const found = await session.query(
      `SELECT ${columns} FROM executions WHERE execution_id IN (${list.sql}) AND state IN ${ACTIVE_STATES}`,
      list.values,
    );
    for (const row of found) rows.set(keyText(attemptKeyOf(row)), row);
  }
  return rows;
}
