import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReturnReason } from "../../../services/common/domain/attempt.ts";
import type { Stop } from "../../../services/common/domain/execution.ts";
import { defaultPolicy, type LostPolicy } from "../../../services/common/domain/policy.ts";
import { settle } from "../../../services/common/domain/settle.ts";

/** What becomes of an attempt whose start the store has and its executor does not know. */
function told(reason: ReturnReason, lostPolicy: LostPolicy, stop: Stop | null = null): string {
  const settlement = settle(
    {
      state: "RUNNING",
      policy: { ...defaultPolicy, lostPolicy },
      countedAttempts: 0,
      lossCount: 0,
      returnStreak: 0,
      stop,
      startForgotten: true,
      retryTimeLeftMs: null,
    },
    { kind: "returned", reason, message: "dispatched before keys that were forgotten" },
    () => 0.5,
  );
  const { state, reason: why, attemptState, returnReason, lossCount } = settlement;
  return `${state} ${why} ${attemptState} ${returnReason} ${lossCount}`;
}

test("rule 17: a start that its executor has forgotten is a loss", () => {
  assert.equal(told("NOT_STARTED", "RETRY"), "READY UNSPECIFIED LOST UNKNOWN 1");
  assert.equal(told("NOT_STARTED", "FAIL"), "LOST EXECUTOR_LOST LOST UNKNOWN 1");
});

test("rule 17: under CANCEL a start that is forgotten is cancelled, and a loss", () => {
  const stop = { reason: "CANCEL", message: "as asked", timeUs: 5 } as const;
  assert.equal(told("NOT_STARTED", "FAIL", stop), "CANCELLED CANCEL_REQUESTED LOST UNKNOWN 1");
});

test("rule 21: what was cut off comes back though its start is not told again", () => {
  assert.equal(told("CUT_OFF", "FAIL"), "READY UNSPECIFIED SKIPPED CUT_OFF 0");
});
