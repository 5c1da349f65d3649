import type { StopReason } from "../../domain/execution.ts";
import { fireExecutionId } from "../../domain/execution-id.ts";
import type { HeldFire } from "../../domain/held-fire.ts";
import type { Job } from "../../domain/job.ts";
import { storableText } from "../../domain/storable-text.ts";
import { MAX_MESSAGE_CHARS } from "./execution-insert.ts";
import { gateKeysOf, reasonNumber, StateNumber, stopReasonNumber } from "./execution-row.ts";
import { LockedGates } from "./gates.ts";
import { int, textOrNull } from "./row-reader.ts";
import type { Row, SqlSession } from "./session.ts";

const CALLED_BACK = [reasonNumber("PAUSED"), reasonNumber("SUPERSEDED")];

/** A stop for what is held alone (rule 25), and what is said with it. */
export type CallBack = { readonly reason: Extract<StopReason, "PAUSED" | "SUPERSEDED">; readonly message: string };

/**
 * Rule 11: calls back the fire of a job that is held for its time, in the
 * transaction that changes the job and has locked it. It can be only one, the
 * latest, and its identifier follows from its nominal time: a job that holds
 * none costs no statement. One that its executor handed back meanwhile, and
 * that waits for its time again, is called back there and then.
 *
 * @param isChange false for one that changes nothing: it only finds what was called back before
 */
export async function callBack(
  session: SqlSession,
  job: Job,
  call: CallBack,
  isChange: boolean,
): Promise<HeldFire | null> {
  const nowUs = await session.nowUs();
  if (job.lastFireUs === null || job.lastFireUs <= nowUs) return null;
  const executionId = fireExecutionId(job.jobUid, job.lastFireUs / 1_000, 0);
  const [known] = await session.query("SELECT gate_keys FROM executions WHERE execution_id = ?", [executionId]);
  if (known === undefined) return null;
  // Rule 1: gates before executions.
  const gateKeys = gateKeysOf(textOrNull(known, "gate_keys"));
  const gates = await LockedGates.lock(session, gateKeys);
  const [row] = await session.query(
    `SELECT state, state_reason, ready_us, attempt, job_revision, stop_reason, gates_held FROM executions
      WHERE execution_id = ?${session.dialect.forUpdate}`,
    [executionId],
  );
  if (row === undefined || !isHeld(row, nowUs)) return null;
  const held = { executionId, attempt: int(row, "attempt"), jobRevision: int(row, "job_revision") };
  if (!isChange) return isCalledBack(row) ? held : null;
  const message = storableText(call.message, MAX_MESSAGE_CHARS);
  if (int(row, "state") === StateNumber.SCHEDULED) {
    if (row.gates_held !== null) gates.give(gateKeys);
    await gates.save();
    await session.execute(
      `UPDATE executions SET state_reason = ?, state_message = ?, gates_held = NULL, change_number = change_number + 1
        WHERE execution_id = ?`,
      [reasonNumber(call.reason), message, executionId],
    );
  } else if (int(row, "stop_reason") !== stopReasonNumber("CANCEL")) {
    await session.execute(
      `UPDATE executions SET stop_reason = ?, stop_message = ?, stop_us = ?, change_number = change_number + 1
        WHERE execution_id = ?`,
      [stopReasonNumber(call.reason), message, nowUs, executionId],
    );
  }
  return held;
}

/** True when a change that came before has called it back. */
function isCalledBack(row: Row): boolean {
  if (int(row, "state") === StateNumber.DISPATCHED) return int(row, "stop_reason") > 0;
  return CALLED_BACK.includes(int(row, "state_reason"));
}

/** True for what was sent ahead of its time, which has not come: it is at its executor, or came back from it. */
function isHeld(row: Row, nowUs: number): boolean {
  const state = int(row, "state");
  const waits = state === StateNumber.DISPATCHED || state === StateNumber.SCHEDULED;
  return waits && int(row, "attempt") > 0 && int(row, "ready_us") > nowUs;
}
