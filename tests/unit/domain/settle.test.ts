import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptOutcome, ReturnReason } from "../../../services/common/domain/attempt.ts";
import type { StopReason } from "../../../services/common/domain/execution.ts";
import { defaultPolicy, type ExecutionPolicy, type RetryPolicy } from "../../../services/common/domain/policy.ts";
import { type ActiveExecution, type AttemptEnd, settle } from "../../../services/common/domain/settle.ts";

const failure = { code: 2, message: "exit status 2", reason: "exit:2" };
const retry: RetryPolicy = { ...defaultPolicy.retry, maxAttempts: 3, initialIntervalMs: 100, multiplier: 2, jitter: 0 };
const retrying: ExecutionPolicy = { ...defaultPolicy, retry };

const succeeded: AttemptOutcome = { kind: "succeeded", result: Uint8Array.of(1) };
const failed: AttemptOutcome = { kind: "failed", failure, nonRetryable: false, retryDelayMs: null };
const timedOut: AttemptOutcome = { kind: "timed_out", failure };
const cancelled: AttemptOutcome = { kind: "cancelled", failure };
const lost: AttemptEnd = { kind: "lost", message: "its executor was lost" };
const returned = (reason: ReturnReason): AttemptOutcome => ({ kind: "returned", reason, message: "no slot" });
const stop = (reason: StopReason) => ({ reason, message: "as asked", timeUs: 5 });

function active(changes: Partial<ActiveExecution> = {}): ActiveExecution {
  return {
    state: "RUNNING",
    policy: defaultPolicy,
    countedAttempts: 0,
    lossCount: 0,
    returnStreak: 0,
    stop: null,
    startForgotten: false,
    retryTimeLeftMs: null,
    ...changes,
  };
}

const half = () => 0.5;
/** What matters of a settlement, in words. */
function told(execution: Partial<ActiveExecution>, end: AttemptEnd): string {
  const { state, reason, delayMs, attemptState, counted } = settle(active(execution), end, half);
  return `${state} ${reason} ${delayMs ?? "-"} ${attemptState} ${counted ? "counted" : "free"}`;
}

type Row = readonly [string, Partial<ActiveExecution>, AttemptEnd, string];
const FAIL = { policy: { ...retrying, lostPolicy: "FAIL" } } as const;
const RETRY = { policy: retrying } as const;

