import { assert } from "../../domain/assert.ts";
import { isFinal } from "../../domain/execution.ts";
import { holdUntilUs } from "../../domain/held-fire.ts";
import type { AttemptKey, ExecutionId, RouteId } from "../../domain/identifier.ts";
import { defaultPolicy } from "../../domain/policy.ts";
import { isCalledBack, type Settlement, settle } from "../../domain/settle.ts";
import { giveUpUs, nextStartDeadlineUs } from "../../domain/start-deadline.ts";
import type { Random } from "../../port/random.ts";
import type { ResultOutcome } from "../../port/store-executions.ts";
import { insertAttempts } from "./attempt-row.ts";
import { type EndedExecution, type Ending, updateEnded } from "./execution-end.ts";
import { fenceText, gateKeysOf, StateNumber, stateOf, stopOf } from "./execution-row.ts";
import { parsePolicy } from "./execution-text.ts";
import { expireUs } from "./expire-time.ts";
import { LockedGates } from "./gates.ts";
import { gateKeysOfExecutions, lockExecutions } from "./locked-executions.ts";
import { big, int, intOrNull, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlSession } from "./session.ts";
import { numberFault, storableDelayMs } from "./storable-number.ts";
import { StatementRefused } from "./store-fault.ts";

/**
 * Rules 1 and 2: ending an attempt, the next state, the next ready time, its
 * gates and the job_logs row are one transaction, whatever ended it: a result,
 * a loss, a return. A key that is not the store's changes nothing.
 */

const ACTIVE_COLUMNS = `execution_id, state, attempt, fence, job_id, CAST(route_id AS CHAR) AS route_id, policy,
  claim_rank, timeout_ms, executor_id, incarnation, ready_us, dispatch_us, start_us, attempt_start_us, counted_attempts,
  loss_count, return_streak, stop_reason, stop_message, stop_us, gate_keys, gates_held, start_deadline_us, give_up_us,
  live_unique_key`;

/** Ends attempts and answers for each in order. Part of a transaction that has locked nothing after `requests` yet. */
export async function endAttempts(
  session: SqlSession,
  random: Random,
  endings: readonly Ending[],
): Promise<ResultOutcome[]> {
  const ids = [...new Set(endings.map(({ key }) => key.executionId))].sort();
  const { gates, active } = await lockAll(session, ids);
  const nowUs = await session.nowUs();
  const ended: EndedExecution[] = [];
  const outcomes = endings.map((ending): ResultOutcome => {
    const row = active.get(ending.key.executionId);
    if (row === undefined || !isCurrent(row, ending.key)) return nothing(ending.key);
    active.delete(ending.key.executionId);
    const one = endOne(row, ending, random, nowUs);
    ended.push(one);
    if (isCalledBack(one.settlement) && one.gatesHeld) gates.give(gateKeysOf(textOrNull(row, "gate_keys")));
    if (isFinal(one.settlement.state) && one.gatesHeld) gates.give(gateKeysOf(textOrNull(row, "gate_keys")));
    return {
      key: ending.key,
      applied: true,
      state: one.settlement.state,
      readyUs: one.settlement.delayMs === null ? null : (one.readyUs ?? nowUs),
      routeId: one.routeId,
    };
  });
  await gates.save();
  await updateEnded(session, ended, nowUs);
  await insertAttempts(session, ended, nowUs);
  return outcomes;
}

/** Gates, then executions. SQLite's transaction is the only writer: there is no order to keep, and one read less. */
async function lockAll(
  session: SqlSession,
  ids: readonly ExecutionId[],
): Promise<{ readonly gates: LockedGates; readonly active: Map<ExecutionId, Row> }> {
  if (session.dialect.forUpdate !== "") {
    const gates = await LockedGates.lock(session, await gateKeysOfExecutions(session, ids));
    return { gates, active: await lockActive(session, ids) };
  }
  const active = await lockActive(session, ids);
  const keys = [...active.values()].flatMap((row) => gateKeysOf(textOrNull(row, "gate_keys")));
  return { gates: await LockedGates.lock(session, keys), active };
}

