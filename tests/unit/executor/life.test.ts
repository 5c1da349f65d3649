import assert from "node:assert/strict";
import { test } from "node:test";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import type { Registry } from "../../../services/common/port/registry.ts";
import { HeldWork, setup, WAYS } from "./setup.ts";

const unreachable = new JobmeshError("PEER_UNAVAILABLE");

for (const way of WAYS) {
  test(`a session that breaks is replaced at once and stops nothing, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { key } = await rig.dispatch();
    await rig.clock.advance(300);
    rig.homes.last.close();
    await rig.clock.advance(25);
    assert.equal(rig.homes.streams.length, 2);
    const { hello } = rig.homes.last;
    assert.deepEqual([hello.sessionNumber, hello.taken], [2, [key]]);
    assert.deepEqual(
      rig.homes.last.all("started").map(({ key: started }) => started),
      [key],
      "said again after each Hello",
    );
    assert.equal(work.started[0]?.signal.aborted, false);
    work.finish(0);
    await rig.clock.settle();
    assert.equal(rig.result(key).outcome.kind, "succeeded");
  });

  test(`rule 16: without a stored beat for the lease less a second, work is cut off and another incarnation goes on, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { incarnation } = rig.executor.status;
    const { key } = await rig.dispatch();
    const [context] = work.started;
    rig.homes.away = unreachable;
    rig.homes.last.close();
    await rig.clock.advance(3_990);
    assert.equal(context?.signal.aborted, false);
    await rig.clock.advance(20);
    assert.equal(context?.signal.reason, "FENCED");
    work.finish(0);
    await rig.clock.advance(100);
    assert.notEqual(rig.executor.status.incarnation, incarnation);
    rig.homes.away = null;
    await rig.clock.advance(1_000);
    const { hello } = rig.homes.last;
    assert.equal(hello.profile.incarnation, rig.executor.status.incarnation);
    assert.deepEqual([hello.previousIncarnation, hello.sessionNumber, hello.taken], [incarnation, 1, []]);
    assert.deepEqual(rig.results(), [], "nothing is said of what was cut off");
    assert.deepEqual(rig.exits, []);
    const after = await rig.dispatch();
    work.finish(1);
    await rig.clock.settle();
    assert.equal(rig.result(after.key).outcome.kind, "succeeded");
    assert.notDeepEqual(after.key, key);
  });

  test(`rule 16: results outlive their incarnation, by ${way}`, async (t) => {
    const rig = await setup(t, { way, manners: { store: false } });
    const { incarnation } = rig.executor.status;
    const { key } = await rig.dispatch();
    rig.homes.away = unreachable;
    rig.homes.last.close();
    await rig.clock.advance(4_500);
    rig.homes.away = null;
    await rig.clock.advance(1_000);
    assert.notEqual(rig.executor.status.incarnation, incarnation);
    assert.equal(rig.executor.status.keptResults, 1);
    assert.deepEqual(rig.homes.last.hello.taken, [], "its attempts are not the new one's");
    rig.homes.manners.store = true;
    if (way === "session") rig.homes.last.close();
    await rig.storeProduced();
    assert.equal(rig.executor.status.keptResults, 0);
    const [result] = rig.results().filter((each) => each.key.executionId === key.executionId);
    assert.equal(result?.incarnation, incarnation);
  });

  test(`rule 16: a handler that has not settled 500 ms after its signal ends the process, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    await rig.dispatch();
    rig.homes.away = unreachable;
    rig.homes.last.close();
    await rig.clock.advance(4_000 + 480);
    assert.deepEqual(rig.exits, []);
    await rig.clock.advance(60);
    assert.deepEqual(rig.exits, ["1 attempts run on although their incarnation has ended"]);
    work.finish(0);
  });

  test(`rule 16: a Hello that is refused as lost makes it another incarnation, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { incarnation } = rig.executor.status;
    await rig.dispatch();
    rig.homes.last.close(new JobmeshError("EXECUTOR_LOST"));
    await rig.clock.settle();
    assert.equal(work.started[0]?.signal.reason, "FENCED");
    work.finish(0);
    await rig.clock.advance(100);
    assert.equal(rig.homes.last.hello.previousIncarnation, incarnation);
    assert.notEqual(rig.homes.last.hello.profile.incarnation, incarnation);
  });
}

test("rule 16: beats that are answered but not stored do not keep it alive; they count from when they were sent", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run });
  await rig.dispatch();
  rig.homes.manners.acknowledge = false;
  for (let beat = 2; beat <= 5; beat++) {
    await rig.clock.advance(1_000);
    rig.homes.last.acknowledge(beat, 1);
  }
  await rig.clock.advance(100);
  assert.equal(work.started[0]?.signal.reason, "FENCED");
  work.finish(0);
});