const rows: readonly Row[] = [
  // SUCCEEDED stays, whatever was asked meanwhile (25).
  ["rule 25: success", {}, succeeded, "SUCCEEDED UNSPECIFIED - SUCCEEDED counted"],
  ["rule 25: success under CANCEL", { stop: stop("CANCEL") }, succeeded, "SUCCEEDED UNSPECIFIED - SUCCEEDED counted"],
  ["rule 25: success under TIMEOUT", { stop: stop("TIMEOUT") }, succeeded, "SUCCEEDED UNSPECIFIED - SUCCEEDED counted"],
  // CANCEL wins over everything else (25).
  [
    "rule 25: failure under CANCEL",
    { ...RETRY, stop: stop("CANCEL") },
    failed,
    "CANCELLED CANCEL_REQUESTED - FAILED counted",
  ],
  [
    "rule 25: timeout under CANCEL",
    { ...RETRY, stop: stop("CANCEL") },
    timedOut,
    "CANCELLED CANCEL_REQUESTED - TIMED_OUT counted",
  ],
  [
    "rule 25: cancelled under CANCEL",
    { stop: stop("CANCEL") },
    cancelled,
    "CANCELLED CANCEL_REQUESTED - CANCELLED counted",
  ],
  [
    "rule 25: not started under CANCEL",
    { stop: stop("CANCEL") },
    returned("NOT_STARTED"),
    "CANCELLED CANCEL_REQUESTED - SKIPPED free",
  ],
  [
    "rule 25: unknown under CANCEL",
    { stop: stop("CANCEL") },
    returned("UNKNOWN"),
    "CANCELLED CANCEL_REQUESTED - LOST free",
  ],
  ["rule 25: loss under CANCEL", { stop: stop("CANCEL") }, lost, "CANCELLED CANCEL_REQUESTED - LOST free"],
  [
    "rule 25: loss under CANCEL and FAIL",
    { ...FAIL, stop: stop("CANCEL") },
    lost,
    "CANCELLED CANCEL_REQUESTED - LOST free",
  ],
  ["rule 25: cancelled, and nobody asked", {}, cancelled, "CANCELLED CANCEL_REQUESTED - CANCELLED counted"],
  // TIMEOUT gives TIMED_OUT and then the retry policy (24, 25).
  ["rule 24: stopped by TIMEOUT", { stop: stop("TIMEOUT") }, cancelled, "TIMED_OUT TIMEOUT - TIMED_OUT counted"],
  [
    "rule 24: stopped by TIMEOUT, tries left",
    { ...RETRY, stop: stop("TIMEOUT") },
    cancelled,
    "SCHEDULED RETRY_BACKOFF 100 TIMED_OUT counted",
  ],
  ["rule 24: failed under TIMEOUT", { stop: stop("TIMEOUT") }, failed, "TIMED_OUT TIMEOUT - TIMED_OUT counted"],
  [
    "rule 24: cut off under TIMEOUT",
    { stop: stop("TIMEOUT") },
    returned("CUT_OFF"),
    "TIMED_OUT TIMEOUT - TIMED_OUT counted",
  ],
  ["rule 24: lost under TIMEOUT", { stop: stop("TIMEOUT") }, lost, "TIMED_OUT TIMEOUT - TIMED_OUT counted"],
  [
    "rule 24: lost under TIMEOUT, tries left",
    { ...RETRY, stop: stop("TIMEOUT") },
    lost,
    "SCHEDULED RETRY_BACKOFF 100 TIMED_OUT counted",
  ],
  ["rule 24: lost under TIMEOUT and FAIL", { ...FAIL, stop: stop("TIMEOUT") }, lost, "LOST EXECUTOR_LOST - LOST free"],
  [
    "rule 25: not started under TIMEOUT",
    { stop: stop("TIMEOUT") },
    returned("NOT_STARTED"),
    "READY UNSPECIFIED 0 SKIPPED free",
  ],
  // REROUTE gives READY, not counted (25).
  [
    "rule 25: not started under REROUTE",
    { stop: stop("REROUTE") },
    returned("NOT_STARTED"),
    "READY UNSPECIFIED 0 SKIPPED free",
  ],
  ["rule 25: stopped by REROUTE", { stop: stop("REROUTE") }, cancelled, "READY UNSPECIFIED 0 SKIPPED free"],
  [
    "rule 25: failed by itself under REROUTE",
    { stop: stop("REROUTE") },
    failed,
    "FAILED TARGET_FAILED - FAILED counted",
  ],
  // Handing back (21).
  ["rule 21: not started", {}, returned("NOT_STARTED"), "READY UNSPECIFIED 0 SKIPPED free"],
  ["rule 21: cut off", {}, returned("CUT_OFF"), "READY UNSPECIFIED 0 SKIPPED free"],
  ["rule 21: the second in a row", { returnStreak: 1 }, returned("CUT_OFF"), "READY UNSPECIFIED 0 SKIPPED free"],
  ["rule 21: the third in a row", { returnStreak: 2 }, returned("CUT_OFF"), "SCHEDULED RETRY_BACKOFF 500 SKIPPED free"],
  [
    "rule 21: the fifth in a row",
    { returnStreak: 4 },
    returned("NOT_STARTED"),
    "SCHEDULED RETRY_BACKOFF 2000 SKIPPED free",
  ],
  [
    "rule 21: the hundredth in a row",
    { returnStreak: 99 },
    returned("NOT_STARTED"),
    "SCHEDULED RETRY_BACKOFF 10000 SKIPPED free",
  ],
  [
    "rule 21: the five-thousandth in a row",
    { returnStreak: 4_999 },
    returned("NOT_STARTED"),
    "SCHEDULED RETRY_BACKOFF 10000 SKIPPED free",
  ],
  ["rule 21: unknown is a loss", {}, returned("UNKNOWN"), "READY UNSPECIFIED 0 LOST free"],
  ["rule 21: unknown is a loss, under FAIL", FAIL, returned("UNKNOWN"), "LOST EXECUTOR_LOST - LOST free"],
  // Poison (26).
  ["rule 26: the first loss", {}, lost, "READY UNSPECIFIED 0 LOST free"],
  ["rule 26: the second loss backs off", { lossCount: 1 }, lost, "SCHEDULED RETRY_BACKOFF 1000 LOST free"],
  ["rule 26: the loss that is max_losses", { lossCount: 2 }, lost, "LOST LOSS_LIMIT - LOST free"],
  ["rule 26: a loss under FAIL", FAIL, lost, "LOST EXECUTOR_LOST - LOST free"],
  [
    "rule 26: max_losses under TIMEOUT",
    { ...RETRY, lossCount: 2, stop: stop("TIMEOUT") },
    lost,
    "LOST LOSS_LIMIT - LOST free",
  ],
  // Retries.
  ["the only try fails", {}, failed, "FAILED TARGET_FAILED - FAILED counted"],
  ["the only try times out", {}, timedOut, "TIMED_OUT TIMEOUT - TIMED_OUT counted"],
  ["a try fails and others are left", RETRY, failed, "SCHEDULED RETRY_BACKOFF 100 FAILED counted"],
  ["the second one fails", { ...RETRY, countedAttempts: 1 }, failed, "SCHEDULED RETRY_BACKOFF 200 FAILED counted"],
  ["the last one fails", { ...RETRY, countedAttempts: 2 }, failed, "FAILED TARGET_FAILED - FAILED counted"],
  ["the last one times out", { ...RETRY, countedAttempts: 2 }, timedOut, "TIMED_OUT TIMEOUT - TIMED_OUT counted"],
  [
    "a target says that no try helps",
    RETRY,
    { ...failed, nonRetryable: true } as AttemptOutcome,
    "FAILED TARGET_FAILED - FAILED counted",
  ],
  [
    "a target asks for a wait",
    RETRY,
    { ...failed, retryDelayMs: 7 } as AttemptOutcome,
    "SCHEDULED RETRY_BACKOFF 7 FAILED counted",
  ],
  // retry.max_duration: no retry begins after it.
  [
    "a retry that begins just when its time is over",
    { ...RETRY, retryTimeLeftMs: 100 },
    failed,
    "SCHEDULED RETRY_BACKOFF 100 FAILED counted",
  ],
  [
    "a retry that would begin later",
    { ...RETRY, retryTimeLeftMs: 99 },
    failed,
    "FAILED RETRY_DURATION - FAILED counted",
  ],
  [
    "a retry after a timeout that would begin later",
    { ...RETRY, retryTimeLeftMs: 99 },
    timedOut,
    "TIMED_OUT RETRY_DURATION - TIMED_OUT counted",
  ],
  [
    "a try that went on past the time of all",
    { ...RETRY, retryTimeLeftMs: -5 },
    { ...failed, retryDelayMs: 0 } as AttemptOutcome,
    "FAILED RETRY_DURATION - FAILED counted",
  ],
  [
    "a wait that a target asks for past the time of all",
    { ...RETRY, retryTimeLeftMs: 1_000 },
    { ...failed, retryDelayMs: 1_001 } as AttemptOutcome,
    "FAILED RETRY_DURATION - FAILED counted",
  ],
  [
    "the last try fails when the time is over, too",
    { ...RETRY, countedAttempts: 2, retryTimeLeftMs: 0 },
    failed,
    "FAILED TARGET_FAILED - FAILED counted",
  ],
  [
    "success past the time of all",
    { ...RETRY, retryTimeLeftMs: -5 },
    succeeded,
    "SUCCEEDED UNSPECIFIED - SUCCEEDED counted",
  ],
  [
    "what is cut off past the time of all",
    { ...RETRY, retryTimeLeftMs: -5 },
    returned("CUT_OFF"),
    "READY UNSPECIFIED 0 SKIPPED free",
  ],
  ["a loss past the time of all", { ...RETRY, retryTimeLeftMs: -5 }, lost, "READY UNSPECIFIED 0 LOST free"],
];
for (const [what, execution, end, expected] of rows) {
  test(`${what}: ${expected}`, () => assert.equal(told(execution, end), expected));
}

