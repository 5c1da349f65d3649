import { isFinal } from "../../domain/execution.ts";
import { executionOf, FULL_COLUMNS, overlapNumber, StateNumber, stopReasonNumber } from "./execution-row.ts";
import type { LockedGates } from "./gates.ts";
import { lockExecutions } from "./locked-executions.ts";
import { int, text } from "./row-reader.ts";
import type { Row, SqlSession } from "./session.ts";
import { cancelWaiting } from "./stop-requests.ts";

/**
 * OVERLAP_POLICY_CANCEL_RUNNING: whoever begins to wait at its job's gate asks,
 * in the same transaction, all that hold the gate to end: what runs by a stop
 * (rule 25), what has no current attempt at once. The gate opens when the last
 * of them has really ended, and only then the admitter lets the new one in.
 * Earlier ones that wait to do the same are ended too: each would be cancelled
 * as soon as it ran, and the job would stay a fire behind for ever.
 *
 * The gates are locked, so that nobody comes to hold one meanwhile; executions
 * are locked after them, in the order of their identifiers (rule 1).
 */

const CANCEL = stopReasonNumber("CANCEL");
const CANCEL_RUNNING = overlapNumber("CANCEL_RUNNING");
const REASON = "a later execution of the job cancels it (OVERLAP_POLICY_CANCEL_RUNNING)";

/** Ends what is in the way of those that this transaction has made to wait; after they are written. */
export async function cancelOverlapped(session: SqlSession, gates: LockedGates): Promise<void> {
  for (const gateKey of gates.cancelling) {
    const holders = (await session.query(holdersSql, [gateKey, `${gateKey}\n%`])).map((row) =>
      text(row, "execution_id"),
    );
    const [, ...earlier] = (await session.query(waitersSql, [gateKey])).map((row) => text(row, "execution_id"));
    const ids = [...holders, ...earlier];
    const rows = await lockExecutions(session, `${FULL_COLUMNS}, gates_held`, ids);
    for (const row of rows) await cancelOne(session, row, gates);
  }
}

/** Those that hold a gate: as many as run of jobs with gates. */
export const holdersSql = `SELECT execution_id FROM executions
  WHERE gates_held = 1 AND (gate_keys = ? OR gate_keys LIKE ?)`;

/** Those that wait at a gate to cancel what holds it, the newest first. */
export const waitersSql = `SELECT execution_id FROM executions
  WHERE waiting_gate = ? AND overlap = ${CANCEL_RUNNING} ORDER BY ready_us DESC, execution_id DESC`;

async function cancelOne(session: SqlSession, row: Row, gates: LockedGates): Promise<void> {
  const execution = executionOf(row);
  if (isFinal(execution.state)) return;
  const stop = { reason: "CANCEL", message: REASON, timeUs: await session.nowUs() } as const;
  const isActive = [StateNumber.DISPATCHED, StateNumber.RUNNING].includes(int(row, "state"));
  if (!isActive) {
    await cancelWaiting(session, execution, stop, gates, row.gates_held !== null);
    return;
  }
  await session.execute(
    `UPDATE executions SET stop_reason = ?, stop_message = ?, stop_us = ?, change_number = change_number + 1
      WHERE execution_id = ? AND stop_reason <> ?`,
    [CANCEL, stop.message, stop.timeUs, execution.executionId, CANCEL],
  );
}
