import assert from "node:assert/strict";
import { test } from "node:test";
import { HeldWork, setup, WAYS } from "./setup.ts";

for (const way of WAYS) {
  test(`rule 25: a stop for a key that never came answers NOT_STARTED, and a late order is dropped, by ${way}`, async (t) => {
    let runs = 0;
    const rig = await setup(t, { way, work: () => Buffer.of(++runs) });
    const order = rig.order();
    rig.homes.last.stop(order.key);
    await rig.clock.settle();
    const { outcome } = rig.result(order.key);
    assert.ok(outcome.kind === "returned");
    assert.equal(outcome.reason, "NOT_STARTED");
    await rig.dispatch(order);
    await rig.clock.advance(1_000);
    assert.equal(runs, 0);
  });

  test(`rule 25: a running attempt is told by its signal, and its result says CANCELLED, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { key } = await rig.dispatch();
    const [context] = work.started;
    assert.equal(context?.signal.aborted, false);
    rig.homes.last.stop(key);
    await rig.clock.settle();
    assert.equal(context?.signal.aborted, true);
    assert.equal(context?.signal.reason, "CANCEL");
    assert.deepEqual(rig.results(), [], "nothing is said before it has settled");
    work.fail(0, new Error("interrupted"));
    await rig.clock.settle();
    const { outcome } = rig.result(key);
    assert.ok(outcome.kind === "cancelled");
    assert.equal(outcome.failure.message, "the test asked");
  });

  test(`rule 25: one that answers although it was stopped has done its work: SUCCEEDED stays, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { key } = await rig.dispatch();
    rig.homes.last.stop(key);
    work.finish(0);
    await rig.clock.settle();
    assert.equal(rig.result(key).outcome.kind, "succeeded");
  });

  test(`rule 25: under REROUTE a running attempt comes back CUT_OFF, for no caller cancelled it, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { key } = await rig.dispatch();
    rig.homes.last.stop(key, "REROUTE");
    work.fail(0, new Error("interrupted"));
    await rig.clock.settle();
    const { outcome } = rig.result(key);
    assert.ok(outcome.kind === "returned");
    assert.equal(outcome.reason, "CUT_OFF");
  });

  test(`rule 25: under TIMEOUT a running attempt is TIMED_OUT whatever it answers, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { key } = await rig.dispatch();
    rig.homes.last.stop(key, "TIMEOUT");
    work.finish(0);
    await rig.clock.settle();
    assert.equal(rig.result(key).outcome.kind, "timed_out");
  });
}

test("rule 25: a stop for one that ended has its result sent again", async (t) => {
  const rig = await setup(t, { way: "session", manners: { store: false } });
  const { key } = await rig.dispatch();
  rig.homes.last.stop(key);
  await rig.clock.settle();
  const outcomes = rig.homes.all("result").map(({ result }) => result.outcome.kind);
  assert.deepEqual(outcomes, ["succeeded", "succeeded"]);
});

for (const way of WAYS) {
  test(`rules 22, 24: past its timeout a handler is told, and TIMED_OUT is sent when it has settled, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const { key } = await rig.dispatch(rig.order({ timeoutMs: 730 }));
    await rig.clock.advance(729);
    const [context] = work.started;
    assert.equal(context?.signal.aborted, false);
    await rig.clock.advance(1);
    assert.equal(context?.signal.aborted, true, "on the millisecond");
    assert.deepEqual(rig.results(), []);
    await rig.clock.advance(5_000);
    assert.equal(rig.executor.status.heldSlots, 1);
    work.finish(0);
    await rig.clock.settle();
    const { outcome } = rig.result(key);
    assert.ok(outcome.kind === "timed_out");
    assert.equal(outcome.failure.message, "ran past its timeout of 730 ms");
  });
}

test("a timeout shorter than a look is on time too", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run });
  await rig.dispatch(rig.order({ timeoutMs: 5 }));
  await rig.clock.advance(5);
  assert.equal(work.started[0]?.signal.aborted, true);
  work.finish(0);
});

test("rule 22: a handler that does not settle keeps its slot, and the process ends after the setting", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run, config: { killGraceMs: 10_000, unsettledExitMs: 60_000 } });
  await rig.dispatch(rig.order({ timeoutMs: 1_000 }));
  await rig.clock.advance(1_000 + 10_000 + 59_000);
  assert.deepEqual(rig.exits, []);
  assert.equal(rig.homes.last.room.free, 3);
  await rig.clock.advance(1_100);
  assert.deepEqual(rig.exits, ["an attempt that was told to end did not"]);
  work.finish(0);
});
