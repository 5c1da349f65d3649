import type { Failure } from "./failure.ts";
import type { ExecutionId, ExecutorId, Fence, Incarnation, JobUid, RouteId } from "./identifier.ts";
import type { Parameters } from "./parameter.ts";
import type { ExecutionPolicy } from "./policy.ts";
import type { OverlapPolicy } from "./schedule/schedule.ts";
import type { Target } from "./target.ts";

/** States of an execution; the place of each is its number in the contract and in the store. */
export const EXECUTION_STATES = [
  "UNSPECIFIED",
  "SCHEDULED",
  "READY",
  "DISPATCHED",
  "RUNNING",
  "SUCCEEDED",
  "FAILED",
  "TIMED_OUT",
  "CANCELLED",
  "SKIPPED",
  "EXPIRED",
  "LOST",
] as const;
/** Where an execution stands. */
export type ExecutionState = Exclude<(typeof EXECUTION_STATES)[number], "UNSPECIFIED">;

/** Why an execution stands there; the place of each is its number in the contract and in the store. */
export const STATE_REASONS = [
  "UNSPECIFIED",
  "OVERLAP",
  "MISSED",
  "OUTSIDE_CATCHUP_WINDOW",
  "PAUSED",
  "CALENDAR",
  "NO_MATCHING_EXECUTOR",
  "NO_FREE_SLOT",
  "CONCURRENCY_LIMIT",
  "RETRY_BACKOFF",
  "TARGET_FAILED",
  "TIMEOUT",
  "EXECUTOR_LOST",
  "START_DEADLINE",
  "CANCEL_REQUESTED",
  "SUPERSEDED",
  "JOB_DELETED",
  "LOSS_LIMIT",
  "KEY_LIMIT",
  "BEHIND_EARLIER",
  "RETRY_DURATION",
  "RESULT_UNSTORABLE",
  "RESTORED",
] as const;
/** Why an execution stands where it does; "UNSPECIFIED" is plain progress. */
export type StateReason = (typeof STATE_REASONS)[number];

/** What made an execution; the place of each is its number in the contract and in the store. */
export const CAUSES = ["UNSPECIFIED", "SCHEDULE", "RUN_JOB", "SUBMIT", "BACKFILL", "RETRY_EXECUTION"] as const;
/** What made an execution. */
export type Cause = Exclude<(typeof CAUSES)[number], "UNSPECIFIED">;

/** Why an attempt has to end; the place of each is its number in the contract and in the store. */
export const STOP_REASONS = ["UNSPECIFIED", "CANCEL", "PAUSED", "SUPERSEDED", "TIMEOUT", "REROUTE"] as const;
/** Why an attempt has to end (rule 25). */
export type StopReason = Exclude<(typeof STOP_REASONS)[number], "UNSPECIFIED">;

/**
 * The transitions of an execution, as data: the diagram in ARCHITECTURE.md and
 * the tests come from it. A state that leads nowhere is final.
 */
export const TRANSITIONS: Readonly<Record<ExecutionState, readonly ExecutionState[]>> = {
  SCHEDULED: ["READY", "CANCELLED", "SKIPPED", "EXPIRED", "FAILED", "TIMED_OUT"],
  // Back to SCHEDULED only by REPLACE_WAITING with a later time (rule 5).
  READY: ["SCHEDULED", "DISPATCHED", "CANCELLED", "SKIPPED", "EXPIRED", "FAILED", "TIMED_OUT"],
  DISPATCHED: ["RUNNING", "READY", "SCHEDULED", "SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED", "SKIPPED", "LOST"],
  RUNNING: ["READY", "SCHEDULED", "SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED", "LOST"],
  SUCCEEDED: [],
  FAILED: [],
  TIMED_OUT: [],
  CANCELLED: [],
  SKIPPED: [],
  EXPIRED: [],
  LOST: [],
};

/** True for a state that never changes. */
export function isFinal(state: ExecutionState): boolean {
  return TRANSITIONS[state].length === 0;
}

/** A stop that is set on an active execution. */
export type Stop = { readonly reason: StopReason; readonly message: string; readonly timeUs: number };

/** What a submission, a fire or RunJob makes. Everything else of an Execution starts at its zero. */
export type NewExecution = {
  readonly executionId: ExecutionId;
  readonly namespace: string;
  /** null when it was submitted without a job. */
  readonly jobId: string | null;
  readonly jobUid: JobUid | null;
  readonly jobRevision: number;
  readonly name: string;
  readonly cause: Cause;
  readonly target: Target;
  readonly policy: ExecutionPolicy;
  readonly labels: Readonly<Record<string, string>>;
  /** Values for the target's templates. */
  readonly parameters?: Parameters;
  readonly routeId: RouteId;
  /** Nominal time: whole milliseconds, in microseconds. */
  readonly scheduledUs: number;
  /** When it becomes ready; later than `scheduledUs` by jitter. Not later than now: it is READY at once. */
  readonly readyUs: number;
  /** Sorted; empty for one without gates (rule 7). */
  readonly gateKeys: readonly string[];
  /** What happens when it becomes ready while its job gate is held. */
  readonly overlap: OverlapPolicy;
  /** Nominal times that this one stands for besides its own. */
  readonly mergedCount: number;
  readonly mergedUntilUs: number | null;
  /** The execution that RetryExecution repeats by it; none for all others. */
  readonly retryOf?: ExecutionId | null;
  /** W3C trace context that the execution's attempts continue. */
  readonly traceparent: string;
  readonly tracestate: string;
};

/** Execution is one firing of a job, or one submission without a definition. Times in microseconds, mesh time. */
export type Execution = Omit<NewExecution, "readyUs" | "retryOf"> & {
  readonly retryOf: ExecutionId | null;
  readonly state: ExecutionState;
  readonly stateReason: StateReason;
  readonly stateMessage: string;
  /** When it became ready, or will. */
  readonly readyUs: number | null;
  /** Its next attempt must have started by then; null while there is no such limit (rule 24). */
  readonly startDeadlineUs: number | null;
  /** When its first attempt started, by the executor's clock. */
  readonly startUs: number | null;
  readonly endedUs: number | null;
  readonly createUs: number;
  /** Number of its current or last attempt; 0 before the first. */
  readonly attempt: number;
  readonly fence: Fence | null;
  readonly executorId: ExecutorId | null;
  readonly incarnation: Incarnation | null;
  readonly dispatchUs: number | null;
  readonly countedAttempts: number;
  readonly lossCount: number;
  /** Attempts in a row that came back without an outcome (rule 21). */
  readonly returnStreak: number;
  readonly stop: Stop | null;
  readonly result: Uint8Array | null;
  readonly failure: Failure | null;
  /** The first of its gates without room; null when it waits for none. */
  readonly blockedKey: string | null;
  /** How far its current or last attempt says it is, 0 to 1; null when that has said nothing. */
  readonly progress: { readonly fraction: number; readonly message: string } | null;
  /** Counts its changes, from 1. */
  readonly changeNumber: number;
};