test("rule 16: a lease that is kept alive is as good as a stored beat", async (t) => {
  const work = new HeldWork();
  let keptAliveMs = 0;
  const registry: Registry = {
    kind: "memory",
    start: async () => {},
    stop: async () => {},
    health: () => ({ healthy: true, message: "" }),
    register: async () => ({ update: async () => {}, lastKeptAliveMs: () => keptAliveMs, revoke: async () => {} }),
    watch: () => () => {},
  };
  const rig = await setup(t, { work: work.run, deps: { registry } });
  assert.equal(rig.homes.last.hello.profile.registered, true);
  await rig.dispatch();
  rig.homes.away = unreachable;
  rig.homes.last.close();
  for (let seconds = 0; seconds < 10; seconds++) {
    await rig.clock.advance(1_000);
    keptAliveMs = rig.clock.monotonicMs();
  }
  assert.equal(work.started[0]?.signal.aborted, false);
  await rig.clock.advance(4_100);
  assert.equal(work.started[0]?.signal.reason, "FENCED");
  work.finish(0);
});

test("rule 16: the executor inside its mesh does not fence itself", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run, config: { selfFencing: false } });
  await rig.dispatch();
  rig.homes.away = unreachable;
  rig.homes.last.close();
  await rig.clock.advance(60_000);
  assert.equal(work.started[0]?.signal.aborted, false);
  work.finish(0);
});

test("rule 16: work that comes after the instant has passed is not taken, also before a timer could fire", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { way: "bus", work: work.run });
  const order = rig.order();
  rig.homes.away = unreachable;
  rig.homes.last.close();
  await rig.clock.advance(3_999);
  rig.clock.jump(10_000);
  await rig.dispatch(order);
  assert.equal(work.started.length, 0);
});

test("homes that fail one after the other are waited for, up to about a second", async (t) => {
  const rig = await setup(t, { start: false });
  rig.homes.away = unreachable;
  await rig.executor.start();
  await rig.clock.advance(10_000);
  const waits = rig.homes.openedMs.slice(1).map((openedMs, index) => openedMs - (rig.homes.openedMs[index] ?? 0));
  assert.ok((waits[0] ?? 99) <= 25, `first wait ${waits[0]}`);
  assert.ok(waits.every((waitMs) => waitMs <= 1_000));
  assert.ok(
    waits.slice(-5).every((waitMs) => waitMs >= 500),
    `last waits ${waits.slice(-5).join(" ")}`,
  );
  rig.homes.away = null;
  await rig.clock.advance(1_000);
  assert.ok(rig.executor.status.homed);
});

test("rule 23: an executor_id that is taken is asked for again when the home says", async (t) => {
  const rig = await setup(t, { start: false });
  rig.homes.away = new JobmeshError("EXECUTOR_ID_TAKEN", { retryDelayMs: 3_000 });
  await rig.executor.start();
  await rig.clock.advance(2_999);
  assert.equal(rig.homes.openedMs.length, 1);
  rig.homes.away = null;
  await rig.clock.advance(1);
  assert.ok(rig.executor.status.homed);
});

test("a home that says nothing is left for another", async (t) => {
  const rig = await setup(t);
  rig.homes.manners.acknowledge = false;
  await rig.clock.advance(3_100);
  assert.equal(rig.homes.streams.length, 2);
  assert.notEqual(rig.homes.streams[0]?.closedBy, undefined);
});

test("a home that does not answer Hello is left for another", async (t) => {
  const rig = await setup(t, { manners: { welcome: false } });
  await rig.clock.advance(3_100);
  assert.equal(rig.homes.streams.length, 2);
});

test("rule 12: mesh time is taken from the beat with the shortest round trip", async (t) => {
  const rig = await setup(t, { manners: { acknowledge: false } });
  const aheadUs = 7_000_000;
  const beat = async (sequence: number, tripMs: number, errorUs: number) => {
    await rig.clock.advance(tripMs);
    const timeUs = rig.clock.wallUs() - (tripMs / 2) * 1000 + aheadUs + errorUs;
    rig.homes.last.say({ kind: "heartbeat_ack", sequence, timeUs, stored: [], heardSequence: sequence });
    await rig.clock.settle();
  };
  await beat(1, 20, 0);
  await rig.clock.advance(980);
  await beat(2, 400, 150_000);
  // A key known only from a stop is as old as the stop, by mesh time: an order from before it is not run.
  const { meshOffsetMs } = rig.executor.status;
  assert.ok(Math.abs(meshOffsetMs - 7_000) < 15, `offset ${meshOffsetMs}`);
});
