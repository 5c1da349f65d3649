import assert from "node:assert/strict";
import { test } from "node:test";
import { testExecution } from "../../support/new-execution.ts";
import { schedulerCore } from "../../support/scheduler-core.ts";

/** A core with one executor, its loops running. */
async function setup(t: Parameters<typeof schedulerCore>[0]) {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 4);
  core.start();
  await core.clock.settle();
  const { executorId } = executor.profile;
  const drain = (graceMs: number) => core.store.executors.drain(executorId, graceMs);
  return { core, executor, executorId, drain };
}

test("a drain is sent at once when hinted, once, and again when its grace became shorter", async (t) => {
  const { core, executor, executorId, drain } = await setup(t);
  await drain(60_000);
  core.hints.tell({ kind: "drain", executorId }, "peer");
  await core.clock.settle();
  assert.deepEqual(executor.of("drain"), [{ kind: "drain", graceMs: 60_000 }]);
  await core.clock.advance(3_000);
  assert.equal(executor.of("drain").length, 1);
  await drain(90_000);
  await core.clock.advance(1_000);
  assert.equal(executor.of("drain").length, 1, "a longer grace changes nothing");
  await drain(10_000);
  await core.clock.advance(1_000);
  assert.equal(executor.of("drain").length, 2);
  const last = executor.of("drain")[1];
  assert.ok(last !== undefined && last.graceMs !== null && last.graceMs <= 10_000 && last.graceMs >= 8_900);
});

test("a drain that nobody told of is sent within a heartbeat, and by the home that the executor goes to", async (t) => {
  const { core, executor, drain } = await setup(t);
  await drain(60_000);
  await core.clock.advance(1_000);
  assert.equal(executor.of("drain").length, 1);
  const again = await core.join("one", 4, {}, 2);
  await core.clock.settle();
  assert.equal(again.of("drain").length, 1, "after the Hello");
});

test("what was asked to drain gets no more work, whether its home has heard of it or not", async (t) => {
  const { core, executor, executorId, drain } = await setup(t);
  await drain(60_000);
  const outcome = await core.submitter.submit({ execution: testExecution(core.nowUs()), request: null });
  assert.ok(outcome.kind === "stored");
  assert.equal(outcome.execution.state, "READY", "the store refuses the slot");
  core.hints.tell({ kind: "drain", executorId });
  await core.clock.settle();
  assert.equal(core.roster.anyRoom(), false);
  executor.beat(4, 1);
  await core.clock.advance(2_500);
  assert.equal(core.roster.anyRoom(), false, "a heartbeat does not undo it");
  assert.equal((await core.store.executors.live())[0]?.draining, true);
  assert.equal(executor.orders.length, 0);
});
