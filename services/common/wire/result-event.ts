import { type BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { ResultEvent } from "../../../gen/jobmesh/v1/event.ts";
import { ExecutionState, ReturnReason } from "../../../gen/jobmesh/v1/execution.ts";
import { unreachable } from "../domain/assert.ts";
import type { AttemptOutcome, AttemptResult, ReturnReason as Returned } from "../domain/attempt.ts";
import { type Failure, FailureCode } from "../domain/failure.ts";
import type { ExecutorId, Incarnation } from "../domain/identifier.ts";
import { keyFromMessage, keyToMessage } from "./attempt-key.ts";
import { failureFromStatus, failureToStatus } from "./failure.ts";
import { asBuffer } from "./output.ts";
import { durationOfMs, msOfDuration, optionalTimestamp, timestampOfUs, usOfTimestamp } from "./time.ts";

const RETURN_NUMBERS: Readonly<Record<Returned, ReturnReason>> = {
  NOT_STARTED: ReturnReason.RETURN_REASON_NOT_STARTED,
  CUT_OFF: ReturnReason.RETURN_REASON_CUT_OFF,
  UNKNOWN: ReturnReason.RETURN_REASON_UNKNOWN,
};

const NO_BYTES = Buffer.alloc(0);
/** What a failed result without an error is read as. */
const NO_FAILURE: Failure = { code: FailureCode.UNKNOWN, message: "", reason: "" };

type OutcomeFields = Pick<ResultEvent, "state" | "result" | "error" | "nonRetryable" | "retryDelay" | "returnReason">;

/** A result for the wire. The trace context travels beside it. */
export function resultToMessage(result: AttemptResult): ResultEvent {
  return {
    key: keyToMessage(result.key),
    executorId: result.executorId,
    startTime: optionalTimestamp(result.startUs),
    endTime: timestampOfUs(result.endUs),
    exitCode: result.exitCode ?? undefined,
    output: result.output,
    errorOutput: result.errorOutput,
    incarnation: result.incarnation,
    outputPieceCount: BigInt(result.outputPieceCount),
    ...outcomeToFields(result.outcome),
  };
}

/** Reads a result. Throws TypeError when it names no attempt or says no outcome. */
export function resultFromMessage(message: ResultEvent, traceparent: string, tracestate = ""): AttemptResult {
  return {
    key: keyFromMessage(message.key),
    executorId: message.executorId as ExecutorId,
    incarnation: message.incarnation as Incarnation,
    outcome: outcomeFromFields(message),
    startUs: message.startTime === undefined ? null : usOfTimestamp(message.startTime),
    endUs: message.endTime === undefined ? 0 : usOfTimestamp(message.endTime),
    exitCode: message.exitCode ?? null,
    output: message.output,
    errorOutput: message.errorOutput,
    outputPieceCount: Number(message.outputPieceCount),
    traceparent,
    ...(tracestate === "" ? {} : { tracestate }),
  };
}

/** Serializes a result, for a record's value. */
export function encodeResult(result: AttemptResult): Uint8Array {
  return ResultEvent.encode(resultToMessage(result), new BinaryWriter()).finish();
}

/** Reads a record's value. Throws when it is no result. */
export function decodeResult(
  bytes: Uint8Array | BinaryReader,
  traceparent: string,
  tracestate?: string,
): AttemptResult {
  return resultFromMessage(ResultEvent.decode(bytes), traceparent, tracestate);
}

function outcomeToFields(outcome: AttemptOutcome): OutcomeFields {
  const fields: OutcomeFields = {
    state: ExecutionState.EXECUTION_STATE_UNSPECIFIED,
    result: NO_BYTES,
    error: undefined,
    nonRetryable: false,
    retryDelay: undefined,
    returnReason: ReturnReason.RETURN_REASON_UNSPECIFIED,
  };
  switch (outcome.kind) {
    case "succeeded":
      fields.state = ExecutionState.EXECUTION_STATE_SUCCEEDED;
      fields.result = asBuffer(outcome.result);
      return fields;
    case "failed":
      fields.state = ExecutionState.EXECUTION_STATE_FAILED;
      fields.error = failureToStatus(outcome.failure);
      fields.nonRetryable = outcome.nonRetryable;
      fields.retryDelay = outcome.retryDelayMs === null ? undefined : durationOfMs(outcome.retryDelayMs);
      return fields;
    case "timed_out":
      fields.state = ExecutionState.EXECUTION_STATE_TIMED_OUT;
      fields.error = failureToStatus(outcome.failure);
      return fields;
    case "cancelled":
      fields.state = ExecutionState.EXECUTION_STATE_CANCELLED;
      fields.error = failureToStatus(outcome.failure);
      return fields;
    case "returned":
      fields.returnReason = RETURN_NUMBERS[outcome.reason];
      if (outcome.message !== "") fields.error = { code: FailureCode.ABORTED, message: outcome.message, details: [] };
      return fields;
    default:
      return unreachable(outcome);
  }
}

function outcomeFromFields(message: OutcomeFields): AttemptOutcome {
  const returned = returnedOf(message.returnReason);
  if (returned !== null) return { kind: "returned", reason: returned, message: message.error?.message ?? "" };
  const failure = message.error === undefined ? NO_FAILURE : failureFromStatus(message.error);
  switch (message.state) {
    case ExecutionState.EXECUTION_STATE_SUCCEEDED:
      return { kind: "succeeded", result: message.result };
    case ExecutionState.EXECUTION_STATE_FAILED: {
      const retryDelayMs = message.retryDelay === undefined ? null : msOfDuration(message.retryDelay);
      return { kind: "failed", failure, nonRetryable: message.nonRetryable, retryDelayMs };
    }
    case ExecutionState.EXECUTION_STATE_TIMED_OUT:
      return { kind: "timed_out", failure };
    case ExecutionState.EXECUTION_STATE_CANCELLED:
      return { kind: "cancelled", failure };
    default:
      throw new TypeError(`state: is ${message.state}, which ends no attempt`);
  }
}

/** null when the attempt has an outcome. One that a newer executor returns for a reason unknown here is UNKNOWN. */
function returnedOf(reason: ReturnReason): Returned | null {
  switch (reason) {
    case ReturnReason.RETURN_REASON_UNSPECIFIED:
      return null;
    case ReturnReason.RETURN_REASON_NOT_STARTED:
      return "NOT_STARTED";
    case ReturnReason.RETURN_REASON_CUT_OFF:
      return "CUT_OFF";
    default:
      return "UNKNOWN";
  }
}
