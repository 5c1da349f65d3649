import { assert } from "../../domain/assert.ts";
import { type Execution, isFinal, type StopReason } from "../../domain/execution.ts";
import type { AttemptKey, ExecutionId } from "../../domain/identifier.ts";
import { storableText } from "../../domain/storable-text.ts";
import type { StopOutcome } from "../../port/store-executions.ts";
import { MAX_MESSAGE_CHARS } from "./execution-insert.ts";
import { ACTIVE_STATES, executionOf, FULL_COLUMNS, fenceText, gateKeysOf, stopReasonNumber } from "./execution-row.ts";
import { expireUs } from "./expire-time.ts";
import { LockedGates } from "./gates.ts";
import { textOrNull } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";
import { endWaiting } from "./waiting-end.ts";

/**
 * Rule 25: a stop is set in the row by compare-and-set, and its home sends it
 * until the attempt ends. CANCEL overrides the other reasons and nothing
 * overrides CANCEL. What waits, for its time, an executor or a gate, is
 * cancelled at once and gives back what it holds.
 */

const CANCEL = stopReasonNumber("CANCEL");

/** Asks that an execution end. With another reason than CANCEL one that waits stays as it is. */
export function requestStop(
  db: SqlDatabase,
  executionId: ExecutionId,
  reason: StopReason,
  message: string,
): Promise<StopOutcome> {
  return db.transact("request_stop", async (session): Promise<StopOutcome> => {
    const gates = await lockGatesOf(session, executionId);
    const row = gates === null ? null : await lockExecution(session, executionId);
    if (gates === null || row === null) return { kind: "not_found" };
    const execution = executionOf(row);
    if (isFinal(execution.state)) return { kind: "was_final", execution };
    const stop = { reason, message: storableText(message, MAX_MESSAGE_CHARS), timeUs: await session.nowUs() };
    if (execution.state === "DISPATCHED" || execution.state === "RUNNING") {
      const kept = execution.stop?.reason === "CANCEL" || execution.stop?.reason === reason;
      if (kept) return { kind: "stopping", execution };
      await session.execute(
        `UPDATE executions SET stop_reason = ?, stop_message = ?, stop_us = ?, change_number = change_number + 1
          WHERE execution_id = ?`,
        [stopReasonNumber(reason), stop.message, stop.timeUs, executionId],
      );
      return { kind: "stopping", execution: { ...execution, stop, changeNumber: execution.changeNumber + 1 } };
    }
    if (reason !== "CANCEL") return { kind: "stopping", execution };
    return { kind: "ended", execution: await cancelWaiting(session, execution, stop, gates, row.gates_held !== null) };
  });
}

/** Sets a stop on an attempt while its key is current; false when it is not. */
export function stopAttempt(db: SqlDatabase, key: AttemptKey, reason: StopReason, message: string): Promise<boolean> {
  return db.transact("stop_attempt", async (session) => {
    const { executionId, attempt } = key;
    const nowUs = await session.nowUs();
    const current = `execution_id = ? AND attempt = ? AND fence = ? AND state IN ${ACTIVE_STATES}`;
    const keyValues = [executionId, attempt, fenceText(key.fence)];
    const found = await session.query(
      `SELECT stop_reason FROM executions WHERE ${current}${session.dialect.forUpdate}`,
      keyValues,
    );
    if (found.length === 0) return false;
    await session.execute(
      `UPDATE executions SET stop_reason = ?, stop_message = ?, stop_us = ?, change_number = change_number + 1
        WHERE ${current} AND stop_reason NOT IN (?, ?)`,
      [
        stopReasonNumber(reason),
        storableText(message, MAX_MESSAGE_CHARS),
        nowUs,
        ...keyValues,
        CANCEL,
        stopReasonNumber(reason),
      ],
    );
    return true;
  });
}

/**
 * Rule 1: gates before executions. Null when there is no execution yet: a locking read would wait for one that is
 * being submitted, and find it with gates that were not locked.
 */
async function lockGatesOf(session: SqlSession, executionId: ExecutionId): Promise<LockedGates | null> {
  const [row] = await session.query("SELECT gate_keys FROM executions WHERE execution_id = ?", [executionId]);
  return row === undefined ? null : await LockedGates.lock(session, gateKeysOf(textOrNull(row, "gate_keys")));
}

async function lockExecution(session: SqlSession, executionId: ExecutionId): Promise<Row | null> {
  const [row] = await session.query(
    `SELECT ${FULL_COLUMNS}, gates_held FROM executions WHERE execution_id = ?${session.dialect.forUpdate}`,
    [executionId],
  );
  return row ?? null;
}

/** Cancels one that has no current attempt, whose row and gates are locked. */
export async function cancelWaiting(
  session: SqlSession,
  execution: Execution,
  stop: NonNullable<Execution["stop"]>,
  gates: LockedGates,
  holdsGates: boolean,
): Promise<Execution> {
  if (holdsGates) gates.give(execution.gateKeys);
  if (execution.blockedKey !== null) gates.leave(execution.blockedKey);
  await gates.save();
  const end = { state: "CANCELLED", reason: "CANCEL_REQUESTED", message: stop.message } as const;
  const { executionId, policy } = execution;
  const ended = { ...end, executionId, expireUs: expireUs(policy, false, stop.timeUs) };
  assert((await endWaiting(session, [ended], stop.timeUs)) === 1, "a locked execution is there");
  return {
    ...execution,
    state: end.state,
    stateReason: end.reason,
    stateMessage: stop.message,
    endedUs: stop.timeUs,
    stop,
    startDeadlineUs: null,
    blockedKey: null,
    changeNumber: execution.changeNumber + 1,
  };
}
