import { assert } from "../../domain/assert.ts";
import { type Attempt, type AttemptState, MAX_OUTPUT_TAIL_BYTES, type ReturnReason } from "../../domain/attempt.ts";
import type { Failure } from "../../domain/failure.ts";
import type { AttemptKey, ExecutionId, ExecutorId, Incarnation } from "../../domain/identifier.ts";
import { storableTail } from "../../domain/storable-text.ts";
import { attemptStateOf, outputTail } from "./adopted-attempt.ts";
import { datetimeText } from "./datetime.ts";
import type { EndedExecution } from "./execution-end.ts";
import { fenceOf, fenceText, stateNumber } from "./execution-row.ts";
import { failureText, parseFailure } from "./execution-text.ts";
import { insertRows } from "./many-rows.ts";
import { flag, int, intOrNull, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlSession, SqlValue } from "./session.ts";

/**
 * job_logs: one row for each attempt that has ended, unique by (execution_id,
 * attempt). Its first columns are those that readers of the old tables know;
 * their DATETIME columns hold UTC with microseconds.
 */

/** Reasons by their number in return_reason; 0 is none. */
const RETURN_REASONS: readonly (ReturnReason | null)[] = [null, "NOT_STARTED", "CUT_OFF", "UNKNOWN"];

const COLUMNS = [
  "job_id",
  "executor_id",
  "status",
  "start_time",
  "end_time",
  "output",
  "error",
  "execution_id",
  "attempt",
  "fence",
  "incarnation",
  "dispatch_us",
  "start_us",
  "end_us",
  "exit_code",
  "error_output",
  "failure",
  "counted",
  "return_reason",
  "output_piece_count",
];

/** Inserts the rows of attempts that have ended, in the order of their executions. */
export async function insertAttempts(
  session: SqlSession,
  ended: readonly EndedExecution[],
  nowUs: number,
): Promise<void> {
  const sorted = ended.toSorted((a, b) => (a.key.executionId < b.key.executionId ? -1 : 1));
  await insertRows(
    session,
    "job_logs",
    COLUMNS,
    sorted.map((one) => attemptRow(one, nowUs)),
  );
}

function attemptRow(one: EndedExecution, nowUs: number): SqlValue[] {
  const { key, ending, settlement, attemptStartUs } = one;
  const endUs = ending.endUs ?? nowUs;
  const failure = attemptFailure(one);
  const errorOutput = storableTail(ending.errorOutput, MAX_OUTPUT_TAIL_BYTES);
  return [
    one.jobId ?? "",
    one.executorId,
    stateNumber(settlement.attemptState),
    attemptStartUs === null ? null : datetimeText(attemptStartUs),
    datetimeText(endUs),
    storableTail(ending.output, MAX_OUTPUT_TAIL_BYTES),
    failure === null ? errorOutput : storableTail(failure.message, MAX_OUTPUT_TAIL_BYTES),
    key.executionId,
    key.attempt,
    fenceText(key.fence),
    one.incarnation,
    one.dispatchUs,
    attemptStartUs,
    endUs,
    ending.exitCode,
    errorOutput,
    failureText(failure),
    settlement.counted ? 1 : 0,
    settlement.returnReason === null ? 0 : RETURN_REASONS.indexOf(settlement.returnReason),
    ending.outputPieceCount,
  ];
}

/** The attempt's own failure: what it reported, else what was made of its end. */
function attemptFailure({ ending, settlement }: EndedExecution): Failure | null {
  return "failure" in ending.end ? ending.end.failure : settlement.failure;
}

/** Columns that attemptOf reads. */
export const ATTEMPT_COLUMNS = `execution_id, attempt, fence, executor_id, incarnation, status, dispatch_us, start_us,
  end_us, exit_code, output, error_output, failure, counted, return_reason`;

const ATTEMPT_STATES: ReadonlySet<string> = new Set<AttemptState>([
  "DISPATCHED",
  "RUNNING",
  "SUCCEEDED",
  "FAILED",
  "TIMED_OUT",
  "CANCELLED",
  "LOST",
  "SKIPPED",
]);

/** The key of a row that has execution_id, attempt and fence. */
export function attemptKeyOf(row: Row): AttemptKey {
  return {
    executionId: text(row, "execution_id") as ExecutionId,
    attempt: int(row, "attempt"),
    fence: fenceOf(text(row, "fence")),
  };
}

/** The attempt of a row of job_logs. */
export function attemptOf(row: Row): Attempt {
  const state = attemptStateOf(int(row, "status"));
  assert(isAttemptState(state), `an attempt cannot be ${state}`);
  return {
    key: attemptKeyOf(row),
    executorId: text(row, "executor_id") as ExecutorId,
    incarnation: text(row, "incarnation") as Incarnation,
    state,
    dispatchUs: int(row, "dispatch_us"),
    startUs: intOrNull(row, "start_us"),
    endUs: int(row, "end_us"),
    exitCode: intOrNull(row, "exit_code"),
    output: outputTail(text(row, "output")),
    errorOutput: text(row, "error_output"),
    failure: parseFailure(textOrNull(row, "failure")),
    counted: flag(row, "counted"),
    returnReason: RETURN_REASONS[int(row, "return_reason")] ?? null,
  };
}

function isAttemptState(state: string): state is AttemptState {
  return ATTEMPT_STATES.has(state);
}
