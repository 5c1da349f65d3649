import { unreachable } from "./assert.ts";
import type { AttemptOutcome, AttemptState, ReturnReason } from "./attempt.ts";
import type { ExecutionState, StateReason, Stop } from "./execution.ts";
import { DEFAULT_NON_RETRYABLE, type Failure, FailureCode } from "./failure.ts";
import type { ExecutionPolicy, RetryPolicy } from "./policy.ts";

/** Between losses of executors an execution waits this long, doubled each time (rule 26). */
const LOSS_BACKOFF_MS = 1_000;
/** Attempts in a row that come back before the next one waits (rule 21). */
const FREE_RETURNS = 2;
const RETURN_BACKOFF_MS = 500;
const MAX_RETURN_BACKOFF_MS = 10_000;

/** What the end of an attempt depends on. */
export type ActiveExecution = {
  readonly state: ExecutionState;
  readonly policy: ExecutionPolicy;
  readonly countedAttempts: number;
  readonly lossCount: number;
  readonly returnStreak: number;
  readonly stop: Stop | null;
  /** The store has the start of the attempt, and who ends it knows of none. */
  readonly startForgotten: boolean;
  /** Until nothing may be tried again any more by retry.max_duration, milliseconds, below 0 when it is past; null for no limit. */
  readonly retryTimeLeftMs: number | null;
  /** Until the time that a fire sent ahead is held for, milliseconds, below 0 when it has come; null or unset for all else. */
  readonly holdLeftMs?: number | null;
};

/** How an attempt ended, or that its executor was lost. */
export type AttemptEnd = AttemptOutcome | { readonly kind: "lost"; readonly message: string };

/** Settlement is what the end of an attempt makes of its execution and of its own row. */
export type Settlement = {
  readonly state: ExecutionState;
  readonly reason: StateReason;
  readonly message: string;
  /** Wait before the next attempt in milliseconds; null when the state is final. */
  readonly delayMs: number | null;
  readonly countedAttempts: number;
  readonly lossCount: number;
  readonly returnStreak: number;
  readonly failure: Failure | null;
  readonly attemptState: AttemptState;
  readonly counted: boolean;
  readonly returnReason: ReturnReason | null;
};

/**
 * Rules 21, 24, 25, 26: what follows the end of an attempt. SUCCEEDED stays.
 * Otherwise a CANCEL ends as CANCELLED whatever ended the attempt; a TIMEOUT
 * ends it as TIMED_OUT and then asks the retry policy; what was returned, or
 * stopped by REROUTE, runs again and is not counted; what was lost runs again by
 * policy. An executor that says NOT_STARTED of what it once said it had started
 * has forgotten the key, and nobody knows the outcome: Kafka lost the result and
 * gave its offset to another record (rules 17, 27).
 *
 * @param random draws in [0, 1) for the retry's jitter.
 */
export function settle(execution: ActiveExecution, said: AttemptEnd, random: () => number): Settlement {
  const end = execution.startForgotten ? unlessForgotten(said) : said;
  if (end.kind === "succeeded") return ended(execution, "SUCCEEDED", "UNSPECIFIED", "", null, "SUCCEEDED", true);
  if (execution.stop?.reason === "CANCEL") return cancelled(execution, execution.stop, end);
  const stoppedByTimeout = execution.stop?.reason === "TIMEOUT";
  switch (end.kind) {
    case "failed":
    case "timed_out":
      return tried(execution, stoppedByTimeout ? timeoutOf(end.failure) : end, random);
    case "cancelled":
      if (stoppedByTimeout) return tried(execution, timeoutOf(end.failure), random);
      if (execution.stop?.reason === "REROUTE") {
        return returned(execution, { kind: "returned", reason: "CUT_OFF", message: end.failure.message });
      }
      return ended(execution, "CANCELLED", "CANCEL_REQUESTED", end.failure.message, end.failure, "CANCELLED", true);
    case "returned":
      if (end.reason === "UNKNOWN") return lost(execution, end.message, end.reason, random);
      // It had run past its timeout when it was cut off; NOT_STARTED had not run at all.
      if (end.reason === "CUT_OFF" && stoppedByTimeout) return tried(execution, timedOut(end.message), random);
      if (end.reason === "NOT_STARTED" && (execution.holdLeftMs ?? null) !== null && isCallBack(execution.stop)) {
        return calledBack(execution, execution.stop, end);
      }
      return returned(execution, end);
    case "lost":
      return lost(execution, end.message, null, random);
    default:
      return unreachable(end);
  }
}

