import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import { testExecution } from "../../support/new-execution.ts";
import { TestOwners, type TimerRig, timerRig } from "./setup.ts";

/** Submissions that are to be ready after these delays, milliseconds. */
async function submitted(rig: TimerRig, ...delaysMs: number[]): Promise<ExecutionId[]> {
  const nowUs = rig.clock.wallUs();
  const group = delaysMs.map((delayMs) => ({
    execution: testExecution(nowUs, { readyUs: nowUs + delayMs * 1_000 }),
    request: null,
    slot: null,
  }));
  const outcomes = await rig.store.executions.submit(group);
  return outcomes.map((outcome) => (outcome.kind === "stored" ? outcome.execution.executionId : assert.fail()));
}

async function statesOf(rig: TimerRig, ids: readonly ExecutionId[]): Promise<string[]> {
  const states = new Map((await rig.store.executions.states(ids)).map((one) => [one.executionId, one.state]));
  return ids.map((id) => states.get(id) ?? "none");
}

test("rule 13: a wait that the store has is made ready at its millisecond, after a restart too", async (t) => {
  const rig = await timerRig(t);
  const ids = await submitted(rig, 1_500, 1_501, 60_000);
  const first = rig.timers();
  first.start();
  await rig.clock.advance(1_000);
  await first.stop();
  const second = rig.timers();
  second.start();
  await rig.clock.advance(499);
  assert.deepEqual(await statesOf(rig, ids), ["SCHEDULED", "SCHEDULED", "SCHEDULED"]);
  await rig.clock.advance(1);
  assert.deepEqual(await statesOf(rig, ids), ["READY", "SCHEDULED", "SCHEDULED"]);
  await rig.clock.advance(1);
  assert.deepEqual(await statesOf(rig, ids), ["READY", "READY", "SCHEDULED"]);
  await rig.clock.advance(58_499);
  assert.deepEqual(await statesOf(rig, ids), ["READY", "READY", "READY"]);
});

test("a wait made here is armed here, whoever owns its shard, without a read", async (t) => {
  const rig = await timerRig(t);
  const timers = rig.timers({ owners: new TestOwners([]) });
  timers.waits.start();
  await rig.clock.advance(10);
  const [id] = await submitted(rig, 100);
  assert.ok(id !== undefined);
  const reads = rig.count("due");
  timers.hints.tell({ kind: "due", executionId: id, readyUs: rig.clock.wallUs() + 100_000 });
  await rig.clock.advance(99);
  assert.deepEqual(await statesOf(rig, [id]), ["SCHEDULED"]);
  await rig.clock.advance(1);
  assert.deepEqual(await statesOf(rig, [id]), ["READY"]);
  assert.equal(rig.count("due"), reads);
  assert.equal(timers.told.filter(({ kind }) => kind === "ready").length, 1);
});

test("a hint of a wait beyond the look-ahead does nothing", async (t) => {
  const rig = await timerRig(t);
  const timers = rig.timers();
  timers.waits.start();
  await rig.clock.advance(10);
  const [id] = await submitted(rig, 2_500);
  const armed = rig.clock.armedCount;
  const reads = rig.count("due");
  timers.hints.tell({ kind: "due", executionId: id as ExecutionId, readyUs: rig.clock.wallUs() + 2_500_000 });
  await rig.clock.settle();
  assert.deepEqual([rig.clock.armedCount, rig.count("due")], [armed, reads]);
  await rig.clock.advance(2_500);
  assert.deepEqual(await statesOf(rig, [id as ExecutionId]), ["READY"]);
});

test("two owners of a wait are harmless: one of them makes it ready", async (t) => {
  const rig = await timerRig(t);
  const ids = await submitted(rig, ...Array.from({ length: 20 }, (_, index) => 100 + index));
  const owners = [rig.timers(), rig.timers()];
  for (const { waits } of owners) waits.start();
  await rig.clock.advance(200);
  assert.deepEqual(new Set(await statesOf(rig, ids)), new Set(["READY"]));
  const told = owners.flatMap((timers) => timers.told).filter(({ kind }) => kind === "ready");
  assert.equal(
    told.reduce((sum, hint) => sum + (hint.kind === "ready" ? hint.count : 0), 0),
    20,
  );
});

test("rule 30: a wait of a foreign shard is taken once it is overdue by two seconds", async (t) => {
  const rig = await timerRig(t);
  const ids = await submitted(rig, 500);
  rig.timers({ owners: new TestOwners([]) }).waits.start();
  await rig.clock.advance(2_400);
  assert.deepEqual(await statesOf(rig, ids), ["SCHEDULED"]);
  await rig.clock.advance(1_000);
  assert.deepEqual(await statesOf(rig, ids), ["READY"]);
});

test("more waits than one query gives are all made ready at their millisecond", async (t) => {
  const rig = await timerRig(t);
  const ids = await submitted(rig, ...Array.from({ length: 50 }, () => 700));
  rig.timers({ wait: { maxBatchRows: 8 } }).waits.start();
  await rig.clock.advance(699);
  assert.ok((await statesOf(rig, ids)).every((state) => state === "SCHEDULED"));
  await rig.clock.advance(1);
  assert.deepEqual(new Set(await statesOf(rig, ids)), new Set(["READY"]));
});

test("a store that is away when a wait is due is asked again", async (t) => {
  const rig = await timerRig(t);
  const ids = await submitted(rig, 500);
  rig.timers().waits.start();
  await rig.clock.advance(400);
  rig.outage.names = [];
  await rig.clock.advance(2_000);
  rig.outage.names = null;
  await rig.clock.advance(1_000);
  assert.deepEqual(await statesOf(rig, ids), ["READY"]);
});

test("rule 12: what the store finds early is looked at again soon, ever more slowly", async (t) => {
  const rig = await timerRig(t);
  const ids = await submitted(rig, 1_000);
  // The store's clock was set back by 800 ms since it was measured.
  rig.timers({ aheadUs: () => 800_000 }).waits.start();
  await rig.clock.advance(999);
  assert.deepEqual(await statesOf(rig, ids), ["SCHEDULED"]);
  const tries = rig.count("make_ready");
  assert.ok(tries >= 3 && tries <= 12, `${tries} tries`);
  await rig.clock.advance(700);
  assert.deepEqual(await statesOf(rig, ids), ["READY"]);
});

test("an execution that cannot be made ready stops no other", async (t) => {
  const rig = await timerRig(t);
  const ids = await submitted(rig, 100, 100, 100, 100, 100);
  const makeReady = rig.store.executions.makeReady.bind(rig.store.executions);
  t.mock.method(rig.store.executions, "makeReady", (batch: readonly ExecutionId[]) =>
    batch.includes(ids[2] as ExecutionId) ? Promise.reject(new Error("poison")) : makeReady(batch),
  );
  rig.timers().waits.start();
  await rig.clock.advance(100);
  assert.deepEqual(await statesOf(rig, ids), ["READY", "READY", "SCHEDULED", "READY", "READY"]);
});

test("many ready executions of one route are one hint", async (t) => {
  const rig = await timerRig(t);
  await submitted(rig, ...Array.from({ length: 30 }, () => 50));
  const timers = rig.timers();
  timers.waits.start();
  await rig.clock.advance(50);
  assert.deepEqual(
    timers.told.map((hint) => (hint.kind === "ready" ? hint.count : hint.kind)),
    [30],
  );
});
