import assert from "node:assert/strict";
import { test } from "node:test";
import { ResultEvent } from "../../../gen/jobmesh/v1/event.ts";
import type { AttemptOutcome } from "../../../services/common/domain/attempt.ts";
import { decodeResult, encodeResult } from "../../../services/common/wire/result-event.ts";
import { sampleResult } from "./samples.ts";

const failure = { code: 5, message: "gone", reason: "grpc:NOT_FOUND" };
const outcomes: readonly AttemptOutcome[] = [
  { kind: "succeeded", result: Buffer.from([0, 255, 128]) },
  { kind: "failed", failure, nonRetryable: true, retryDelayMs: 1_500 },
  { kind: "failed", failure: { ...failure, reason: "" }, nonRetryable: false, retryDelayMs: null },
  { kind: "timed_out", failure },
  { kind: "cancelled", failure },
  { kind: "returned", reason: "NOT_STARTED", message: "no free slot" },
  { kind: "returned", reason: "CUT_OFF", message: "" },
  { kind: "returned", reason: "UNKNOWN", message: "forgotten" },
];

for (const outcome of outcomes) {
  test(`a result comes back as it was sent: ${outcome.kind} ${"reason" in outcome ? outcome.reason : ""}`, () => {
    const result = sampleResult({ outcome, exitCode: null, startUs: null });
    assert.deepEqual(decodeResult(encodeResult(result), result.traceparent), result);
  });
}

test("an exit code of 0 is not the same as none", () => {
  const read = decodeResult(encodeResult(sampleResult({ exitCode: 0 })), "");
  assert.equal(read.exitCode, 0);
});

test("a result that says no outcome is refused, and so are bytes that are none", () => {
  const message = ResultEvent.decode(encodeResult(sampleResult()));
  assert.throws(() => decodeResult(ResultEvent.encode({ ...message, state: 4 }).finish(), ""), /ends no attempt/);
  assert.throws(() => decodeResult(ResultEvent.encode({ ...message, key: undefined }).finish(), ""), /key/);
  assert.throws(() => decodeResult(Buffer.from("not a message"), ""));
});

test("a reason for returning that a later version knows is read as UNKNOWN, which never runs under LOST_POLICY_FAIL", () => {
  const message = ResultEvent.decode(encodeResult(sampleResult()));
  const read = decodeResult(ResultEvent.encode({ ...message, returnReason: 9 as never }).finish(), "");
  assert.equal(read.outcome.kind === "returned" && read.outcome.reason, "UNKNOWN");
});
