import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { AttemptResult } from "../../../services/common/domain/attempt.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { StoreUnavailable } from "../../../services/common/port/store.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { propagatingTracing } from "../../../services/common/telemetry/create-tracing.ts";
import { MAX_QUEUED_RESULTS } from "../../../services/scheduler/dispatch-loops.ts";
import { type Hint, Hints } from "../../../services/scheduler/hints.ts";
import { ResultSpans } from "../../../services/scheduler/results/result-spans.ts";
import { SessionResults, type SessionResultsConfig } from "../../../services/scheduler/results/session-results.ts";
import { type ResultRig, resultOf, resultRig } from "./setup.ts";

function sessionResults(t: TestContext, rig: ResultRig, config: Partial<SessionResultsConfig> = {}) {
  const hints = new Hints();
  const told: Hint[] = [];
  for (const kind of ["ready", "due", "ended"] as const) hints.on(kind, (hint) => void told.push(hint));
  const batches: (readonly AttemptResult[])[] = [];
  const original = rig.store.executions.storeResults.bind(rig.store.executions);
  t.mock.method(rig.store.executions, "storeResults", (...parts: Parameters<typeof original>) => {
    batches.push(parts[0]);
    return original(...parts);
  });
  const results = new SessionResults(
    { store: rig.store, hints, spans: new ResultSpans(propagatingTracing(new SystemRandom())) },
    { maxBatchRows: 1_000, maxQueued: 1_000, ...config },
  );
  return { results, told, batches };
}

test("what arrives together is stored together, in order, and at most maxBatchRows at once", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(25);
  const { results, batches } = sessionResults(t, rig, { maxBatchRows: 10 });
  await Promise.all(executions.map((one) => results.store(resultOf(one))));
  assert.deepEqual(
    batches.map(({ length }) => length),
    [10, 10, 5],
  );
  assert.deepEqual(
    batches.flat().map(({ key }) => key.executionId),
    executions.map(({ executionId }) => executionId),
  );
  assert.deepEqual(new Set(await rig.states(executions)), new Set(["SUCCEEDED"]));
});

test("a batch ends at 4 MiB", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(20);
  const { results, batches } = sessionResults(t, rig);
  const large = { kind: "succeeded", result: new Uint8Array(250 * 1024) } as const;
  await Promise.all(executions.map((one) => results.store(resultOf(one, large))));
  assert.deepEqual(
    batches.map(({ length }) => length),
    [16, 4],
  );
});

test("more than maxQueued, or 64 MiB, is refused, and its executor keeps it", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(400);
  const { results } = sessionResults(t, rig, { maxQueued: 350 });
  const large = { kind: "succeeded", result: new Uint8Array(256 * 1024) } as const;
  const byBytes = await Promise.allSettled(executions.slice(0, 300).map((one) => results.store(resultOf(one, large))));
  const refused = byBytes.filter(({ status }) => status === "rejected");
  assert.equal(refused.length, 300 - 255);
  const byCount = await Promise.allSettled(executions.map((one) => results.store(resultOf(one))));
  const overloaded = byCount.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  assert.equal(overloaded.length, 50);
  assert.ok(overloaded.every((error) => error instanceof JobmeshError && error.reason === "OVERLOADED"));
});

test("a store that is away rejects, and what is given later is stored", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(3);
  const { results, told } = sessionResults(t, rig);
  rig.outage.names = [];
  const outcomes = await Promise.allSettled(executions.map((one) => results.store(resultOf(one))));
  assert.ok(outcomes.every((one) => one.status === "rejected" && one.reason instanceof StoreUnavailable));
  rig.outage.names = null;
  await Promise.all(executions.map((one) => results.store(resultOf(one))));
  assert.deepEqual(new Set(await rig.states(executions)), new Set(["SUCCEEDED"]));
  assert.equal(told.length, 3);
});

test("rule 4: a result that the store refuses is refused alone", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(8);
  const original = rig.store.executions.storeResults.bind(rig.store.executions);
  t.mock.method(rig.store.executions, "storeResults", (...parts: Parameters<typeof original>) => {
    const isPoison = ({ key, outcome }: AttemptResult): boolean =>
      key.executionId === executions[6]?.executionId ||
      (key.executionId === executions[2]?.executionId && outcome.kind === "succeeded");
    return parts[0].some(isPoison) ? Promise.reject(new Error("poison")) : original(...parts);
  });
  const { results } = sessionResults(t, rig);
  const outcomes = await Promise.allSettled(executions.map((one) => results.store(resultOf(one))));
  assert.deepEqual(
    outcomes.map(({ status }) => status === "fulfilled"),
    [true, true, true, true, true, true, false, true],
  );
  const states = await rig.states(executions);
  assert.deepEqual([states[1], states[2], states[3]], ["SUCCEEDED", "FAILED", "SUCCEEDED"]);
});

test("what follows a result is told: its end, its next attempt, or when that is due", async (t) => {
  const rig = await resultRig(t);
  const retry = { ...defaultPolicy.retry, maxAttempts: 3, initialIntervalMs: 500 };
  const executions = await rig.dispatched(4, { policy: { ...defaultPolicy, retry } });
  const [ended, failed, returned, also] = executions;
  assert.ok(ended && failed && returned && also);
  const { results, told } = sessionResults(t, rig);
  const failure = { code: 2, message: "exit status 1", reason: "exit:1" };
  const back = { kind: "returned", reason: "NOT_STARTED", message: "" } as const;
  await Promise.all([
    results.store(resultOf(ended)),
    results.store(resultOf(failed, { kind: "failed", failure, nonRetryable: false, retryDelayMs: null })),
    results.store(resultOf(returned, back)),
    results.store(resultOf(also, back)),
  ]);
  assert.deepEqual(told, [
    { kind: "ended", executionId: ended.executionId },
    { kind: "due", executionId: failed.executionId, readyUs: rig.clock.wallUs() + 500_000 },
    { kind: "ready", routeId: returned.routeId, bestRank: 0, count: 2 },
  ]);
});

test("rule 2: a result under another key is judged, and changes and tells nothing", async (t) => {
  const rig = await resultRig(t);
  const [one] = await rig.dispatched(1);
  assert.ok(one !== undefined);
  const { results, told } = sessionResults(t, rig);
  const result = resultOf(one);
  await results.store({ ...result, key: { ...result.key, attempt: 2 } });
  assert.deepEqual([await rig.states([one]), told], [["DISPATCHED"], []]);
});

test("stop resolves when all that was given has been judged", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(30);
  const { results } = sessionResults(t, rig, { maxBatchRows: 7 });
  const judged = Promise.all(executions.map((one) => results.store(resultOf(one))));
  await results.stop();
  assert.deepEqual(new Set(await rig.states(executions)), new Set(["SUCCEEDED"]));
  await judged;
});

test("50,000 results wait to be stored; one more is OVERLOADED", async (t) => {
  const rig = await resultRig(t);
  const [one] = await rig.dispatched(1);
  assert.ok(one !== undefined);
  const { results } = sessionResults(t, rig, { maxQueued: MAX_QUEUED_RESULTS });
  t.mock.method(rig.store.executions, "storeResults", async () => ({ kind: "stored", results: [] }));
  const result = resultOf(one);
  const taken = Array.from({ length: 50_000 }, () => results.store(result));
  await assert.rejects(results.store(result), { reason: "OVERLOADED" });
  await Promise.all(taken);
  await results.store(result);
});
