/** Rules 24 and 25: stops, by compare-and-set, and what follows them. */
import assert from "node:assert/strict";
import type { AttemptOutcome } from "../../services/common/domain/attempt.ts";
import type { ExecutionId, SchedulerId } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import {
  addExecutor,
  dispatched,
  failed,
  home,
  jobUid,
  keyOf,
  loseExecutor,
  newExecution,
  onEveryStore,
  onMysql,
  plain,
  resultOf,
  routeId,
  slots,
  submitAll,
  succeeded,
} from "../support/execution-store.ts";

const cancelled: AttemptOutcome = { kind: "cancelled", failure: { code: 1, message: "stopped", reason: "" } };
const notStarted: AttemptOutcome = { kind: "returned", reason: "NOT_STARTED", message: "" };
const retrying = { ...defaultPolicy, retry: { ...defaultPolicy.retry, maxAttempts: 2 } };

onEveryStore("rule 25: what waits for its time or an executor is cancelled at once", async (setup) => {
  const { store } = setup;
  const later = newExecution({ readyUs: (await setup.nowUs()) + 60_000_000 });
  const ready = newExecution();
  await submitAll(setup, [later, ready]);
  for (const { executionId } of [later, ready]) {
    const outcome = await store.requestStop(executionId, "CANCEL", "no longer wanted");
    assert.equal(outcome.kind, "ended");
    const ended = await store.get(executionId);
    assert.deepEqual(plain(ended), plain(outcome.execution));
    assert.deepEqual(
      [ended?.state, ended?.stateReason, ended?.stateMessage, ended?.stop?.reason],
      ["CANCELLED", "CANCEL_REQUESTED", "no longer wanted", "CANCEL"],
    );
    assert.equal(ended?.endedUs, ended?.stop?.timeUs);
  }
  const placement = await addExecutor(setup);
  assert.deepEqual(await store.claim({ routeId, slots: slots(placement, 5) }), []);
  assert.deepEqual(await store.makeReady([later.executionId]), []);
  assert.equal((await store.requestStop(ready.executionId, "CANCEL", "")).kind, "was_final");
});

onEveryStore("rule 25: an unknown execution is not found", async ({ store }) => {
  const unknown = "00000000-0000-7000-8000-000000000000" as ExecutionId;
  assert.deepEqual(await store.requestStop(unknown, "CANCEL", ""), { kind: "not_found" });
});

onMysql("rule 25: an execution whose submission is not committed is not found, and not waited for", async (setup) => {
  const { store, database } = setup;
  const uid = jobUid("one");
  const execution = newExecution({ cause: "RUN_JOB", jobId: "job-1", jobUid: uid, gateKeys: [`job:${uid}`] });
  const before: string[] = [];
  const transact = database.transact.bind(database);
  database.transact = (name, work) =>
    transact(name, async (session) => {
      const result = await work(session);
      if (name === "submit") before.push((await store.requestStop(execution.executionId, "CANCEL", "")).kind);
      return result;
    });
  await submitAll(setup, [execution]);
  assert.deepEqual(before, ["not_found"]);
  assert.equal((await store.requestStop(execution.executionId, "CANCEL", "")).kind, "ended");
  assert.deepEqual(await store.recountGates(), []);
});

onEveryStore("rule 25: CANCEL overrides the other reasons, and nothing overrides CANCEL", async (setup) => {
  const { store } = setup;
  const running = await dispatched(setup, await addExecutor(setup));
  const key = keyOf(running);
  const reason = async () => (await store.get(running.executionId))?.stop?.reason;
  assert.equal(await store.stopAttempt(key, "REROUTE", "unconfirmed"), true);
  assert.equal(await reason(), "REROUTE");
  assert.equal((await store.requestStop(running.executionId, "CANCEL", "first")).kind, "stopping");
  const stop = (await store.get(running.executionId))?.stop;
  assert.equal(stop?.message, "first");
  assert.equal(await store.stopAttempt(key, "TIMEOUT", "late"), true);
  assert.equal((await store.requestStop(running.executionId, "PAUSED", "")).kind, "stopping");
  assert.equal((await store.requestStop(running.executionId, "CANCEL", "second")).kind, "stopping");
  assert.deepEqual((await store.get(running.executionId))?.stop, stop);
});

onEveryStore("rule 25: a stop of an attempt needs its key", async (setup) => {
  const { store } = setup;
  const running = await dispatched(setup, await addExecutor(setup));
  const key = keyOf(running);
  assert.equal(await store.stopAttempt({ ...key, attempt: 2 }, "TIMEOUT", ""), false);
  assert.equal(await store.stopAttempt({ ...key, fence: (key.fence ^ 1n) as typeof key.fence }, "TIMEOUT", ""), false);
  assert.equal((await store.get(running.executionId))?.stop, null);
});

