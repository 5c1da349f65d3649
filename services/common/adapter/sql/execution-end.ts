import type { AttemptResult } from "../../domain/attempt.ts";
import { isFinal, type StateReason, type Stop } from "../../domain/execution.ts";
import type { AttemptKey, ExecutionId, RouteId } from "../../domain/identifier.ts";
import { type AttemptEnd, isCalledBack, type Settlement } from "../../domain/settle.ts";
import { storableText } from "../../domain/storable-text.ts";
import { MAX_MESSAGE_CHARS } from "./execution-insert.ts";
import { reasonNumber, StateNumber, shardOf, stateNumber, stopReasonNumber } from "./execution-row.ts";
import { failureText } from "./execution-text.ts";
import { updateRows } from "./many-rows.ts";
import type { SqlSession, SqlValue } from "./session.ts";
import { noteEnds } from "./unsuccessful-ends.ts";

/** What is known of an attempt's end: all of a result, or that its executor was lost. */
export type Ending = Pick<AttemptResult, "startUs" | "exitCode" | "output" | "errorOutput" | "outputPieceCount"> & {
  readonly key: AttemptKey;
  readonly end: AttemptEnd;
  /** By the executor's clock; null when nobody knows. */
  readonly endUs: number | null;
  /** Replaces the reason of FAILED (rule 4); null leaves it. */
  readonly failedReason: StateReason | null;
};

/** An execution whose current attempt has ended, and what follows. */
export type EndedExecution = {
  readonly key: AttemptKey;
  readonly ending: Ending;
  readonly settlement: Settlement;
  readonly stop: Stop | null;
  readonly jobId: string | null;
  readonly executorId: string;
  readonly incarnation: string;
  readonly routeId: RouteId;
  readonly dispatchUs: number;
  /** Start of this attempt; null when it never started. */
  readonly attemptStartUs: number | null;
  /** Start of the first attempt. */
  readonly startUs: number | null;
  /** When it is due again, while it waits; null when it is ready at once or has ended. */
  readonly readyUs: number | null;
  /** True when it held its gates till now. */
  readonly gatesHeld: boolean;
  /** True when its start had a limit, which its row still has. */
  readonly hadStartDeadline: boolean;
  /** When its next attempt must have started; null when there is none, or no limit. */
  readonly startDeadlineUs: number | null;
  /** When no retry begins any more; null for no limit. */
  readonly giveUpUs: number | null;
  /** When it is deleted by its own retention; null when it has none, or goes on. */
  readonly expireUs: number | null;
  /** What stands for its unique key; null when it has none. */
  readonly uniqueHash: string | null;
};

/**
 * The usual end: the first attempt succeeded, and there is nothing to clear.
 * Few and narrow columns: on MySQL an update of many rows puts what it sets
 * into a temporary table first.
 */
const SUCCESS_UPDATE = {
  table: "executions",
  keys: ["execution_id"],
  set: ["ended_us", "start_us"],
  also: `state = ${StateNumber.SUCCEEDED}, active_executor = NULL, counted_attempts = t.counted_attempts + 1,
    change_number = t.change_number + 1`,
} as const;

/** The same with an answer. */
const ANSWER_UPDATE = { ...SUCCESS_UPDATE, set: [...SUCCESS_UPDATE.set, "result"] } as const;

/** All else. What is READY again keeps its ready_us, and so its place in the queue. */
const GENERAL_SET = [
  "state",
  "state_reason",
  "state_message",
  "ended_us",
  "timer_shard",
  "claim_route",
  "start_us",
  "counted_attempts",
  "loss_count",
  "return_streak",
  "stop_reason",
  "stop_message",
  "stop_us",
  "gates_held",
  "result",
  "failure",
  "start_deadline_us",
  "give_up_us",
  "expire_us",
  "live_unique_key",
] as const;
const GENERAL_UPDATE = {
  table: "executions",
  keys: ["execution_id"],
  set: GENERAL_SET,
  also: "active_executor = NULL, change_number = t.change_number + 1",
} as const;
const WAITING_UPDATE = { ...GENERAL_UPDATE, set: [...GENERAL_SET, "ready_us"] } as const;

/** Writes the next state of executions that this transaction has locked. */
export async function updateEnded(session: SqlSession, ended: readonly EndedExecution[], nowUs: number): Promise<void> {
  const success: SqlValue[][] = [];
  const answered: SqlValue[][] = [];
  const general: SqlValue[][] = [];
  const waiting: SqlValue[][] = [];
  for (const one of ended) {
    const { key, ending, startUs, readyUs } = one;
    if (ending.end.kind === "succeeded" && isUsual(one)) {
      const row = [key.executionId, nowUs, startUs];
      if (ending.end.result.length === 0) success.push(row);
      else answered.push([...row, ending.end.result]);
    } else if (readyUs !== null) waiting.push([...generalRow(one, nowUs), readyUs]);
    else general.push(generalRow(one, nowUs));
  }
  await updateRows(session, SUCCESS_UPDATE, success);
  await updateRows(session, ANSWER_UPDATE, answered);
  await updateRows(session, GENERAL_UPDATE, general);
  await updateRows(session, WAITING_UPDATE, waiting);
  await noteEnds(session, ended.filter(isUnsuccessful).map(idOf));
}

function isUnsuccessful({ settlement: { state } }: EndedExecution): boolean {
  return isFinal(state) && state !== "SUCCEEDED";
}

function idOf({ key }: EndedExecution): ExecutionId {
  return key.executionId;
}

/** True when a success has nothing to clear, and no time of its own to be deleted at. */
function isUsual(one: EndedExecution): boolean {
  const hasNothing = one.stop === null && !one.gatesHeld && !one.hadStartDeadline && one.expireUs === null;
  return one.key.attempt === 1 && hasNothing && one.uniqueHash === null;
}

function generalRow(one: EndedExecution, nowUs: number): SqlValue[] {
  const { key, ending, settlement } = one;
  const ends = isFinal(settlement.state);
  // A caller's wish to cancel stays to be seen; other stops were for the attempt that has ended.
  const stop = ends && one.stop?.reason === "CANCEL" ? one.stop : null;
  return [
    key.executionId,
    stateNumber(settlement.state),
    reasonNumber(settlement.reason),
    settlement.state === "READY" ? "" : storableText(settlement.message, MAX_MESSAGE_CHARS),
    ends ? nowUs : null,
    settlement.state === "SCHEDULED" ? shardOf(key.executionId) : null,
    settlement.state === "READY" ? one.routeId : null,
    one.startUs,
    settlement.countedAttempts,
    settlement.lossCount,
    settlement.returnStreak,
    stop === null ? 0 : stopReasonNumber(stop.reason),
    stop === null ? "" : stop.message,
    stop === null ? null : stop.timeUs,
    one.gatesHeld && !ends && !isCalledBack(settlement) ? 1 : null,
    ending.end.kind === "succeeded" && ending.end.result.length > 0 ? ending.end.result : null,
    failureText(settlement.failure),
    one.startDeadlineUs,
    one.giveUpUs,
    one.expireUs,
    ends ? null : one.uniqueHash,
  ];
}
