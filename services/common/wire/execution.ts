import {
  type Attempt as AttemptMessage,
  type Cause as CauseNumber,
  type Execution as ExecutionMessage,
  type StateReason as ReasonNumber,
  ReturnReason as ReturnNumber,
  type ExecutionState as StateNumber,
} from "../../../gen/jobmesh/v1/execution.ts";
import type { Attempt } from "../domain/attempt.ts";
import {
  CAUSES,
  type Cause,
  EXECUTION_STATES,
  type Execution,
  type ExecutionState,
  STATE_REASONS,
  type StateReason,
} from "../domain/execution.ts";
import { failureToStatus } from "./failure.ts";
import { policyToMessage } from "./policy.ts";
import { targetToBasicMessage, targetToMessage } from "./target.ts";
import { optionalTimestamp, timestampOfUs } from "./time.ts";

/** The entry of a number; ts-proto reads a number that it does not know as itself or as -1. */
function at<T>(entries: readonly T[], number: number): T | undefined {
  return number < 0 ? undefined : entries[number];
}

/** Number of a state in the contract. */
export function stateNumber(state: ExecutionState): StateNumber {
  return EXECUTION_STATES.indexOf(state) as StateNumber;
}

/** A state of the contract; null for UNSPECIFIED and numbers that this version does not know. */
export function stateOfNumber(number: StateNumber): ExecutionState | null {
  const state = at(EXECUTION_STATES, number);
  return state === undefined || state === "UNSPECIFIED" ? null : state;
}

/** A reason of the contract; null for a number that this version does not know. */
export function reasonOfNumber(number: ReasonNumber): StateReason | null {
  return at(STATE_REASONS, number) ?? null;
}

/** A cause of the contract; null for UNSPECIFIED and numbers that this version does not know. */
export function causeOfNumber(number: CauseNumber): Cause | null {
  const cause = at(CAUSES, number);
  return cause === undefined || cause === "UNSPECIFIED" ? null : cause;
}

/** Trace id of a W3C traceparent; empty when there is none. */
function traceIdOf(traceparent: string): string {
  return traceparent.split("-")[1] ?? "";
}

/** An execution as the contract shows it; without payloads, result and error details unless `full`. */
export function executionToMessage(execution: Execution, full: boolean): ExecutionMessage {
  return {
    ...identityOf(execution),
    ...progressOf(execution),
    target: full ? targetToMessage(execution.target) : targetToBasicMessage(execution.target),
    policy: policyToMessage(execution.policy),
    result: full && execution.result !== null ? Buffer.from(execution.result) : Buffer.alloc(0),
    error: errorOf(execution, full),
    resultJson: undefined,
    shardIndex: 0,
    shardCount: 0,
    progressFraction: execution.progress?.fraction ?? 0,
    progressMessage: execution.progress?.message ?? "",
    parentExecutionId: "",
    retryOfExecutionId: execution.retryOf ?? "",
    parameters: { ...execution.parameters },
    childCount: 0,
  };
}

function errorOf(execution: Execution, full: boolean): ExecutionMessage["error"] {
  if (execution.failure === null) return undefined;
  const status = failureToStatus(execution.failure);
  return full ? status : { ...status, details: [] };
}

function identityOf(execution: Execution) {
  return {
    executionId: execution.executionId,
    namespace: execution.namespace,
    jobId: execution.jobId ?? "",
    jobUid: execution.jobUid ?? "",
    jobRevision: BigInt(execution.jobRevision),
    name: execution.name,
    labels: { ...execution.labels },
    cause: CAUSES.indexOf(execution.cause) as CauseNumber,
    traceId: traceIdOf(execution.traceparent),
    scheduledTime: timestampOfUs(execution.scheduledUs),
    createTime: timestampOfUs(execution.createUs),
    mergedCount: BigInt(execution.mergedCount),
    mergedUntilTime: optionalTimestamp(execution.mergedUntilUs),
  };
}

function progressOf(execution: Execution) {
  const waitsAgain = execution.state === "SCHEDULED" && execution.attempt > 0;
  return {
    state: stateNumber(execution.state),
    stateReason: STATE_REASONS.indexOf(execution.stateReason) as ReasonNumber,
    stateMessage: execution.stateMessage,
    readyTime: execution.state === "SCHEDULED" ? undefined : optionalTimestamp(execution.readyUs),
    startTime: optionalTimestamp(execution.startUs),
    endTime: optionalTimestamp(execution.endedUs),
    nextAttemptTime: waitsAgain ? optionalTimestamp(execution.readyUs) : undefined,
    attempt: execution.attempt,
    countedAttempts: execution.countedAttempts,
    executorId: execution.executorId ?? "",
    lossCount: execution.lossCount,
    cancelRequestTime: execution.stop?.reason === "CANCEL" ? timestampOfUs(execution.stop.timeUs) : undefined,
    changeNumber: BigInt(execution.changeNumber),
  };
}

const returnNumbers = {
  NOT_STARTED: ReturnNumber.RETURN_REASON_NOT_STARTED,
  CUT_OFF: ReturnNumber.RETURN_REASON_CUT_OFF,
  UNKNOWN: ReturnNumber.RETURN_REASON_UNKNOWN,
} as const;

/** An attempt as the contract shows it. */
export function attemptToMessage(attempt: Attempt): AttemptMessage {
  return {
    executionId: attempt.key.executionId,
    attempt: attempt.key.attempt,
    executorId: attempt.executorId,
    incarnation: attempt.incarnation,
    state: stateNumber(attempt.state),
    dispatchTime: timestampOfUs(attempt.dispatchUs),
    startTime: optionalTimestamp(attempt.startUs),
    endTime: optionalTimestamp(attempt.endUs),
    exitCode: attempt.exitCode ?? undefined,
    output: attempt.output,
    errorOutput: attempt.errorOutput,
    error: attempt.failure === null ? undefined : failureToStatus(attempt.failure),
    counted: attempt.counted,
    returnReason:
      attempt.returnReason === null ? ReturnNumber.RETURN_REASON_UNSPECIFIED : returnNumbers[attempt.returnReason],
  };
}
