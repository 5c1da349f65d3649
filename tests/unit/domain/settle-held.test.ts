/** Rules 11 and 25: what follows the end of an attempt that was sent ahead of its time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptOutcome } from "../../../services/common/domain/attempt.ts";
import type { StopReason } from "../../../services/common/domain/execution.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { type ActiveExecution, type AttemptEnd, settle } from "../../../services/common/domain/settle.ts";

const failure = { code: 2, message: "exit status 2", reason: "exit:2" };
const policy = { ...defaultPolicy, retry: { ...defaultPolicy.retry, maxAttempts: 3, initialIntervalMs: 100 } };
const failed: AttemptOutcome = { kind: "failed", failure, nonRetryable: false, retryDelayMs: null };
const notStarted: AttemptOutcome = { kind: "returned", reason: "NOT_STARTED", message: "no slot" };
const lost: AttemptEnd = { kind: "lost", message: "its executor was lost" };

type Row = readonly [
  what: string,
  holdLeftMs: number | null,
  reason: StopReason | null,
  end: AttemptEnd,
  outcome: string,
];

const rows: readonly Row[] = [
  ["rule 11: held and back", 120, null, notStarted, "SCHEDULED UNSPECIFIED 120 SKIPPED free"],
  ["rule 11: back past its time", -1, null, notStarted, "READY UNSPECIFIED 0 SKIPPED free"],
  ["rule 11: lost while it is held", 120, null, lost, "SCHEDULED UNSPECIFIED 120 LOST free"],
  ["rule 11: paused, and lost before its time", 120, "PAUSED", lost, "SCHEDULED PAUSED 120 LOST free"],
  ["rule 11: superseded, and lost before its time", 120, "SUPERSEDED", lost, "SCHEDULED SUPERSEDED 120 LOST free"],
  ["rule 11: paused, and lost past its time", -5, "PAUSED", lost, "READY UNSPECIFIED 0 LOST free"],
  ["rule 11: paused and back", 120, "PAUSED", notStarted, "SCHEDULED PAUSED 120 SKIPPED free"],
  ["rule 11: superseded, back past its time", -5, "SUPERSEDED", notStarted, "SCHEDULED SUPERSEDED 0 SKIPPED free"],
  ["rule 11: cancelled and back", 120, "CANCEL", notStarted, "CANCELLED CANCEL_REQUESTED - SKIPPED free"],
  ["rule 25: PAUSED came too late for what failed", -5, "PAUSED", failed, "SCHEDULED RETRY_BACKOFF 100 FAILED counted"],
  ["rule 25: PAUSED of what was never held", null, "PAUSED", notStarted, "READY UNSPECIFIED 0 SKIPPED free"],
];

for (const [what, holdLeftMs, reason, end, outcome] of rows) {
  test(`${what}: ${outcome}`, () => {
    const execution: ActiveExecution = {
      ...{ state: "DISPATCHED", policy, countedAttempts: 0, lossCount: 0, returnStreak: 0 },
      ...{ startForgotten: false, retryTimeLeftMs: null, holdLeftMs },
      stop: reason === null ? null : { reason, message: "as asked", timeUs: 5 },
    };
    const { state, reason: why, delayMs, attemptState, counted } = settle(execution, end, () => 0.5);
    assert.equal(`${state} ${why} ${delayMs ?? "-"} ${attemptState} ${counted ? "counted" : "free"}`, outcome);
  });
}
