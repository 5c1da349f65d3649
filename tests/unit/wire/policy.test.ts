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
  retry: {
    maxAttempts: 3,
    initialIntervalMs: 0,
    multiplier: 1.5,
    maxIntervalMs: 90_061_001,
    jitter: 0.25,
    nonRetryableReasons: ["exit:2", "grpc:NOT_FOUND"],
  },
  lostPolicy: "FAIL",
  maxLosses: 9,
  maxConcurrency: 4,
  executorLabels: { a: "1", b: "2" },
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
  assert.equal(message.lostPolicy, LostPolicy.LOST_POLICY_FAIL);
  assert.equal(message.routing?.strategy, RoutingStrategy.ROUTING_STRATEGY_LEAST_LOADED);
});
