import assert from "node:assert/strict";
import { test } from "node:test";
import { testExecution } from "../../support/new-execution.ts";
import { schedulerCore } from "../../support/scheduler-core.ts";
import { ScriptedExecutor } from "../../support/scripted-executor.ts";

/** A core with one dispatched attempt, its loops running. */
async function setup(t: Parameters<typeof schedulerCore>[0]) {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 4);
  core.start();
  await core.clock.settle();
  await core.submitter.submit({ execution: testExecution(core.nowUs()), request: null });
  await core.clock.settle();
  const key = executor.orders[0]?.key;
  assert.ok(key);
  executor.say({ kind: "started", key, startUs: core.nowUs() });
  await core.clock.settle();
  const cancel = () => core.store.executions.requestStop(key.executionId, "CANCEL", "enough");
  return { core, executor, key, cancel };
}

test("rule 25: a stop is sent at once when hinted", async (t) => {
  const { core, executor, key, cancel } = await setup(t);
  await cancel();
  core.hints.tell({ kind: "stop", executionId: key.executionId }, "peer");
  await core.clock.settle();
  assert.deepEqual(executor.stops, [{ kind: "stop", key, reason: "CANCEL", graceMs: 10_000, message: "enough" }]);
});

test("rule 31: a stop without any hint is sent within 250 ms", async (t) => {
  const { core, executor, cancel } = await setup(t);
  await cancel();
  await core.clock.advance(250);
  assert.equal(executor.stops.length, 1);
});

test("rule 25: a stop is sent again each second until the attempt has ended", async (t) => {
  const { core, executor, key, cancel } = await setup(t);
  await cancel();
  await core.clock.advance(250);
  await core.clock.advance(3_000);
  assert.equal(executor.stops.length, 4);
  executor.result(key, { kind: "cancelled", failure: { code: 1, message: "enough", reason: "" } });
  await core.clock.settle();
  assert.equal((await core.store.executions.get(key.executionId))?.state, "CANCELLED");
  await core.clock.advance(5_000);
  assert.equal(executor.stops.length, 4);
});

test("rule 25: a stop is sent after a Hello, without waiting for its second", async (t) => {
  const { core, executor, key, cancel } = await setup(t);
  await cancel();
  await core.clock.advance(250);
  executor.drop();
  const again = new ScriptedExecutor(executor.profile, core.sessions);
  again.hello({ sessionNumber: 2, taken: [key] });
  await core.clock.settle();
  assert.deepEqual(
    again.stops.map(({ reason }) => reason),
    ["CANCEL"],
  );
});

test("rule 25: CANCEL that overrides another reason is sent at once", async (t) => {
  const { core, executor, key, cancel } = await setup(t);
  await core.store.executions.stopAttempt(key, "REROUTE", "elsewhere");
  await core.clock.advance(250);
  await cancel();
  await core.clock.advance(250);
  assert.deepEqual(
    executor.stops.map(({ reason }) => reason),
    ["REROUTE", "CANCEL"],
  );
});

test("a stop of an executor that is homed elsewhere is its home's to send", async (t) => {
  const { core, cancel } = await setup(t);
  const other = await schedulerCore(t, { base: core.base, schedulerId: "scheduler-2" });
  await cancel();
  assert.equal(await other.stops.runOnce(), 0);
  assert.equal(await core.stops.runOnce(), 1);
});

test("rule 20: an attempt that comes back because it was stopped does not make its executor full; one without room does", async (t) => {
  const { core, executor, key, cancel } = await setup(t);
  await cancel();
  await core.clock.advance(250);
  const cameBack = { kind: "returned", reason: "NOT_STARTED", message: "" } as const;
  executor.result(key, cameBack);
  await core.clock.settle();
  assert.equal(core.roster.anyRoom(), true);
  await core.submitter.submit({ execution: testExecution(core.nowUs()), request: null });
  await core.clock.settle();
  const second = executor.orders[1]?.key;
  assert.ok(second);
  executor.result(second, cameBack);
  await core.clock.settle();
  assert.equal(core.roster.anyRoom(), false);
  assert.equal((await core.store.executions.get(second.executionId))?.state, "READY");
});
