import { assert } from "../../domain/assert.ts";
import {
  CAUSES,
  type Cause,
  EXECUTION_STATES,
  type Execution,
  type ExecutionState,
  STATE_REASONS,
  STOP_REASONS,
  type StateReason,
  type Stop,
  type StopReason,
} from "../../domain/execution.ts";
import type { ExecutionId, ExecutorId, Fence, Incarnation, JobUid, RouteId } from "../../domain/identifier.ts";
import { SHARD_COUNT } from "../../domain/job.ts";
import type { Target, TargetKind } from "../../domain/target.ts";
import { parseFailure, parseLabels, parseParameters, parsePolicy, parseProgress } from "./execution-text.ts";
import { big, bytes, bytesOrNull, int, intOrNull, text, textOrNull } from "./row-reader.ts";
import type { Row } from "./session.ts";

/**
 * How an execution stands in its row. States, reasons and causes are the
 * numbers of the contract; a fence is 16 hex digits; the 63 bits of a route are
 * read as text, as SQLite's driver would round them.
 */

/** Kinds of target by their number in target_kind. */
const TARGET_KINDS: readonly (TargetKind | "")[] = ["", "command", "handler", "grpc", "http"];
/** Overlap policies by their number in the contract. */
const OVERLAPS = ["", "SKIP", "ALLOW", "QUEUE_ONE", "QUEUE_ALL", "CANCEL_RUNNING"] as const;

/** States as numbers, for SQL. */
export const StateNumber = {
  SCHEDULED: stateNumber("SCHEDULED"),
  READY: stateNumber("READY"),
  DISPATCHED: stateNumber("DISPATCHED"),
  RUNNING: stateNumber("RUNNING"),
  SUCCEEDED: stateNumber("SUCCEEDED"),
  FAILED: stateNumber("FAILED"),
  TIMED_OUT: stateNumber("TIMED_OUT"),
  CANCELLED: stateNumber("CANCELLED"),
  SKIPPED: stateNumber("SKIPPED"),
  EXPIRED: stateNumber("EXPIRED"),
} as const;

/** "(1, 2)": the states of what waits, which alone is expired (rule 24). */
export const WAITING_STATES = `(${StateNumber.SCHEDULED}, ${StateNumber.READY})`;
/** "(3, 4)": the states with a current attempt (rule 2). */
export const ACTIVE_STATES = `(${StateNumber.DISPATCHED}, ${StateNumber.RUNNING})`;

const HEAD_COLUMNS = `execution_id, namespace, job_id, job_uid, job_revision, name, cause, state, state_reason,
 state_message, target_kind, target_method, target_summary, policy, labels, CAST(route_id AS CHAR) AS route_id,
 claim_rank, scheduled_us, ready_us, overlap, gate_keys, waiting_gate, attempt, fence, executor_id, incarnation,
 dispatch_us, start_us, ended_us, create_us, counted_attempts, loss_count, return_streak, timeout_ms, stop_reason,
 stop_message, stop_us, failure, merged_count, merged_until_us, traceparent, tracestate, change_number,
 start_deadline_us, retry_of, parameters, progress`;
/** Columns of a whole execution. */
export const FULL_COLUMNS = `${HEAD_COLUMNS}, target, result`;
/** Columns of an execution without its target's bytes and its result. */
export const BASIC_COLUMNS = HEAD_COLUMNS;
/** The same with the size of the parameters in their place, which may be long: NULL when there are none. */
export const LISTED_COLUMNS = HEAD_COLUMNS.replace(
  " parameters,",
  " NULL AS parameters, LENGTH(parameters) AS parameters_size,",
);

const NO_BYTES = new Uint8Array(0);

/** The execution of a row of FULL_COLUMNS or, without bytes, of BASIC_COLUMNS. */
export function executionOf(row: Row): Execution {
  return {
    executionId: text(row, "execution_id") as ExecutionId,
    namespace: text(row, "namespace"),
    jobId: textOrNull(row, "job_id"),
    jobUid: textOrNull(row, "job_uid") as JobUid | null,
    jobRevision: int(row, "job_revision"),
    name: text(row, "name"),
    cause: causeOf(int(row, "cause")),
    state: stateOf(int(row, "state")),
    stateReason: reasonOf(int(row, "state_reason")),
    stateMessage: text(row, "state_message"),
    target: targetOf(row),
    policy: parsePolicy(text(row, "policy"), int(row, "claim_rank"), int(row, "timeout_ms")),
    labels: parseLabels(text(row, "labels")),
    parameters: parseParameters(textOrNull(row, "parameters")),
    routeId: big(row, "route_id") as RouteId,
    scheduledUs: int(row, "scheduled_us"),
    readyUs: intOrNull(row, "ready_us"),
    startDeadlineUs: intOrNull(row, "start_deadline_us"),
    gateKeys: gateKeysOf(textOrNull(row, "gate_keys")),
    blockedKey: textOrNull(row, "waiting_gate"),
    overlap: overlapOf(int(row, "overlap")),
    attempt: int(row, "attempt"),
    fence: fenceOrNull(row),
    executorId: textOrNull(row, "executor_id") as ExecutorId | null,
    incarnation: textOrNull(row, "incarnation") as Incarnation | null,
    dispatchUs: intOrNull(row, "dispatch_us"),
    startUs: intOrNull(row, "start_us"),
    endedUs: intOrNull(row, "ended_us"),
    createUs: int(row, "create_us"),
    countedAttempts: int(row, "counted_attempts"),
    lossCount: int(row, "loss_count"),
    returnStreak: int(row, "return_streak"),
    stop: stopOf(row),
    result: resultOf(row),
    failure: parseFailure(textOrNull(row, "failure")),
    mergedCount: int(row, "merged_count"),
    mergedUntilUs: intOrNull(row, "merged_until_us"),
    retryOf: textOrNull(row, "retry_of") as ExecutionId | null,
    progress: parseProgress(textOrNull(row, "progress"), int(row, "attempt")),
    traceparent: text(row, "traceparent"),
    tracestate: text(row, "tracestate"),
    changeNumber: int(row, "change_number"),
  };
}