/** Rule 25: a stop for what is held alone. */
export function isCallBack(stop: Stop | null): stop is Stop & { readonly reason: "PAUSED" | "SUPERSEDED" } {
  return stop?.reason === "PAUSED" || stop?.reason === "SUPERSEDED";
}

/**
 * Rule 11: it waits for its time again, and holds nothing. What becomes of it follows from its job as it is then, which
 * only a transaction that has locked the job can say.
 */
function calledBack(
  execution: ActiveExecution,
  stop: Stop & { readonly reason: "PAUSED" | "SUPERSEDED" },
  end: AttemptOutcome & { kind: "returned" },
): Settlement {
  return {
    ...again(execution, 0, stop.message, { attemptState: "SKIPPED", returnReason: end.reason }),
    state: "SCHEDULED",
    reason: stop.reason,
  };
}

/** True for a fire that was called back, until its job has said what becomes of it. */
export function isCalledBack({ state, reason }: Pick<Settlement, "state" | "reason">): boolean {
  return state === "SCHEDULED" && (reason === "PAUSED" || reason === "SUPERSEDED");
}

function unlessForgotten(end: AttemptEnd): AttemptEnd {
  if (end.kind !== "returned" || end.reason !== "NOT_STARTED") return end;
  return { ...end, reason: "UNKNOWN", message: "it had started, and its executor knows of it no more" };
}

/**
 * Wait before the attempt after `countedAttempts` failures, in milliseconds:
 * initial · multiplier^(n-1), at most max_interval, of which the part `jitter`
 * is drawn at random downwards.
 */
export function retryDelayMs(retry: RetryPolicy, countedAttempts: number, random: () => number): number {
  // Bounded before it is multiplied: what grows past all numbers, times nothing, is no number.
  const growth = Math.min(retry.multiplier ** Math.max(countedAttempts - 1, 0), Number.MAX_VALUE);
  const bounded = Math.min(retry.initialIntervalMs * growth, retry.maxIntervalMs);
  return Math.round(bounded * (1 - retry.jitter * random()));
}

/** What is said of an execution that retry.max_duration ended. */
export function retryDurationMessage({ retry }: ExecutionPolicy): string {
  return `no retry begins later than ${retry.maxDurationMs} ms after the first attempt`;
}

function timeoutOf(failure: Failure): AttemptOutcome {
  return { kind: "timed_out", failure: { ...failure, code: FailureCode.DEADLINE_EXCEEDED } };
}

function timedOut(message: string): AttemptOutcome {
  return { kind: "timed_out", failure: { code: FailureCode.DEADLINE_EXCEEDED, message, reason: "TIMEOUT" } };
}

function cancelled(execution: ActiveExecution, stop: Stop, end: AttemptEnd): Settlement {
  const failure = "failure" in end ? end.failure : { code: FailureCode.CANCELLED, message: stop.message, reason: "" };
  const isLoss = end.kind === "lost" || (end.kind === "returned" && end.reason === "UNKNOWN");
  const counted = end.kind !== "lost" && end.kind !== "returned";
  const attemptState = isLoss ? "LOST" : attemptStateOf(end);
  const settlement = ended(execution, "CANCELLED", "CANCEL_REQUESTED", stop.message, failure, attemptState, counted);
  return {
    ...settlement,
    lossCount: execution.lossCount + (isLoss ? 1 : 0),
    returnReason: end.kind === "returned" ? end.reason : null,
  };
}

function attemptStateOf(end: AttemptEnd): AttemptState {
  switch (end.kind) {
    case "returned":
      return "SKIPPED";
    case "cancelled":
      return "CANCELLED";
    case "timed_out":
      return "TIMED_OUT";
    case "lost":
      return "LOST";
    default:
      return "FAILED";
  }
}

/** A counted try that did not succeed: again if the policy allows, else the end. */
function tried(execution: ActiveExecution, end: AttemptOutcome, random: () => number): Settlement {
  if (end.kind !== "failed" && end.kind !== "timed_out") throw new TypeError(`not a failure: ${end.kind}`);
  const attemptState = end.kind === "timed_out" ? "TIMED_OUT" : "FAILED";
  const reason: StateReason = end.kind === "timed_out" ? "TIMEOUT" : "TARGET_FAILED";
  const { retry } = execution.policy;
  const countedAttempts = execution.countedAttempts + 1;
  const hopeless = end.kind === "failed" && (end.nonRetryable || isNonRetryable(retry, end.failure));
  if (hopeless || countedAttempts >= retry.maxAttempts) {
    return ended(execution, attemptState, reason, end.failure.message, end.failure, attemptState, true);
  }
  const asked = end.kind === "failed" ? end.retryDelayMs : null;
  const delayMs = asked ?? retryDelayMs(retry, countedAttempts, random);
  if (execution.retryTimeLeftMs !== null && delayMs > execution.retryTimeLeftMs) {
    const message = retryDurationMessage(execution.policy);
    return ended(execution, attemptState, "RETRY_DURATION", message, end.failure, attemptState, true);
  }
  return {
    state: "SCHEDULED",
    reason: "RETRY_BACKOFF",
    message: end.failure.message,
    delayMs,
    countedAttempts,
    lossCount: execution.lossCount,
    returnStreak: 0,
    failure: end.failure,
    attemptState,
    counted: true,
    returnReason: null,
  };
}

