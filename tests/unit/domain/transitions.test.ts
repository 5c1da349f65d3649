/** Whatever ends an attempt: properties of settle, on many executions drawn from a seed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptOutcome, ReturnReason } from "../../../services/common/domain/attempt.ts";
import { isFinal, TRANSITIONS } from "../../../services/common/domain/execution.ts";
import { defaultPolicy, type ExecutionPolicy } from "../../../services/common/domain/policy.ts";
import {
  type ActiveExecution,
  type AttemptEnd,
  type Settlement,
  settle,
} from "../../../services/common/domain/settle.ts";

const failure = { code: 2, message: "exit status 2", reason: "exit:2" };
const returned = (reason: ReturnReason): AttemptOutcome => ({ kind: "returned", reason, message: "" });

/** A seeded draw in [0, 1), so that a failure can be run again (mulberry32). */
function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function pick<T>(draw: () => number, values: readonly T[]): T {
  return values[Math.floor(draw() * values.length)] as T;
}

function anyExecution(draw: () => number): ActiveExecution {
  const stops = [null, "CANCEL", "TIMEOUT", "REROUTE"] as const;
  const stopped = pick(draw, stops);
  const policy: ExecutionPolicy = {
    ...defaultPolicy,
    lostPolicy: pick(draw, ["RETRY", "FAIL"]),
    maxLosses: 1 + Math.floor(draw() * 4),
    retry: { ...defaultPolicy.retry, maxAttempts: 1 + Math.floor(draw() * 4), jitter: draw(), maxIntervalMs: 5_000 },
  };
  return {
    state: pick(draw, ["DISPATCHED", "RUNNING"]),
    policy,
    countedAttempts: Math.floor(draw() * policy.retry.maxAttempts),
    lossCount: Math.floor(draw() * policy.maxLosses),
    returnStreak: Math.floor(draw() * 20),
    stop: stopped === null ? null : { reason: stopped, message: "as asked", timeUs: 5 },
    startForgotten: draw() < 0.2,
    retryTimeLeftMs: pick(draw, [null, -1, 0, 5_000]),
  };
}

function anyEnd(draw: () => number): AttemptEnd {
  const reason = pick(draw, ["exit:1", "grpc:NOT_FOUND", "http:429"]);
  const retryDelay = pick(draw, [null, 0, 250]);
  return pick<AttemptEnd>(draw, [
    { kind: "succeeded", result: new Uint8Array() },
    { kind: "failed", failure: { ...failure, reason }, nonRetryable: draw() < 0.2, retryDelayMs: retryDelay },
    { kind: "timed_out", failure },
    { kind: "cancelled", failure },
    returned("NOT_STARTED"),
    returned("CUT_OFF"),
    returned("UNKNOWN"),
    { kind: "lost", message: "its executor was lost" },
  ]);
}

function check(execution: ActiveExecution, end: AttemptEnd, settlement: Settlement): void {
  const { state, delayMs, countedAttempts, lossCount, counted } = settlement;
  assert.ok(TRANSITIONS[execution.state].includes(state), `${execution.state} to ${state}`);
  assert.equal(delayMs === null, isFinal(state), "a wait where it goes on, none where it ended");
  if (state === "READY") assert.equal(delayMs, 0);
  if (delayMs !== null) assert.ok(Number.isFinite(delayMs) && delayMs >= 0 && delayMs <= 10_000, `waits ${delayMs}`);
  assert.equal(countedAttempts, execution.countedAttempts + (counted ? 1 : 0));
  assert.ok(countedAttempts <= execution.policy.retry.maxAttempts, "never more tries than allowed");
  assert.ok(lossCount <= execution.policy.maxLosses, "never more losses than allowed");
  const isForgotten = execution.startForgotten && end.kind === "returned" && end.reason === "NOT_STARTED";
  const isLoss = end.kind === "lost" || isForgotten || (end.kind === "returned" && end.reason === "UNKNOWN");
  const { reason } = execution.stop ?? { reason: null };
  if (end.kind === "succeeded") assert.equal(state, "SUCCEEDED");
  else if (reason === "CANCEL") assert.equal(state, "CANCELLED");
  else if (isLoss && execution.policy.lostPolicy === "FAIL") assert.equal(state, "LOST");
  else assert.notEqual(state, "SUCCEEDED");
}

test("whatever ends an attempt, its execution moves along TRANSITIONS and within its limits", () => {
  const draw = draws(20_260_101);
  for (let time = 0; time < 20_000; time += 1) {
    const execution = anyExecution(draw);
    const end = anyEnd(draw);
    const settlement = settle(execution, end, draw);
    try {
      check(execution, end, settlement);
    } catch (error) {
      assert.fail(`${JSON.stringify({ time, execution, end, settlement })}: ${String(error)}`);
    }
  }
});

test("TRANSITIONS lead to states that there are, and what is final leads nowhere", () => {
  const states = Object.keys(TRANSITIONS);
  for (const next of Object.values(TRANSITIONS)) for (const state of next) assert.ok(states.includes(state));
  assert.deepEqual(states.filter((state) => isFinal(state as keyof typeof TRANSITIONS)).toSorted(), [
    "CANCELLED",
    "EXPIRED",
    "FAILED",
    "LOST",
    "SKIPPED",
    "SUCCEEDED",
    "TIMED_OUT",
  ]);
});