/** Rows of these executions, locked in the order of their identifiers. */
async function lockActive(session: SqlSession, ids: readonly ExecutionId[]): Promise<Map<ExecutionId, Row>> {
  const rows = await lockExecutions(session, ACTIVE_COLUMNS, ids);
  return new Map(rows.map((row) => [text(row, "execution_id") as ExecutionId, row]));
}

/** Rule 2: the row is fenced by (execution_id, attempt, fence) and by its state. */
function isCurrent(row: Row, key: AttemptKey): boolean {
  const state = int(row, "state");
  const runs = state === StateNumber.DISPATCHED || state === StateNumber.RUNNING;
  return runs && int(row, "attempt") === key.attempt && textOrNull(row, "fence") === fenceText(key.fence);
}

function endOne(row: Row, ending: Ending, random: Random, nowUs: number): EndedExecution {
  const fault = numberFault(ending);
  if (fault !== null) throw new StatementRefused(`the store refuses the result: ${fault}`);
  const stop = stopOf(row);
  const storedStartUs = intOrNull(row, "attempt_start_us");
  const dispatchUs = intOrNull(row, "dispatch_us");
  assert(dispatchUs !== null, "a current attempt was dispatched");
  // A policy that cannot be read does not keep an unstorable result from ending (rule 4): no further try follows.
  const policy =
    ending.failedReason === null
      ? parsePolicy(text(row, "policy"), int(row, "claim_rank"), int(row, "timeout_ms"))
      : defaultPolicy;
  const deadlineUs = intOrNull(row, "start_deadline_us");
  const limits = { policy, dispatchUs, startDeadlineUs: deadlineUs, giveUpUs: intOrNull(row, "give_up_us") };
  const untilUs = giveUpUs(limits, ending.end);
  const heldUs = holdUntilUs({ readyUs: intOrNull(row, "ready_us"), dispatchUs });
  const usual = settle(
    {
      state: stateOf(int(row, "state")),
      policy,
      countedAttempts: int(row, "counted_attempts"),
      lossCount: int(row, "loss_count"),
      returnStreak: int(row, "return_streak"),
      stop,
      startForgotten: ending.startUs === null && storedStartUs !== null,
      retryTimeLeftMs: untilUs === null ? null : (untilUs - nowUs) / 1_000,
      holdLeftMs: heldUs === null ? null : (heldUs - nowUs) / 1_000,
    },
    ending.end,
    () => random.unit(),
  );
  const settlement: Settlement =
    usual.state === "FAILED" && ending.failedReason !== null ? { ...usual, reason: ending.failedReason } : usual;
  const attemptStartUs = ending.startUs ?? storedStartUs;
  const executorId = text(row, "executor_id");
  return {
    key: ending.key,
    ending,
    settlement,
    stop,
    jobId: textOrNull(row, "job_id"),
    executorId,
    incarnation: text(row, "incarnation"),
    routeId: big(row, "route_id") as RouteId,
    dispatchUs,
    attemptStartUs,
    startUs: intOrNull(row, "start_us") ?? attemptStartUs,
    readyUs: settlement.state === "SCHEDULED" ? readyAgainUs(settlement, nowUs, heldUs) : null,
    gatesHeld: row.gates_held !== null,
    hadStartDeadline: deadlineUs !== null,
    startDeadlineUs: nextStartDeadlineUs(limits, ending.end, settlement),
    giveUpUs: untilUs,
    uniqueHash: textOrNull(row, "live_unique_key"),
    expireUs: isFinal(settlement.state) ? expireUs(policy, settlement.state === "SUCCEEDED", nowUs) : null,
  };
}

/** When it is due again; what was held for its time not before it, to the microsecond (rule 11). */
function readyAgainUs(settlement: Settlement, nowUs: number, heldUs: number | null): number {
  if (isCalledBack(settlement) && heldUs !== null) return heldUs;
  return Math.max(nowUs + storableDelayMs(settlement.delayMs ?? 0) * 1_000, heldUs ?? 0);
}

function nothing(key: AttemptKey): ResultOutcome {
  return { key, applied: false, state: null, readyUs: null, routeId: null };
}
