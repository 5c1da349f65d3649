import { type ExecutionState, isFinal } from "../../domain/execution.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { gateKeysOf, overlapNumber, StateNumber, stateOf, stopReasonNumber } from "./execution-row.ts";
import { expireUsOfRow } from "./expire-time.ts";
import type { LockedGates } from "./gates.ts";
import { AHEAD_COLUMNS, callBackLocked, isAhead } from "./held-fires.ts";
import { lockExecutions } from "./locked-executions.ts";
import { int, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";
import { endWaiting, type WaitingEnd } from "./waiting-end.ts";

/**
 * OVERLAP_POLICY_CANCEL_RUNNING: whoever begins to wait at its job's gate asks,
 * in the same transaction, all that hold the gate to end: what runs by a stop
 * (rule 25), what has no current attempt at once. The gate opens when the last
 * of them has really ended, and only then the admitter lets the new one in,
 * before all others that wait there. Earlier ones that wait to do the same are
 * ended too: each would be cancelled as soon as it ran, and the job would stay
 * a fire behind for ever.
 *
 * Rule 11: a fire that is held for its nominal time is no earlier execution.
 * It is not ended but called back: back NOT_STARTED it gives its gates to what
 * waits, and meets at its time what runs then as any other does.
 *
 * The gates are locked, so that nobody comes to hold one meanwhile; executions
 * are locked after them, in the order of their identifiers (rule 1).
 */

/** Executions that are read, locked and changed together. */
const MAX_OVERLAPPED_ROWS = 100;

const CANCEL = stopReasonNumber("CANCEL");
const CALL_BACKS = [stopReasonNumber("PAUSED"), stopReasonNumber("SUPERSEDED")];
const CANCEL_RUNNING = overlapNumber("CANCEL_RUNNING");
const REASON = "a later execution of the job cancels it (OVERLAP_POLICY_CANCEL_RUNNING)";
const CALL = { reason: "SUPERSEDED", message: "an execution of the job comes before its time" } as const;

/**
 * Ends, or calls back, what is in the way of those that this transaction has made to wait; after they are written.
 * Answers one that was called back, for a hint; null for none.
 */
export async function cancelOverlapped(session: SqlSession, gates: LockedGates): Promise<ExecutionId | null> {
  const inWay = new Set<string>();
  for (const gateKey of gates.cancelling) {
    for (const row of await session.query(holdersSql, [gateKey, `${gateKey}\n%`])) inWay.add(text(row, "execution_id"));
    const [, ...earlier] = await session.query(waitersSql, [gateKey]);
    for (const row of earlier) inWay.add(text(row, "execution_id"));
  }
  const ids = [...new Set([...inWay, ...gates.calledBack])].sort();
  if (ids.length === 0) return null;
  const nowUs = await session.nowUs();
  let calledBack: ExecutionId | null = null;
  for (let first = 0; first < ids.length; first += MAX_OVERLAPPED_ROWS) {
    const part = ids.slice(first, first + MAX_OVERLAPPED_ROWS);
    calledBack = (await endPart(session, part, inWay, gates, nowUs)) ?? calledBack;
  }
  await gates.save();
  return calledBack;
}

/** Those that hold a gate and are not asked to end: as many as run of jobs with gates. */
export const holdersSql = `SELECT execution_id FROM executions
  WHERE gates_held = 1 AND (gate_keys = ? OR gate_keys LIKE ?) AND stop_reason <> ${CANCEL}`;

/** Those that wait at a gate to cancel what holds it, the newest first. */
export const waitersSql = `SELECT execution_id, gate_keys, CAST(route_id AS CHAR) AS route_id FROM executions
  WHERE waiting_gate = ? AND overlap = ${CANCEL_RUNNING} ORDER BY ready_us DESC, execution_id DESC`;

const COLUMNS = `${AHEAD_COLUMNS}, gate_keys, waiting_gate, policy, claim_rank, timeout_ms`;

async function endPart(
  session: SqlSession,
  ids: readonly string[],
  inWay: ReadonlySet<string>,
  gates: LockedGates,
  nowUs: number,
): Promise<ExecutionId | null> {
  const rows = (await lockExecutions(session, COLUMNS, ids)).filter((row) => !isFinal(stateOf(int(row, "state"))));
  const ahead = rows.filter((row) => isAhead(row, nowUs));
  const others = rows.filter((row) => !isAhead(row, nowUs) && inWay.has(text(row, "execution_id")));
  const active = others.filter((row) => isActive(stateOf(int(row, "state"))));
  for (const row of ahead) await callBackAhead(session, row, gates, nowUs);
  for (const list of valueLists(active.map((row) => text(row, "execution_id")))) {
    await session.execute(
      `UPDATE executions SET stop_reason = ?, stop_message = ?, stop_us = ?, change_number = change_number + 1
        WHERE execution_id IN (${list.sql}) AND stop_reason <> ?`,
      [CANCEL, REASON, nowUs, ...list.values, CANCEL],
    );
  }
  const waiting = others.filter((row) => !active.includes(row));
  await endWaiting(
    session,
    waiting.map((row) => cancelled(row, gates, nowUs)),
    nowUs,
  );
  const [first] = ahead;
  return first === undefined ? null : (text(first, "execution_id") as ExecutionId);
}

function isActive(state: ExecutionState): boolean {
  return state === "DISPATCHED" || state === "RUNNING";
}

/** One that a caller has stopped, or a change of its job has called back, comes back anyhow. */
async function callBackAhead(session: SqlSession, row: Row, gates: LockedGates, nowUs: number): Promise<void> {
  if ([CANCEL, ...CALL_BACKS].includes(int(row, "stop_reason"))) return;
  const waits = int(row, "state") === StateNumber.SCHEDULED;
  if (waits && row.gates_held !== null) gates.give(gateKeysOf(textOrNull(row, "gate_keys")));
  await callBackLocked(session, row, CALL, nowUs);
}

/** One that has no current attempt gives back what it holds, and has ended. */
function cancelled(row: Row, gates: LockedGates, nowUs: number): WaitingEnd {
  if (row.gates_held !== null) gates.give(gateKeysOf(textOrNull(row, "gate_keys")));
  const waitingGate = textOrNull(row, "waiting_gate");
  if (waitingGate !== null) gates.leave(waitingGate);
  const end = { state: "CANCELLED", reason: "CANCEL_REQUESTED", message: REASON } as const;
  return { ...end, executionId: text(row, "execution_id") as ExecutionId, expireUs: expireUsOfRow(row, nowUs) };
}
