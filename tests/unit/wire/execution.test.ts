import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Cause,
  ExecutionState,
  Execution as Message,
  ReturnReason,
  StateReason,
} from "../../../gen/jobmesh/v1/execution.ts";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { command } from "../../../services/client/targets.ts";
import type { Attempt } from "../../../services/common/domain/attempt.ts";
import { CAUSES, EXECUTION_STATES, type Execution, STATE_REASONS } from "../../../services/common/domain/execution.ts";
import type { ExecutorId, Fence, Incarnation } from "../../../services/common/domain/identifier.ts";
import {
  attemptToMessage,
  causeOfNumber,
  executionToMessage,
  reasonOfNumber,
  stateNumber,
  stateOfNumber,
} from "../../../services/common/wire/execution.ts";
import { targetOfBytes } from "../../../services/common/wire/target-head.ts";
import { sampleExecution } from "./samples.ts";

const NOW_US = 1_767_225_600_123_456;
const target = targetOfBytes(Target.encode(command("echo", { args: ["x"] })).finish());

function execution(changes: Partial<Execution> = {}): Execution {
  return sampleExecution({
    ...{ target, labels: { a: "1" }, traceparent: `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01` },
    ...changes,
  });
}

const shown = (changes: Partial<Execution>, full = true): Message =>
  Message.decode(Message.encode(executionToMessage(execution(changes), full)).finish());

/** Names of an enumeration of the contract by their numbers, without its prefix. */
function namesOf(enumeration: Readonly<Record<string, number>>, prefix: string): readonly string[] {
  const names: string[] = [];
  for (const [name, number] of Object.entries(enumeration)) {
    if (number >= 0) names[number] = name.slice(prefix.length);
  }
  return names;
}

test("states, reasons and causes have the contract's numbers and names", () => {
  assert.deepEqual(namesOf(ExecutionState, "EXECUTION_STATE_"), EXECUTION_STATES);
  assert.deepEqual(namesOf(StateReason, "STATE_REASON_"), STATE_REASONS);
  assert.deepEqual(namesOf(Cause, "CAUSE_"), CAUSES);
  assert.deepEqual(Object.values(ExecutionState).map(stateOfNumber), [null, ...EXECUTION_STATES.slice(1), null]);
  assert.deepEqual(Object.values(StateReason).map(reasonOfNumber), [...STATE_REASONS, null]);
  assert.deepEqual(Object.values(Cause).map(causeOfNumber), [null, ...CAUSES.slice(1), null]);
  assert.equal(stateNumber("LOST"), ExecutionState.EXECUTION_STATE_LOST);
  assert.equal(stateOfNumber(99 as ExecutionState), null);
});

test("one that waits for its time shows no ready time; one that waits for a retry shows when it is due", () => {
  const fresh = shown({ state: "SCHEDULED", readyUs: NOW_US + 1_000_000 });
  assert.deepEqual([fresh.readyTime, fresh.nextAttemptTime], [undefined, undefined]);
  const again = shown({ state: "SCHEDULED", attempt: 1, readyUs: NOW_US + 1_000_000 });
  assert.deepEqual(again.nextAttemptTime, { seconds: 1_767_225_601n, nanos: 123_456_000 });
  const ready = shown({ attempt: 1 });
  assert.deepEqual(
    [ready.readyTime, ready.nextAttemptTime],
    [{ seconds: 1_767_225_600n, nanos: 123_456_000 }, undefined],
  );
});

test("result and error details are of FULL alone; the trace is its identifier", () => {
  const failure = { code: 5, message: "m", reason: "grpc:NOT_FOUND" };
  const full = shown({ result: Buffer.from("r"), failure });
  assert.deepEqual([full.result.toString(), full.error?.details.length, full.traceId], ["r", 1, "ab".repeat(16)]);
  const basic = shown({ result: Buffer.from("r"), failure }, false);
  assert.deepEqual([basic.result.length, basic.error], [0, { code: 5, message: "m", details: [] }]);
  assert.equal(shown({ traceparent: "" }).traceId, "");
});

test("a caller's wish to cancel is shown with its time; other stops are not", () => {
  const stop = (reason: "CANCEL" | "TIMEOUT") => ({ reason, message: "", timeUs: 5_000_000 });
  assert.deepEqual(shown({ stop: stop("CANCEL") }).cancelRequestTime, { seconds: 5n, nanos: 0 });
  assert.equal(shown({ stop: stop("TIMEOUT") }).cancelRequestTime, undefined);
});

test("an attempt is shown with how it went, or why it came back", () => {
  const { executionId } = execution();
  const attempt: Attempt = {
    key: { executionId, attempt: 2, fence: 1n as Fence },
    executorId: "e" as ExecutorId,
    incarnation: "i" as Incarnation,
    state: "FAILED",
    dispatchUs: NOW_US,
    startUs: NOW_US + 1,
    endUs: NOW_US + 2,
    exitCode: 0,
    output: "out",
    errorOutput: "err",
    failure: { code: 2, message: "m", reason: "" },
    counted: true,
    returnReason: null,
  };
  const message = attemptToMessage(attempt);
  assert.deepEqual(
    [message.executionId, message.attempt, message.executorId, message.incarnation, message.state, message.exitCode],
    [executionId, 2, "e", "i", ExecutionState.EXECUTION_STATE_FAILED, 0],
  );
  assert.deepEqual(message.endTime, { seconds: 1_767_225_600n, nanos: 123_458_000 });
  assert.equal(message.returnReason, ReturnReason.RETURN_REASON_UNSPECIFIED);
  const back = attemptToMessage({
    ...attempt,
    state: "SKIPPED",
    startUs: null,
    exitCode: null,
    failure: null,
    returnReason: "CUT_OFF",
  });
  assert.deepEqual([back.startTime, back.exitCode, back.error], [undefined, undefined, undefined]);
  assert.equal(back.returnReason, ReturnReason.RETURN_REASON_CUT_OFF);
});
