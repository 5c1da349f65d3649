/** Rule 11: what is sent ahead of its time is held, with a slot, and starts on the millisecond of mesh time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HeldWork, type Rig, type SetupOptions, setup, WAYS } from "./setup.ts";

const AHEAD_US = 200_000;

async function rigWith(t: Parameters<typeof setup>[0], options: SetupOptions = {}) {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run, ...options });
  const held = () => rig.order({ holdUntilUs: rig.clock.wallUs() + AHEAD_US });
  return { work, rig, held };
}

function outcomeOf(rig: Rig, key: Parameters<Rig["result"]>[0]) {
  const { outcome, startUs } = rig.result(key);
  assert.ok(outcome.kind === "returned");
  return [outcome.reason, outcome.message, startUs];
}

for (const way of WAYS) {
  test(`rule 11: what is held starts on the millisecond and not before, with its timeout from then, by ${way}`, async (t) => {
    const { work, rig, held } = await rigWith(t, { way });
    const { key } = await rig.dispatch({ ...held(), timeoutMs: 1_000 });
    await rig.clock.advance(199);
    assert.equal(work.started.length, 0);
    assert.deepEqual([rig.executor.status.running, rig.executor.status.heldSlots], [0, 1], "it has its slot");
    await rig.clock.advance(1);
    assert.equal(work.started.length, 1);
    await rig.clock.advance(999);
    assert.equal(work.started[0]?.signal.aborted, false);
    await rig.clock.advance(1);
    assert.equal(work.started[0]?.signal.aborted, true);
    work.finish(0);
    await rig.clock.settle();
    assert.equal(rig.result(key).outcome.kind, "timed_out");
  });

  test(`rule 11: a slot that holds is a slot: what does not fit beside it comes back, by ${way}`, async (t) => {
    const { work, rig, held } = await rigWith(t, { way, config: { slots: 1 } });
    await rig.dispatch(held());
    const { key } = await rig.dispatch();
    assert.deepEqual(outcomeOf(rig, key), ["NOT_STARTED", "no free slot", null]);
    await rig.clock.advance(200);
    assert.equal(work.started.length, 1);
    work.finish(0);
  });

  for (const reason of ["PAUSED", "CANCEL"] as const) {
    test(`rule 25: ${reason} of what is held answers NOT_STARTED at once, and it never starts, by ${way}`, async (t) => {
      const { work, rig, held } = await rigWith(t, { way });
      const order = await rig.dispatch(held());
      rig.homes.last.stop(order.key, reason);
      await rig.clock.settle();
      assert.deepEqual(outcomeOf(rig, order.key), ["NOT_STARTED", "stopped before its time", null]);
      await rig.dispatch(order);
      await rig.clock.advance(1_000);
      assert.equal(work.started.length, 0);
      assert.equal(rig.executor.status.heldSlots, 0);
      assert.deepEqual(rig.homes.last.room, { capabilityIndex: null, free: 4, receivedCount: 1 });
    });
  }

  test(`rule 25: PAUSED comes too late for what has started: it runs on, and the home is told, by ${way}`, async (t) => {
    const { work, rig, held } = await rigWith(t, { way });
    const { key } = await rig.dispatch(held());
    await rig.clock.advance(200);
    rig.homes.last.stop(key, "PAUSED");
    await rig.clock.settle();
    assert.equal(work.started[0]?.signal.aborted, false);
    assert.deepEqual(
      rig.homes.all("started").map((message) => message.key),
      [key],
    );
    work.finish(0);
    await rig.clock.settle();
    assert.equal(rig.result(key).outcome.kind, "succeeded");
  });

  test(`rule 12: where mesh time is not known nothing is held: it comes back, by ${way}`, async (t) => {
    const { work, rig, held } = await rigWith(t, { way, manners: { acknowledge: false } });
    const { key } = await rig.dispatch(held());
    assert.deepEqual(outcomeOf(rig, key), ["NOT_STARTED", "it came ahead of its time, which is uncertain here", null]);
    await rig.clock.advance(300);
    assert.equal(work.started.length, 0);
  });

  test(`rule 16: an executor that fences itself starts nothing that it held, also when it stood still, by ${way}`, async (t) => {
    const { work, rig, held } = await rigWith(t, { way, config: { selfFencing: true } });
    await rig.dispatch(held());
    rig.clock.jump(10_000);
    await rig.clock.advance(300);
    assert.equal(work.started.length, 0);
    await rig.clock.advance(1_000);
    assert.equal(rig.executor.status.heldSlots, 0);
    assert.deepEqual(rig.results(), [], "others decide what becomes of it");
  });
}

test("rule 12: the time is the mesh's, which may have moved since it was taken", async (t) => {
  const { work, rig, held } = await rigWith(t);
  await rig.dispatch(held());
  const earlierUs = rig.clock.wallUs() - 40_000;
  await rig.clock.advance(20);
  rig.homes.last.say({ kind: "heartbeat_ack", sequence: 1, timeUs: earlierUs, stored: [], heardSequence: 1 });
  await rig.clock.advance(180);
  const began = work.started.length;
  await rig.clock.advance(200);
  assert.deepEqual([began <= 1, work.started.length], [true, 1]);
  work.finish(0);
});

test("rule 11: an order whose time has come starts at once", async (t) => {
  const { work, rig } = await rigWith(t);
  await rig.dispatch(rig.order({ holdUntilUs: rig.clock.wallUs() }));
  assert.equal(work.started.length, 1);
  work.finish(0);
});

test("rule 24: what stood still past its start deadline while it was held comes back", async (t) => {
  const { work, rig, held } = await rigWith(t);
  const order = held();
  const { key } = await rig.dispatch({ ...order, startDeadlineUs: (order.holdUntilUs ?? 0) + 50_000 });
  rig.clock.jump(400);
  await rig.clock.advance(200);
  assert.deepEqual(outcomeOf(rig, key), ["NOT_STARTED", "its start deadline has passed", null]);
  assert.equal(work.started.length, 0);
});

test("rule 19: what is held is named in Hello, and sent again it is still held once", async (t) => {
  const { work, rig, held } = await rigWith(t, { way: "session" });
  const order = await rig.dispatch(held());
  rig.homes.last.close();
  await rig.clock.advance(100);
  assert.deepEqual(rig.homes.last.hello.taken, [order.key]);
  await rig.dispatch({ ...order, sessionNumber: rig.executor.status.sessionNumber });
  assert.deepEqual(rig.results(), []);
  await rig.clock.advance(100);
  assert.equal(work.started.length, 1);
  work.finish(0);
});

test("an executor that leaves runs what it holds; when it is in a hurry it hands it back", async (t) => {
  const { work, rig, held } = await rigWith(t);
  const { key } = await rig.dispatch(held());
  const stopped = rig.executor.stop(0);
  await rig.clock.advance(100);
  assert.deepEqual(outcomeOf(rig, key), ["NOT_STARTED", "the executor stops", null]);
  await rig.clock.advance(5_000);
  await stopped;
  assert.equal(work.started.length, 0);
});

/** Answers the next beat with a mesh time that is so far from the machine's clock. */
async function tell(rig: Rig, sequence: number, aheadUs: number): Promise<void> {
  const timeUs = rig.clock.wallUs() + aheadUs;
  rig.homes.last.say({ kind: "heartbeat_ack", sequence, timeUs, stored: [], heardSequence: sequence });
  await rig.clock.settle();
}

