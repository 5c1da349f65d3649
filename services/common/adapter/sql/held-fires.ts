import type { StopReason } from "../../domain/execution.ts";
import { fireExecutionId } from "../../domain/execution-id.ts";
import { type HeldFire, holdUntilUs } from "../../domain/held-fire.ts";
import type { ExecutionId, JobUid } from "../../domain/identifier.ts";
import type { Job } from "../../domain/job.ts";
import { storableText } from "../../domain/storable-text.ts";
import { MAX_MESSAGE_CHARS } from "./execution-insert.ts";
import { gateKeysOf, overlapOf, reasonNumber, StateNumber, stopReasonNumber } from "./execution-row.ts";
import { jobGateKey, jobUidOfGate } from "./gate-row.ts";
import { type AheadFire, LockedGates } from "./gates.ts";
import { int, intOrNull, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

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
    `SELECT execution_id, state, state_reason, ready_us, attempt, job_revision, stop_reason, gates_held FROM executions
      WHERE execution_id = ?${session.dialect.forUpdate}`,
    [executionId],
  );
  if (row === undefined || !isHeld(row, nowUs)) return null;
  const held = { executionId, attempt: int(row, "attempt"), jobRevision: int(row, "job_revision") };
  if (!isChange) return isCalledBack(row) ? held : null;
  if (int(row, "state") === StateNumber.SCHEDULED && row.gates_held !== null) gates.give(gateKeys);
  await gates.save();
  await callBackLocked(session, row, call, nowUs);
  return held;
}

/** Calls back one that is held, whose row is locked; one that waits for its time again gives its gates back by its caller. */
export async function callBackLocked(session: SqlSession, row: Row, call: CallBack, nowUs: number): Promise<void> {
  const executionId = text(row, "execution_id");
  const message = storableText(call.message, MAX_MESSAGE_CHARS);
  if (int(row, "state") === StateNumber.SCHEDULED) {
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

/** Columns by which `isAhead` tells. */
export const AHEAD_COLUMNS =
  "execution_id, state, attempt, scheduled_us, ready_us, dispatch_us, stop_reason, gates_held";

/**
 * True for a fire that was sent ahead of its time, which has not come. A wait for the next attempt lies after its
 * nominal time; what was dispatched after its ready time is not held, whatever was done to the store's clock since.
 */
export function isAhead(row: Row, nowUs: number): boolean {
  const hold = { readyUs: intOrNull(row, "ready_us"), dispatchUs: intOrNull(row, "dispatch_us") };
  return int(row, "scheduled_us") > nowUs && isHeld(row, nowUs) && holdUntilUs(hold) !== null;
}

/** Tells gates which fires hold them ahead of their time: of each job one at most, the latest. */
export async function knowAhead(session: SqlSession, gates: LockedGates): Promise<void> {
  const { heldKeys } = gates;
  if (heldKeys.length === 0) return;
  const nowUs = await session.nowUs();
  const keys = new Map<string, string>();
  for (const list of valueLists(heldKeys.map(jobUidOfGate))) {
    const jobs = await session.query(
      `SELECT job_uid, last_fire_us FROM jobs WHERE job_uid IN (${list.sql}) AND last_fire_us > ?`,
      [...list.values, nowUs],
    );
    for (const row of jobs) {
      const jobUid = text(row, "job_uid") as JobUid;
      keys.set(fireExecutionId(jobUid, int(row, "last_fire_us") / 1_000, 0), jobGateKey(jobUid));
    }
  }
  const ahead = new Map<string, AheadFire>();
  for (const list of valueLists([...keys.keys()])) {
    const sql = `SELECT ${AHEAD_COLUMNS}, overlap FROM executions WHERE execution_id IN (${list.sql}) AND gates_held = 1`;
    for (const row of await session.query(sql, list.values)) {
      const executionId = text(row, "execution_id") as ExecutionId;
      const overlap = overlapOf(int(row, "overlap"));
      if (isAhead(row, nowUs)) ahead.set(keys.get(executionId) ?? "", { executionId, overlap });
    }
  }
  gates.know(ahead);
}
