import type { ExecutionId } from "../../domain/identifier.ts";
import type { ExecutionPolicy } from "../../domain/policy.ts";
import { retryDurationMessage } from "../../domain/settle.ts";
import type { ExpiredExecution } from "../../port/store-executions.ts";
import { gateKeysOf, StateNumber, WAITING_STATES } from "./execution-row.ts";
import { parsePolicy } from "./execution-text.ts";
import { expireUs, isPastDeadline } from "./expire-time.ts";
import { LockedGates } from "./gates.ts";
import { gateKeysOfExecutions, lockExecutions } from "./locked-executions.ts";
import { int, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";
import { endWaiting, type WaitingEnd } from "./waiting-end.ts";

/**
 * Rule 24: what waits past its start deadline ends here and nowhere else, and
 * only while it waits: an attempt that is on its way comes back from its
 * executor first. Nothing of it has started, so it is EXPIRED; where an
 * attempt had failed, the limit was that of all retries, and it ends as that
 * attempt did. Its gates are given back in the same transaction. Any scheduler
 * may do it at any time: the row is compared again under its lock.
 */

/** Executions in one transaction. */
const MAX_EXPIRED_ROWS = 500;

/** Ends at most `limit` executions that wait and whose start deadline has passed, the earliest first. */
export async function expire(db: SqlDatabase, limit: number): Promise<ExpiredExecution[]> {
  const ids = await db.read("past_deadline", async (session) => {
    const rows = await session.query(
      `SELECT execution_id FROM executions WHERE start_deadline_us < ? AND state IN ${WAITING_STATES}
        ORDER BY start_deadline_us LIMIT ?`,
      [await session.nowUs(), Math.min(limit, MAX_EXPIRED_ROWS)],
    );
    return rows.map((row) => text(row, "execution_id") as ExecutionId).sort();
  });
  return ids.length === 0 ? [] : await db.transact("expire", (session) => expireRows(session, ids));
}

async function expireRows(session: SqlSession, ids: readonly ExecutionId[]): Promise<ExpiredExecution[]> {
  const gates = await LockedGates.lock(session, await gateKeysOfExecutions(session, ids));
  const nowUs = await session.nowUs();
  const locked = await lockExecutions(session, EXPIRING_COLUMNS, ids);
  const rows = locked.filter((row) => isWaiting(row) && isPastDeadline(row, nowUs));
  const timedOut = await lastTimedOut(session, rows.filter(hasFailed));
  for (const row of rows) leaveGates(gates, row, nowUs);
  await gates.save();
  const ends = rows.map((row): WaitingEnd => {
    const executionId = text(row, "execution_id") as ExecutionId;
    return { ...endOf(row, timedOut), executionId, expireUs: expireUs(policyOf(row), false, nowUs) };
  });
  await endWaiting(session, ends, nowUs);
  return ends.map(({ executionId, state }) => ({ executionId, state }));
}

const EXPIRING_COLUMNS = `execution_id, state, start_deadline_us, gate_keys, gates_held, waiting_gate, policy, claim_rank,
  timeout_ms, counted_attempts`;

function isWaiting(row: Row): boolean {
  const state = int(row, "state");
  return state === StateNumber.SCHEDULED || state === StateNumber.READY;
}

function hasFailed(row: Row): boolean {
  return int(row, "counted_attempts") > 0;
}

function leaveGates(gates: LockedGates, row: Row, nowUs: number): void {
  if (row.gates_held !== null) gates.give(gateKeysOf(textOrNull(row, "gate_keys")));
  const waitingGate = textOrNull(row, "waiting_gate");
  if (waitingGate === null) return;
  gates.leave(waitingGate);
  // It may have stood before others, or kept the admitter from seeing them.
  if (gates.waiting(waitingGate) > 0) gates.setTry(waitingGate, nowUs);
}

/** Of those whose last attempt that counts had failed or run past its timeout, the latter. */
async function lastTimedOut(session: SqlSession, failed: readonly Row[]): Promise<ReadonlySet<string>> {
  const last = new Map<string, number>();
  for (const list of valueLists(failed.map((row) => text(row, "execution_id")))) {
    const rows = await session.query(
      `SELECT execution_id, status FROM job_logs WHERE execution_id IN (${list.sql}) AND counted = 1
        ORDER BY execution_id, attempt`,
      list.values,
    );
    for (const row of rows) last.set(text(row, "execution_id"), int(row, "status"));
  }
  return new Set([...last].flatMap(([id, status]) => (status === StateNumber.TIMED_OUT ? [id] : [])));
}

function endOf(row: Row, timedOut: ReadonlySet<string>): Pick<WaitingEnd, "state" | "reason" | "message"> {
  const policy = policyOf(row);
  if (!hasFailed(row)) {
    const message = `nothing had started within ${policy.startDeadlineMs} ms of its ready time`;
    return { state: "EXPIRED", reason: "START_DEADLINE", message };
  }
  const state = timedOut.has(text(row, "execution_id")) ? "TIMED_OUT" : "FAILED";
  return { state, reason: "RETRY_DURATION", message: retryDurationMessage(policy) };
}

function policyOf(row: Row): ExecutionPolicy {
  return parsePolicy(text(row, "policy"), int(row, "claim_rank"), int(row, "timeout_ms"));
}
