import assert from "node:assert/strict";
import { test } from "node:test";
import { HeldWork, setup, WAYS } from "./setup.ts";

for (const way of WAYS) {
  test(`leaving, it takes no new work, lets attempts end and hands over their results, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { key } = await rig.dispatch();
    const stopping = rig.executor.stop();
    await rig.clock.settle();
    assert.equal(rig.homes.last.all("leaving").length, 1);
    await rig.clock.advance(1_000);
    assert.equal(rig.homes.last.room.free, 0);
    const refused = await rig.dispatch();
    const { outcome } = rig.result(refused.key);
    assert.ok(outcome.kind === "returned");
    assert.deepEqual([outcome.reason, outcome.message], ["NOT_STARTED", "the executor takes no more work"]);
    assert.equal(work.started[0]?.signal.aborted, false);
    work.finish(0);
    await rig.clock.settle();
    assert.equal(rig.result(key).outcome.kind, "succeeded");
    await rig.storeProduced();
    await rig.clock.advance(1_000);
    await stopping;
    assert.equal(rig.homes.last.closedBy, null, "the stream ends in order");
    assert.equal(rig.executor.status.keptResults, 0);
  });

  test(`rule 21: what still runs at the soft deadline comes back CUT_OFF, never FAILED, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { key } = await rig.dispatch();
    const stopping = rig.executor.stop(5_000);
    await rig.clock.advance(4_900);
    assert.equal(work.started[0]?.signal.aborted, false);
    await rig.clock.advance(200);
    assert.equal(work.started[0]?.signal.reason, "SHUTDOWN");
    work.fail(0, new Error("interrupted"));
    await rig.clock.advance(100);
    const { outcome } = rig.result(key);
    assert.ok(outcome.kind === "returned");
    assert.equal(outcome.reason, "CUT_OFF");
    await rig.clock.advance(10_000);
    await stopping;
  });

  test(`a second stop hurries the first, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    await rig.dispatch();
    void rig.executor.stop(60_000);
    await rig.clock.advance(1_000);
    const stopping = rig.executor.stop();
    await rig.clock.advance(50);
    assert.equal(work.started[0]?.signal.reason, "SHUTDOWN");
    work.finish(0);
    await rig.clock.advance(10_000);
    await stopping;
  });

  test(`a home can ask it to leave, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    await rig.dispatch();
    rig.homes.last.say({ kind: "drain", graceMs: 2_000 });
    await rig.clock.advance(1_900);
    assert.equal(work.started[0]?.signal.aborted, false);
    await rig.clock.advance(200);
    assert.equal(work.started[0]?.signal.reason, "SHUTDOWN");
    work.finish(0);
    await rig.clock.advance(10_000);
    await rig.executor.left;
  });
}

test("a drain that comes again hurries nothing, a shorter one shortens it, and a stop after it is the first one", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run });
  await rig.dispatch();
  rig.homes.last.say({ kind: "drain", graceMs: 3_600_000 });
  await rig.clock.advance(1_000);
  rig.homes.last.say({ kind: "drain", graceMs: 7_200_000 });
  await rig.clock.advance(60_000);
  assert.equal(work.started[0]?.signal.aborted, false);
  rig.homes.last.say({ kind: "drain", graceMs: 20_000 });
  await rig.clock.advance(1_000);
  assert.equal(work.started[0]?.signal.aborted, false);
  void rig.executor.stop(5_000);
  await rig.clock.advance(4_900);
  assert.equal(work.started[0]?.signal.aborted, false);
  await rig.clock.advance(200);
  assert.equal(work.started[0]?.signal.reason, "SHUTDOWN");
  work.finish(0);
  await rig.clock.advance(10_000);
  await rig.executor.left;
});

test("a handler that does not settle is left without a result: it is lost with its process", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run });
  await rig.dispatch();
  const stopping = rig.executor.stop(0);
  await rig.clock.advance(25_000);
  await stopping;
  assert.deepEqual(rig.results(), []);
});

test("a start that waits for its lane can be stopped at once", async (t) => {
  const rig = await setup(t, { way: "bus", start: false });
  assert.ok(rig.bus !== null);
  rig.bus.away = true;
  const starting = rig.executor.start();
  await rig.clock.advance(100);
  const stopping = rig.executor.stop();
  await rig.clock.advance(100);
  await Promise.all([starting, stopping]);
  assert.equal(rig.homes.streams.length, 0);
});

test("it says that it leaves to a home that takes it meanwhile, too", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run });
  await rig.dispatch();
  const stopping = rig.executor.stop();
  await rig.clock.settle();
  rig.homes.last.close();
  await rig.clock.advance(50);
  assert.equal(rig.homes.streams.length, 2);
  assert.equal(rig.homes.last.all("leaving").length, 1);
  work.finish(0);
  await rig.clock.advance(3_000);
  await stopping;
});

test("rule 29: the lane stands before Hello, which names it", async (t) => {
  const rig = await setup(t, { way: "bus" });
  assert.equal(rig.homes.streams[0]?.hello.profile.lane, 3);
});

test("rule 29: while Kafka is away it works by its session, and says Hello again when the lane stands", async (t) => {
  const rig = await setup(t, { way: "bus", start: false, config: { laneWaitMs: 5_000 } });
  assert.ok(rig.bus !== null);
  await rig.startBus();
  rig.bus.away = true;
  void rig.executor.start();
  await rig.clock.advance(4_900);
  assert.equal(rig.homes.streams.length, 0);
  await rig.clock.advance(200);
  assert.equal(rig.homes.last.hello.profile.lane, null);
  const order = rig.order();
  rig.homes.last.dispatch(order);
  await rig.clock.settle();
  assert.equal(rig.homes.all("result").length, 1);
  rig.bus.away = false;
  await rig.clock.advance(1_100);
  assert.deepEqual([rig.homes.last.hello.profile.lane, rig.homes.last.hello.sessionNumber], [3, 2]);
  const { key } = await rig.dispatch();
  assert.equal(rig.result(key).outcome.kind, "succeeded");
});

test("asked to leave while it starts, and its start then fails, it has left, and the start says why", async (t) => {
  const spawner = Promise.withResolvers<void>();
  const commands = { start: () => spawner.promise, stop: async () => {}, setSilence: () => {}, setFence: () => {} };
  const rig = await setup(t, { start: false, deps: { commands } });
  const starting = rig.executor.start();
  const stopping = rig.executor.stop();
  await rig.clock.settle();
  spawner.reject(new Error("the spawner process ended before it was ready"));
  await assert.rejects(starting, /ended before it was ready/);
  await stopping;
  await rig.executor.left;
});