const reasons = [
  ["exit:2", true],
  ["signal:KILL", true],
  ["grpc:UNAVAILABLE", true],
  ["grpc:NOT_FOUND", false],
  ["grpc:INVALID_ARGUMENT", false],
  ["grpc:UNIMPLEMENTED", false],
  ["http:404", false],
  ["http:408", true],
  ["http:425", true],
  ["http:429", true],
  ["http:500", true],
] as const;
for (const [reason, again] of reasons) {
  test(`without a list of its own, ${reason} is ${again ? "tried again" : "the end"}`, () => {
    const end = { ...failed, failure: { ...failure, reason } } as AttemptOutcome;
    assert.equal(settle(active(RETRY), end, half).state, again ? "SCHEDULED" : "FAILED");
  });
}

test("a list of reasons replaces the default one", () => {
  const policy = { ...retrying, retry: { ...retry, nonRetryableReasons: ["exit:2"] } };
  assert.equal(settle(active({ policy }), failed, half).state, "FAILED");
  const notFound = { ...failed, failure: { ...failure, reason: "grpc:NOT_FOUND" } } as AttemptOutcome;
  assert.equal(settle(active({ policy }), notFound, half).state, "SCHEDULED");
});

test("what a settlement counts: tries, losses, and returns in a row", () => {
  const counts = (execution: Partial<ActiveExecution>, end: AttemptEnd) => {
    const { countedAttempts, lossCount, returnStreak } = settle(active(execution), end, half);
    return [countedAttempts, lossCount, returnStreak];
  };
  const before = { ...RETRY, countedAttempts: 1, lossCount: 1, returnStreak: 4 };
  assert.deepEqual(counts(before, succeeded), [2, 1, 0]);
  assert.deepEqual(counts(before, failed), [2, 1, 0]);
  assert.deepEqual(counts(before, returned("NOT_STARTED")), [1, 1, 5]);
  assert.deepEqual(counts(before, returned("UNKNOWN")), [1, 2, 0]);
  assert.deepEqual(counts(before, lost), [1, 2, 0]);
  assert.deepEqual(counts({ ...before, stop: stop("TIMEOUT") }, lost), [2, 2, 0]);
  assert.deepEqual(counts({ ...before, stop: stop("CANCEL") }, lost), [1, 2, 0]);
  assert.deepEqual(counts({ ...before, stop: stop("REROUTE") }, cancelled), [1, 1, 5]);
});