function isNonRetryable(retry: RetryPolicy, failure: Failure): boolean {
  if (retry.nonRetryableReasons.length > 0) return retry.nonRetryableReasons.includes(failure.reason);
  return DEFAULT_NON_RETRYABLE.has(failure.reason) || isHopelessHttp(failure.reason);
}

/** HTTP 4xx but 408, 425 and 429. */
function isHopelessHttp(reason: string): boolean {
  return /^http:4\d\d$/.test(reason) && !["http:408", "http:425", "http:429"].includes(reason);
}

/** Rule 21: handed back without an outcome; the next attempt is not counted, and from the third in a row it waits. */
function returned(execution: ActiveExecution, end: AttemptOutcome & { kind: "returned" }): Settlement {
  const returnStreak = execution.returnStreak + 1;
  const excess = returnStreak - FREE_RETURNS;
  const delayMs = excess > 0 ? Math.min(RETURN_BACKOFF_MS * 2 ** (excess - 1), MAX_RETURN_BACKOFF_MS) : 0;
  return again(execution, delayMs, end.message, { returnStreak, attemptState: "SKIPPED", returnReason: end.reason });
}

function lost(
  execution: ActiveExecution,
  message: string,
  returnReason: ReturnReason | null,
  random: () => number,
): Settlement {
  const lossCount = execution.lossCount + 1;
  const failure: Failure = { code: FailureCode.UNAVAILABLE, message, reason: "EXECUTOR_LOST" };
  const atLimit = lossCount >= execution.policy.maxLosses;
  if (atLimit || execution.policy.lostPolicy === "FAIL") {
    const reason: StateReason = execution.policy.lostPolicy === "FAIL" ? "EXECUTOR_LOST" : "LOSS_LIMIT";
    return { ...ended(execution, "LOST", reason, message, failure, "LOST", false), lossCount, returnReason };
  }
  // Rule 24: what follows a TIMEOUT waits for the answer or for declared loss; its time was over in either case.
  if (execution.stop?.reason === "TIMEOUT") {
    return { ...tried({ ...execution, lossCount }, timedOut(message), random), returnReason };
  }
  const parts = { lossCount, failure, attemptState: "LOST", returnReason } as const;
  // Its time had not come, so that it was not run: what becomes of it is its job's to say, as if it had come back.
  if ((execution.holdLeftMs ?? 0) > 0 && isCallBack(execution.stop)) {
    const { reason, message: why } = execution.stop;
    return { ...again(execution, 0, why, parts), state: "SCHEDULED", reason };
  }
  const delayMs = lossCount === 1 ? 0 : Math.min(LOSS_BACKOFF_MS * 2 ** (lossCount - 2), MAX_RETURN_BACKOFF_MS);
  return again(execution, delayMs, message, parts);
}

/** READY at once or SCHEDULED after a wait, as the next attempt, not counted. */
function again(
  execution: ActiveExecution,
  delayMs: number,
  message: string,
  parts: Pick<Settlement, "attemptState" | "returnReason"> & Partial<Settlement>,
): Settlement {
  // What came back before its time is not ready before it.
  const waitMs = Math.max(delayMs, execution.holdLeftMs ?? 0);
  return {
    state: waitMs > 0 ? "SCHEDULED" : "READY",
    reason: delayMs > 0 ? "RETRY_BACKOFF" : "UNSPECIFIED",
    message,
    delayMs: waitMs,
    countedAttempts: execution.countedAttempts,
    lossCount: execution.lossCount,
    returnStreak: 0,
    failure: null,
    counted: false,
    ...parts,
  };
}

function ended(
  execution: ActiveExecution,
  state: ExecutionState,
  reason: StateReason,
  message: string,
  failure: Failure | null,
  attemptState: AttemptState,
  counted: boolean,
): Settlement {
  return {
    state,
    reason,
    message,
    delayMs: null,
    countedAttempts: execution.countedAttempts + (counted ? 1 : 0),
    lossCount: execution.lossCount,
    returnStreak: 0,
    failure,
    attemptState,
    counted,
    returnReason: null,
  };
}
