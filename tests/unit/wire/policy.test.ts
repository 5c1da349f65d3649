import assert from "node:assert/strict";
import { test } from "node:test";
import { LostPolicy, ExecutionPolicy as PolicyMessage, RoutingStrategy } from "../../../gen/jobmesh/v1/job.ts";
import { defaultPolicy, type ExecutionPolicy } from "../../../services/common/domain/policy.ts";
import { policyToMessage } from "../../../services/common/wire/policy.ts";
import { FieldFaults } from "../../../services/scheduler/api/field-faults.ts";
import { checkPolicy } from "../../../services/scheduler/api/policy-check.ts";

const policy: ExecutionPolicy = {
  priority: -7,
  timeoutMs: 1_001,
  startDeadlineMs: 1,
  retry: {
    maxAttempts: 3,
    initialIntervalMs: 0,
    multiplier: 1.5,
    maxIntervalMs: 90_061_001,
    jitter: 0.25,
    nonRetryableReasons: ["exit:2", "grpc:NOT_FOUND"],
    maxDurationMs: 31_622_400_000,
  },
  lostPolicy: "FAIL",
  maxLosses: 9,
  maxConcurrency: 4,
  retentionMs: 60_000,
  failedRetentionMs: 316_224_000_000,
  executorLabels: { a: "1", b: "2" },
  routingStrategy: "ROUND_ROBIN",
};

test("a policy is shown with every value, and what is shown is read back the same", () => {
  for (const one of [policy, defaultPolicy]) {
    const faults = new FieldFaults();
    const message = PolicyMessage.decode(PolicyMessage.encode(policyToMessage(one)).finish());
    assert.deepEqual(checkPolicy(faults, "policy", message), one);
    faults.throwIfAny();
  }
});

test("a policy's numbers stand in the units of the contract", () => {
  const message = policyToMessage(policy);
  assert.deepEqual(message.timeout, { seconds: 1n, nanos: 1_000_000 });
  assert.deepEqual(message.retry?.maxInterval, { seconds: 90_061n, nanos: 1_000_000 });
  assert.deepEqual(message.startDeadline, { seconds: 0n, nanos: 1_000_000 });
  assert.deepEqual(message.retry?.maxDuration, { seconds: 31_622_400n, nanos: 0 });
  assert.deepEqual(message.retention, { seconds: 60n, nanos: 0 });
  assert.deepEqual(message.failedRetention, { seconds: 316_224_000n, nanos: 0 });
  assert.equal(message.lostPolicy, LostPolicy.LOST_POLICY_FAIL);
  assert.equal(message.routing?.strategy, RoutingStrategy.ROUTING_STRATEGY_ROUND_ROBIN);
});
