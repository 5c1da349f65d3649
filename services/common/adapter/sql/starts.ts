import type { AttemptKey } from "../../domain/identifier.ts";
import { fenceText, StateNumber, stopReasonNumber } from "./execution-row.ts";
import { updateRows } from "./many-rows.ts";
import type { SqlDatabase, SqlValue } from "./session.ts";
import { isStorableTime } from "./storable-number.ts";

/** Stops for what is held alone. */
const CALL_BACKS = `${stopReasonNumber("PAUSED")}, ${stopReasonNumber("SUPERSEDED")}`;

/**
 * Rule 2: DISPATCHED becomes RUNNING under its own key only; the first start of an execution stays its start. A stop for
 * what is held came too late, and is no stop any more (rule 25).
 */
const START_UPDATE = {
  table: "executions",
  keys: ["execution_id", "attempt", "fence"],
  set: ["attempt_start_us"],
  also: `state = ${StateNumber.RUNNING}, start_deadline_us = NULL, change_number = t.change_number + 1,
    stop_reason = CASE WHEN t.stop_reason IN (${CALL_BACKS}) THEN 0 ELSE t.stop_reason END`,
  where: `t.state = ${StateNumber.DISPATCHED}`,
} as const;
const FIRST_START_UPDATE = {
  ...START_UPDATE,
  set: ["start_us"],
  also: "change_number = t.change_number",
  where: `t.state = ${StateNumber.RUNNING} AND t.start_us IS NULL`,
} as const;

/** Attempts that their executors report to run. */
export async function markStarted(
  db: SqlDatabase,
  started: readonly { readonly key: AttemptKey; readonly startUs: number }[],
): Promise<void> {
  const rows = started
    .filter(({ startUs }) => isStorableTime(startUs))
    .toSorted((a, b) => (a.key.executionId < b.key.executionId ? -1 : 1))
    .map(({ key, startUs }): SqlValue[] => [key.executionId, key.attempt, fenceText(key.fence), startUs]);
  if (rows.length === 0) return;
  await db.transact("mark_started", async (session) => {
    await updateRows(session, START_UPDATE, rows);
    await updateRows(session, FIRST_START_UPDATE, rows);
  });
}