test("rule 11: what is held while mesh time steps on starts when that says so, not when it had said so", async (t) => {
  const { work, rig } = await rigWith(t, { manners: { acknowledge: false } });
  await tell(rig, 1, 0);
  await rig.clock.advance(900);
  await rig.dispatch(rig.order({ holdUntilUs: rig.clock.wallUs() + 300_000 }));
  await rig.clock.advance(120);
  await tell(rig, 2, 3_600_000_000);
  await rig.clock.advance(50);
  assert.equal(work.started.length, 1);
  work.finish(0);
});

test("rule 12: before a home has told mesh time nothing that is held starts by the machine's clock", async (t) => {
  const { work, rig } = await rigWith(t, { manners: { acknowledge: false } });
  const { key } = await rig.dispatch(rig.order({ holdUntilUs: rig.clock.wallUs() - 1_000 }));
  assert.deepEqual(outcomeOf(rig, key), ["NOT_STARTED", "it came ahead of its time, which is uncertain here", null]);
  assert.equal(work.started.length, 0);
});

test("rule 11: what is further off than fires are sent ahead is not held", async (t) => {
  const { rig } = await rigWith(t);
  const { key } = await rig.dispatch(rig.order({ holdUntilUs: rig.clock.wallUs() + 401_000 }));
  assert.deepEqual(outcomeOf(rig, key), ["NOT_STARTED", "its time is further off than fires are sent ahead", null]);
});