/** What it returned: an empty answer is stored as NULL. */
function resultOf(row: Row): Uint8Array | null {
  if (!("result" in row)) return null;
  return bytesOrNull(row, "result") ?? (int(row, "state") === StateNumber.SUCCEEDED ? NO_BYTES : null);
}

/** The stop of a row with stop_reason, stop_message and stop_us. */
export function stopOf(row: Row): Stop | null {
  const reason = int(row, "stop_reason");
  if (reason === 0) return null;
  return { reason: stopReasonOf(reason), message: text(row, "stop_message"), timeUs: int(row, "stop_us") };
}

function targetOf(row: Row): Target {
  const kind = TARGET_KINDS[int(row, "target_kind")];
  assert(kind !== undefined && kind !== "", "unknown target_kind");
  const method = text(row, "target_method");
  return {
    kind,
    method,
    summary: text(row, "target_summary"),
    bytes: "target" in row ? bytes(row, "target") : NO_BYTES,
  };
}

function fenceOrNull(row: Row): Fence | null {
  const hex = textOrNull(row, "fence");
  return hex === null ? null : fenceOf(hex);
}

/** A fence as its column has it. */
export function fenceText(fence: Fence): string {
  return fence.toString(16).padStart(16, "0");
}

/** The fence that a column stands for. */
export function fenceOf(hex: string): Fence {
  return BigInt(`0x${hex}`) as Fence;
}

/** Gate keys of the column, sorted; empty for NULL. */
export function gateKeysOf(column: string | null): readonly string[] {
  return column === null ? NO_KEYS : column.split("\n");
}

const NO_KEYS: readonly string[] = Object.freeze([]);

/** Timer shard of an execution: the last byte of its identifier, which is random or a hash. */
export function shardOf(executionId: ExecutionId): number {
  return Number.parseInt(executionId.slice(-2), 16) % SHARD_COUNT;
}

/** Number of a state. */
export function stateNumber(state: ExecutionState): number {
  return EXECUTION_STATES.indexOf(state);
}

/** State of a number. */
export function stateOf(number: number): ExecutionState {
  const state = EXECUTION_STATES[number];
  assert(state !== undefined && state !== "UNSPECIFIED", `unknown state ${number}`);
  return state;
}

/** Number of a reason. */
export function reasonNumber(reason: StateReason): number {
  return STATE_REASONS.indexOf(reason);
}

function reasonOf(number: number): StateReason {
  const reason = STATE_REASONS[number];
  assert(reason !== undefined, `unknown state_reason ${number}`);
  return reason;
}

/** Number of a cause. */
export function causeNumber(cause: Cause): number {
  return CAUSES.indexOf(cause);
}

function causeOf(number: number): Cause {
  const cause = CAUSES[number];
  assert(cause !== undefined && cause !== "UNSPECIFIED", `unknown cause ${number}`);
  return cause;
}

/** Number of a stop reason. */
export function stopReasonNumber(reason: StopReason): number {
  return STOP_REASONS.indexOf(reason);
}

function stopReasonOf(number: number): StopReason {
  const reason = STOP_REASONS[number];
  assert(reason !== undefined && reason !== "UNSPECIFIED", `unknown stop_reason ${number}`);
  return reason;
}

/** Number of a target kind. */
export function targetKindNumber(kind: TargetKind): number {
  return TARGET_KINDS.indexOf(kind);
}

/** Number of an overlap policy. */
export function overlapNumber(overlap: Execution["overlap"]): number {
  return OVERLAPS.indexOf(overlap);
}

/** Overlap policy of a number. */
export function overlapOf(number: number): Execution["overlap"] {
  const overlap = OVERLAPS[number];
  assert(overlap !== undefined && overlap !== "", `unknown overlap ${number}`);
  return overlap;
}
