import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutionPolicy, LostPolicy, RoutingStrategy } from "../../../gen/jobmesh/v1/job.ts";
import type { SubmissionInput } from "./calls.ts";
import { duration, errorOf, faultsOf, testApi } from "./setup.ts";
import { submissionLimits } from "./submission-limits.ts";
import { policy } from "./submission-parts.ts";

test("each field of a submission is taken at its limit, and one past it is refused by its name and limit", async (t) => {
  const api = await testApi(t);
  for (const [name, field, ok, bad, says] of submissionLimits) {
    await t.test(name, async () => {
      await api.submit(ok);
      const faults = await faultsOf(api.submit(bad));
      assert.deepEqual(Object.keys(faults), [field]);
      assert.match(faults[field] ?? "", says);
    });
  }
});

test("all faults of a request are told at once, and nothing is stored", async (t) => {
  const api = await testApi(t);
  const bad = {
    name: "n".repeat(256),
    labels: { "": "v" },
    ...policy({ priority: 5_000, retry: { jitter: 2 } }),
    requestId: "é",
  };
  const faults = await faultsOf(api.submit(bad));
  assert.deepEqual(Object.keys(faults).sort(), [
    'labels[""]',
    "name",
    "policy.priority",
    "policy.retry.jitter",
    "request_id",
  ]);
  const { executions } = await api.list();
  assert.deepEqual(executions, []);
});

test("a request with more faults than can be told is refused with some of them", async (t) => {
  const api = await testApi(t);
  const args = Array.from({ length: 4_000 }, () => "{{scheduled}}");
  const error = await errorOf(api.submit({ target: { kind: { $case: "command", value: { command: "x", args } } } }));
  assert.equal(error.reason, "INVALID_FIELD");
  assert.ok(error.fieldViolations.length > 0 && error.fieldViolations.length <= 100);
});

test("what later versions bring is refused by its name", async (t) => {
  const api = await testApi(t);
  const later: readonly (readonly [string, SubmissionInput])[] = [
    ["policy.max_concurrency", policy({ maxConcurrency: 1 })],
    ["policy.limit_keys", policy({ limitKeys: ["a"] })],
    ["policy.routing.strategy", policy({ routing: { strategy: RoutingStrategy.ROUTING_STRATEGY_RANDOM } })],
    ["policy.routing.strategy", policy({ routing: { strategy: 99 as RoutingStrategy } })],
    ["policy.routing.routing_key", policy({ routing: { routingKey: "k" } })],
  ];
  for (const [field, submission] of later) {
    const error = await errorOf(api.submit(submission));
    assert.equal(error.reason, "FIELD_NOT_SUPPORTED", field);
    assert.deepEqual(error.fieldViolations, [{ field, description: "is not supported by this version" }]);
  }
  assert.equal(await api.storedCount(), 0);
});

test("a policy that is left out is answered with the contract's defaults", async (t) => {
  const api = await testApi(t);
  const { policy: stored } = await api.submit({});
  assert.deepEqual(stored, {
    ...ExecutionPolicy.fromPartial({}),
    priority: 0,
    timeout: duration(3_600_000),
    retry: {
      maxAttempts: 1,
      initialInterval: duration(1_000),
      multiplier: 1,
      maxInterval: duration(3_600_000),
      jitter: 0,
      nonRetryableReasons: [],
      maxDuration: undefined,
    },
    routing: { strategy: RoutingStrategy.ROUTING_STRATEGY_LEAST_LOADED, executorLabels: {}, routingKey: "" },
    lostPolicy: LostPolicy.LOST_POLICY_RETRY,
    maxLosses: 3,
  });
});

test("a part of a millisecond counts as a whole one: no limit is shorter than it was asked for", async (t) => {
  const api = await testApi(t);
  const { policy: stored } = await api.submit(policy({ timeout: { seconds: 0n, nanos: 1 } }));
  assert.deepEqual(stored?.timeout, duration(1));
});
