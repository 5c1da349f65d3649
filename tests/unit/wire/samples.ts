import { Target } from "../../../gen/jobmesh/v1/job.ts";
import type { AttemptResult } from "../../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import type { Execution } from "../../../services/common/domain/execution.ts";
import type {
  AttemptKey,
  ExecutionId,
  ExecutorId,
  Fence,
  Incarnation,
} from "../../../services/common/domain/identifier.ts";
import { testExecution } from "../../support/new-execution.ts";

/** A key with a fence above 2^63, which signed readers get wrong. */
export const sampleKey: AttemptKey = {
  executionId: "0199f3f0-0000-7000-8000-000000000001" as ExecutionId,
  attempt: 3,
  fence: 0xfedc_ba98_7654_3210n as Fence,
};

/** An order with every field set. */
export function sampleOrder(): DispatchOrder {
  const bytes = Target.encode({
    kind: {
      $case: "handler",
      value: { method: "demo.Reports/Render", payload: { $case: "request", value: Buffer.of(1, 2) } },
    },
  }).finish();
  return {
    key: sampleKey,
    executorId: "executor-1" as ExecutorId,
    incarnation: "incarnation-1" as Incarnation,
    namespace: "default",
    jobId: "report",
    target: { kind: "handler", method: "demo.Reports/Render", summary: "demo.Reports/Render", bytes },
    timeoutMs: 1_500.25,
    holdUntilUs: null,
    startDeadlineUs: 1_760_000_060_000_001,
    scheduledUs: 1_760_000_000_123_000,
    maxAttempts: 5,
    labels: { zone: "a", __proto__x: "b" },
    sessionNumber: 7,
    dispatchUs: 1_760_000_000_123_456,
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: "vendor=1",
  };
}

/** A result that succeeded. */
export function sampleResult(parts: Partial<AttemptResult> = {}): AttemptResult {
  return {
    key: sampleKey,
    executorId: "executor-1" as ExecutorId,
    incarnation: "incarnation-1" as Incarnation,
    outcome: { kind: "succeeded", result: Buffer.from("answer") },
    startUs: 1_760_000_000_200_001,
    endUs: 1_760_000_000_300_002,
    exitCode: 0,
    output: "said",
    errorOutput: "complained",
    outputPieceCount: 4,
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ...parts,
  };
}

/** When it was made. */
const EXECUTION_US = 1_767_225_600_123_456;

/** An execution that is READY. */
export function sampleExecution(changes: Partial<Execution> = {}): Execution {
  return {
    ...testExecution(EXECUTION_US),
    state: "READY",
    stateReason: "UNSPECIFIED",
    stateMessage: "",
    readyUs: EXECUTION_US,
    retryOf: null,
    startDeadlineUs: null,
    startUs: null,
    endedUs: null,
    createUs: EXECUTION_US,
    attempt: 0,
    fence: null,
    executorId: null,
    incarnation: null,
    dispatchUs: null,
    countedAttempts: 0,
    lossCount: 0,
    returnStreak: 0,
    stop: null,
    result: null,
    failure: null,
    blockedKey: null,
    progress: null,
    changeNumber: 1,
    ...changes,
  };
}