onEveryStore("rule 25: a home finds the stops of its live executors only", async (setup) => {
  const { store } = setup;
  const own = await addExecutor(setup, "executor-1");
  const foreign = await addExecutor(setup, "executor-2", { home: "scheduler-2" });
  const lost = await addExecutor(setup, "executor-3");
  const stopped = await dispatched(setup, own);
  await dispatched(setup, own);
  const others = [await dispatched(setup, foreign), await dispatched(setup, lost)];
  for (const { executionId } of [stopped, ...others]) await store.requestStop(executionId, "CANCEL", "why");
  await loseExecutor(setup, lost);
  const stops = await store.stops(home, 10);
  assert.deepEqual(
    stops.map(({ key, stop, executorId }) => [key, stop, executorId]),
    [[keyOf(stopped), { reason: "CANCEL", message: "why" }, own.executorId]],
  );
  assert.equal((await store.stops("scheduler-2" as SchedulerId, 10)).length, 1);
  await store.storeResults([resultOf(stopped, cancelled)], null);
  assert.deepEqual(await store.stops(home, 10), []);
});

const afterCancel: [string, AttemptOutcome, string][] = [
  ["succeeded", succeeded, "SUCCEEDED"],
  ["was stopped", cancelled, "CANCELLED"],
  ["failed", failed(), "CANCELLED"],
  ["never started", notStarted, "CANCELLED"],
  ["is unknown", { kind: "returned", reason: "UNKNOWN", message: "" }, "CANCELLED"],
];
for (const [how, outcome, state] of afterCancel) {
  onEveryStore(`rule 25: under CANCEL an attempt that ${how} ends it as ${state}`, async (setup) => {
    const running = await dispatched(setup, await addExecutor(setup), { policy: retrying });
    await setup.store.requestStop(running.executionId, "CANCEL", "why");
    await setup.store.storeResults([resultOf(running, outcome)], null);
    const ended = await setup.store.get(running.executionId);
    assert.deepEqual([ended?.state, ended?.stop?.reason ?? null], [state, "CANCEL"]);
    assert.ok(ended?.endedUs !== null);
  });
}

onEveryStore("rule 25: CANCEL ends an execution whose executor is lost", async (setup) => {
  const placement = await addExecutor(setup);
  const running = await dispatched(setup, placement);
  await setup.store.requestStop(running.executionId, "CANCEL", "why");
  await loseExecutor(setup, placement);
  await setup.store.endLost(placement.executorId, placement.incarnation, 10);
  assert.equal((await setup.store.get(running.executionId))?.state, "CANCELLED");
});

onEveryStore("rule 24: TIMEOUT asks the retry policy, and its stop is gone with the attempt", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const running = await dispatched(setup, placement, { policy: retrying });
  await store.stopAttempt(keyOf(running), "TIMEOUT", "too long");
  await store.storeResults([resultOf(running, cancelled)], null);
  const waiting = await store.get(running.executionId);
  assert.deepEqual([waiting?.state, waiting?.countedAttempts, waiting?.stop], ["SCHEDULED", 1, null]);
  await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1"));
  await store.makeReady([running.executionId]);
  const [second] = await store.claim({ routeId, slots: slots(placement, 1) });
  assert.ok(second !== undefined);
  await store.stopAttempt(keyOf(second), "TIMEOUT", "too long");
  await store.storeResults([resultOf(second, cancelled)], null);
  const ended = await store.get(running.executionId);
  assert.deepEqual([ended?.state, ended?.stateReason, ended?.stop], ["TIMED_OUT", "TIMEOUT", null]);
});

const rerouted = [
  ["REROUTE", notStarted],
  ["REROUTE", cancelled],
  ["TIMEOUT", notStarted],
] as const;
for (const [reason, outcome] of rerouted) {
  onEveryStore(`rule 25: ${outcome.kind} under ${reason} makes it READY again, not counted`, async (setup) => {
    const { store } = setup;
    const running = await dispatched(setup, await addExecutor(setup));
    await store.stopAttempt(keyOf(running), reason, "");
    await store.storeResults([resultOf(running, outcome)], null);
    const waiting = await store.get(running.executionId);
    assert.deepEqual([waiting?.state, waiting?.countedAttempts, waiting?.stop], ["READY", 0, null]);
  });
}
