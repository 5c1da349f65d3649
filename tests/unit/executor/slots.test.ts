import assert from "node:assert/strict";
import { test } from "node:test";
import { HandlerRunner } from "../../../services/executor/target/handler.ts";
import { HeldBus } from "./held-bus.ts";
import { HeldWork, METHOD, setup, WAYS } from "./setup.ts";

for (const way of WAYS) {
  test(`rule 20: what does not fit comes back at once and is not queued behind a running attempt, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run, config: { slots: 2 } });
    await rig.dispatch();
    await rig.dispatch();
    const third = await rig.dispatch();
    const { outcome } = rig.result(third.key);
    assert.ok(outcome.kind === "returned");
    assert.deepEqual([outcome.reason, outcome.message], ["NOT_STARTED", "no free slot"]);
    work.finish(0);
    work.finish(1);
    await rig.clock.settle();
    assert.equal(work.started.length, 2);
  });

  test(`rule 20: each key is counted once under a session, whatever became of it, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run, config: { slots: 1 } });
    const first = await rig.dispatch();
    await rig.dispatch(first);
    rig.homes.last.dispatch(first);
    await rig.dispatch();
    rig.homes.last.stop(rig.key());
    await rig.clock.advance(1_000);
    assert.deepEqual(rig.homes.last.room, { capabilityIndex: null, free: 0, receivedCount: 3 });
    work.finish(0);
  });

  test(`rule 20: another Hello counts from nothing, and a key sent again under it is counted again, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const old = await rig.dispatch();
    const late = rig.order();
    rig.homes.last.close();
    await rig.clock.advance(50);
    assert.equal(rig.homes.last.hello.sessionNumber, 2);
    await rig.dispatch(late);
    await rig.clock.advance(1_000);
    assert.equal(rig.homes.last.room.receivedCount, 0, "those of the session before do not count");
    rig.homes.last.dispatch({ ...old, sessionNumber: 2 });
    await rig.clock.advance(1_000);
    assert.equal(rig.homes.last.room.receivedCount, 1);
    work.finish(0);
    work.finish(1);
  });

  test(`rule 20: a capability with slots of its own is counted and bounded beside the executor, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run, handler: { slots: 1 } });
    await rig.dispatch();
    const second = await rig.dispatch();
    assert.equal(rig.result(second.key).outcome.kind, "returned");
    await rig.clock.advance(1_000);
    assert.deepEqual(rig.homes.last.counts, [
      { capabilityIndex: null, free: 3, receivedCount: 2 },
      { capabilityIndex: 0, free: 0, receivedCount: 2 },
    ]);
    work.finish(0);
  });
}

test("rule 20: a slot is held until its result is in Kafka", async (t) => {
  const bus = new HeldBus();
  const manners = { stored: [{ partition: 0, generation: 0, nextOffset: 0 }] };
  const rig = await setup(t, { deps: { bus }, config: { slots: 1 }, manners });
  await rig.dispatch();
  await rig.clock.advance(100);
  assert.deepEqual([rig.executor.status.running, rig.executor.status.heldSlots], [0, 1]);
  bus.sends[0]?.resolve({ partition: 0, offset: 0 });
  await rig.clock.settle();
  assert.equal(rig.executor.status.heldSlots, 0);
});

test("a freed slot is said at once; while a beat is under way, with its answer", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run, manners: { acknowledge: true } });
  await rig.dispatch();
  await rig.dispatch();
  await rig.clock.advance(500);
  const before = rig.homes.last.all("heartbeat").length;
  rig.homes.manners.acknowledge = false;
  work.finish(0);
  await rig.clock.settle();
  const beats = rig.homes.last.all("heartbeat");
  assert.equal(beats.length, before + 1);
  assert.equal(rig.homes.last.room.free, 3);
  work.finish(1);
  await rig.clock.advance(100);
  assert.equal(rig.homes.last.all("heartbeat").length, before + 1, "at most one under way");
  rig.homes.last.acknowledge(beats.at(-1)?.sequence ?? 0);
  await rig.clock.advance(5);
  assert.equal(rig.homes.last.room.free, 4);
});

test("two handlers of one method are a mistake of the program", async (t) => {
  const twice = setup(t, {
    start: false,
    moreRunners: (clock) => [
      new HandlerRunner(clock, {
        method: METHOD,
        slots: 0,
        descriptorHash: "",
        decode: (bytes) => bytes,
        encodeJson: null,
        encode: () => Buffer.alloc(0),
        run: () => undefined,
      }),
    ],
  });
  await assert.rejects(twice, /is given twice/);
});
