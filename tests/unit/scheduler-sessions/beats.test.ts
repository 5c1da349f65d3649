import assert from "node:assert/strict";
import { test } from "node:test";
import { type CoreOptions, type SchedulerCore, schedulerCore } from "../../support/scheduler-core.ts";
import type { ScriptedExecutor } from "../../support/scripted-executor.ts";

async function heardUs(core: SchedulerCore): Promise<number | undefined> {
  return (await core.store.executors.live())[0]?.heardUs;
}

const lastAck = (executor: ScriptedExecutor) => executor.of("heartbeat_ack").at(-1);

async function setup(test: Parameters<typeof schedulerCore>[0], options: CoreOptions = {}) {
  const core = await schedulerCore(test, options);
  return { core, executor: await core.join("one", 2) };
}

test("rule 12: a heartbeat is answered at once with mesh time", async (t) => {
  const { core, executor } = await setup(t);
  await core.clock.advance(500);
  executor.beat(2);
  await core.clock.settle();
  assert.equal(lastAck(executor)?.sequence, 2);
  assert.equal(lastAck(executor)?.timeUs, core.nowUs());
});

test("rule 14: only a beat that the store has is acknowledged as heard", async (t) => {
  const { core, executor } = await setup(t);
  await core.clock.advance(500);
  assert.equal(lastAck(executor)?.heardSequence, 0, "0 is Hello");
  assert.equal(await core.beats.runOnce(), 1);
  await core.clock.settle();
  assert.equal(lastAck(executor)?.heardSequence, 1);
  assert.equal(await heardUs(core), core.nowUs());
  core.outage.names = [];
  executor.beat(2);
  await core.clock.advance(500);
  await assert.rejects(core.beats.runOnce());
  assert.equal(lastAck(executor)?.heardSequence, 1);
  core.outage.names = null;
  await core.beats.runOnce();
  await core.clock.settle();
  assert.equal(lastAck(executor)?.heardSequence, 2, "what could not be written is written next time");
});

test("rule 14: a beat that comes while another is written is not acknowledged by that one's storing", async (t) => {
  const { core, executor } = await setup(t);
  core.base.before.statement = async (name, sql) => {
    if (name !== "executor.beat" || sql !== "COMMIT") return;
    executor.beat(2);
    await core.clock.settle();
  };
  await core.beats.runOnce();
  await core.clock.settle();
  assert.equal(lastAck(executor)?.sequence, 2);
  assert.equal(lastAck(executor)?.heardSequence, 1);
});

test("rule 14: one that says nothing is not written as heard", async (t) => {
  const { core } = await setup(t);
  await core.beats.runOnce();
  const before = await heardUs(core);
  await core.clock.advance(1_250);
  assert.equal(await core.beats.runOnce(), 0);
  assert.equal(await heardUs(core), before);
});

test("rule 14: beats of all sessions are written each quarter lease in one statement", async (t) => {
  const core = await schedulerCore(t);
  const executors = [await core.join("one", 2), await core.join("two", 3)];
  core.beats.start();
  await core.clock.settle();
  await core.clock.advance(1_249);
  for (const executor of executors) executor.beat(1);
  await core.clock.settle();
  const before = (await core.store.executors.live()).map((record) => record.freeSlots);
  await core.clock.advance(1);
  const after = await core.store.executors.live();
  assert.deepEqual(before, [2, 3]);
  assert.deepEqual(
    after.map(({ freeSlots, cpuLoad, memoryBytes }) => ({ freeSlots, cpuLoad, memoryBytes })),
    [
      { freeSlots: 1, cpuLoad: 0.5, memoryBytes: 1_000 },
      { freeSlots: 1, cpuLoad: 0.5, memoryBytes: 1_000 },
    ],
  );
});

test("a session that the store does not have any more is ended", async (t) => {
  const { core, executor } = await setup(t);
  const other = await schedulerCore(t, { base: core.base, schedulerId: "scheduler-2" });
  const elsewhere = await other.join("one", 2, {}, 2);
  await core.beats.runOnce();
  await core.clock.settle();
  assert.equal(executor.closedBy?.reason, "SESSION_SUPERSEDED");
  assert.equal(core.roster.size, 0);
  assert.equal(elsewhere.open, true);
});

test("rule 18: heartbeats say how far results are stored, once for each change", async (t) => {
  const { core, executor } = await setup(t, { resultPartitions: 2 });
  await core.beats.runOnce();
  await core.clock.settle();
  assert.deepEqual(
    lastAck(executor)?.stored.map(({ partition, nextOffset }) => ({ partition, nextOffset })),
    [
      { partition: 0, nextOffset: 0 },
      { partition: 1, nextOffset: 0 },
    ],
  );
  executor.beat(2);
  await core.clock.settle();
  assert.deepEqual(lastAck(executor)?.stored, []);
  core.offsets.stored({ partition: 1, generation: 0, nextOffset: 7 });
  executor.beat(2);
  await core.clock.settle();
  assert.equal(lastAck(executor)?.stored.find(({ partition }) => partition === 1)?.nextOffset, 7);
});

test("a reading of offsets that was overtaken changes nothing; a higher generation does", async (t) => {
  const { core } = await setup(t, { resultPartitions: 1 });
  const offset = () => core.offsets.all()[0];
  core.offsets.stored({ partition: 0, generation: 0, nextOffset: 9 });
  await core.offsets.refresh();
  assert.equal(offset()?.nextOffset, 9, "the store said 0");
  core.offsets.stored({ partition: 0, generation: 1, nextOffset: 2 });
  assert.deepEqual(offset(), { partition: 0, generation: 1, nextOffset: 2 });
});

test("one that is silent for 3 s gets no work until anything is heard of it", async (t) => {
  const { core, executor } = await setup(t);
  core.beats.start();
  await core.clock.advance(2_999);
  assert.equal(core.roster.anyRoom(), true);
  await core.clock.advance(501);
  assert.equal(core.roster.anyRoom(), false);
  executor.say({ kind: "unknown" });
  await core.clock.settle();
  assert.equal(core.roster.anyRoom(), true);
});

test("a heartbeat whose sequence does not rise ends the session", async (t) => {
  const { core, executor } = await setup(t);
  executor.say({ kind: "heartbeat", sequence: 1, slots: [], cpuLoad: 0, memoryBytes: 0, sendUs: 0 });
  await core.clock.settle();
  assert.equal(executor.closedBy?.reason, "PROTOCOL_VIOLATION");
});

test("room that grows is hinted, at once and once", async (t) => {
  const { core, executor } = await setup(t);
  let hints = 0;
  core.hints.on("free", () => {
    hints += 1;
  });
  executor.beat(2);
  await core.clock.settle();
  assert.equal(hints, 0, "nothing grew");
  executor.beat(3);
  await core.clock.settle();
  assert.equal(hints, 1);
});
