import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultPolicy, type RetryPolicy } from "../../../services/common/domain/policy.ts";
import { retryDelayMs } from "../../../services/common/domain/settle.ts";

const retry: RetryPolicy = { ...defaultPolicy.retry, maxAttempts: 3, initialIntervalMs: 100, multiplier: 2, jitter: 0 };
const half = () => 0.5;

test("a retry waits initial · multiplier^(n-1), at most max_interval", () => {
  const policy = { ...retry, maxIntervalMs: 1_000 };
  assert.deepEqual(
    [1, 2, 3, 4, 5, 100].map((attempt) => retryDelayMs(policy, attempt, half)),
    [100, 200, 400, 800, 1_000, 1_000],
  );
});

test("jitter draws a part of the wait downwards", () => {
  const policy = { ...retry, jitter: 0.4 };
  assert.equal(
    retryDelayMs(policy, 1, () => 0),
    100,
  );
  assert.equal(retryDelayMs(policy, 1, half), 80);
  assert.equal(
    retryDelayMs(policy, 1, () => 0.999_999),
    60,
  );
  assert.equal(
    retryDelayMs({ ...retry, jitter: 1 }, 1, () => 0.999_999),
    0,
  );
});

test("a wait is a number also where it grows past all numbers", () => {
  for (const initialIntervalMs of [0, 1, 86_400_000]) {
    for (const multiplier of [0, 1, 1.5, 10, 1e6]) {
      const delayMs = retryDelayMs({ ...retry, initialIntervalMs, multiplier, maxIntervalMs: 3_600_000 }, 999, half);
      assert.ok(delayMs >= 0 && delayMs <= 3_600_000, `${initialIntervalMs} ${multiplier}: ${delayMs}`);
    }
  }
});
