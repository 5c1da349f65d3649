import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptEnding } from "../../../services/executor/target-runner.ts";
import { HeldBus } from "./held-bus.ts";
import { HeldWork, setup, WAYS } from "./setup.ts";

for (const way of WAYS) {
  test(`rule 17: an attempt runs once under its key, however often and by whatever way its order comes, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const order = await rig.dispatch();
    await rig.dispatch(order);
    rig.homes.last.dispatch(order);
    await rig.clock.settle();
    assert.equal(work.started.length, 1);
    work.finish(0);
    await rig.clock.settle();
    await rig.dispatch(order);
    await rig.storeProduced();
    await rig.dispatch(order);
    assert.equal(work.started.length, 1);
  });

  test(`rule 17: another fence of the same attempt is another key, by ${way}`, async (t) => {
    const rig = await setup(t, { way });
    const order = await rig.dispatch();
    await rig.dispatch({ ...order, key: { ...order.key, fence: (order.key.fence + 100n) as never } });
    assert.equal(rig.results().length, 2);
  });

  test(`rule 17: a key is remembered for 10 s after its result is stored, then the newest are, by ${way}`, async (t) => {
    const rig = await setup(t, { way, config: { maxRememberedKeys: 2 } });
    for (let count = 0; count < 4; count++) await rig.dispatch();
    await rig.storeProduced();
    assert.equal(rig.executor.status.rememberedKeys, 4, "within 10 s all of them");
    await rig.clock.advance(11_000);
    await rig.dispatch();
    await rig.storeProduced();
    assert.equal(rig.executor.status.rememberedKeys, 2, "after that the newest");
  });

  test(`rule 17: an unknown key from before those forgotten is not run and comes back NOT_STARTED, by ${way}`, async (t) => {
    let runs = 0;
    const rig = await setup(t, { way, work: () => Buffer.of(++runs), config: { maxRememberedKeys: 1, rememberMs: 0 } });
    const early = rig.order();
    await rig.clock.advance(100);
    await rig.dispatch();
    await rig.dispatch();
    await rig.storeProduced();
    assert.equal(runs, 2);
    const { key } = await rig.dispatch(early);
    assert.equal(runs, 2, "it may be one of the forgotten");
    const { outcome } = rig.result(key);
    assert.ok(outcome.kind === "returned");
    assert.equal(outcome.reason, "NOT_STARTED");
    const later = await rig.dispatch();
    assert.equal(rig.result(later.key).outcome.kind, "succeeded");
  });

  test(`rule 19: a key that comes again by the session is answered by how it stands: running, by ${way}`, async (t) => {
    const work = new HeldWork();
    const rig = await setup(t, { way, work: work.run });
    const order = await rig.dispatch();
    assert.deepEqual(rig.homes.all("started"), []);
    rig.homes.last.dispatch(order);
    await rig.clock.settle();
    assert.deepEqual(rig.homes.all("started"), [{ kind: "started", key: order.key, startUs: rig.clock.wallUs() }]);
    work.finish(0);
  });

  test(`rule 19: stored once and asked for again, it is UNKNOWN, by ${way}`, async (t) => {
    const rig = await setup(t, { way });
    const order = await rig.dispatch();
    await rig.storeProduced();
    assert.equal(rig.executor.status.keptResults, 0);
    rig.homes.last.dispatch(order);
    await rig.clock.settle();
    const { outcome } = rig.results().filter(({ outcome }) => outcome.kind === "returned")[0] ?? assert.fail();
    assert.ok(outcome.kind === "returned");
    assert.equal(outcome.reason, "UNKNOWN");
  });
}

for (const heard of [true, false]) {
  test(`rule 17: NOT_STARTED ${heard ? "keeps the start that its home has heard of" : "has no start that its home never heard of"}`, async (t) => {
    // A machine that cannot fork says so after a while.
    const ended = Promise.withResolvers<AttemptEnding>();
    const runner = { capability: { kind: "command" } as const, keepsTimeout: true, run: () => ended.promise };
    const moreRunners = () => [runner];
    const rig = await setup(t, { way: "session", moreRunners });
    const startUs = rig.clock.wallUs();
    const order = await rig.dispatch(
      rig.order({ target: { kind: "command", method: "", summary: "", bytes: new Uint8Array() } }),
    );
    if (heard) rig.homes.last.dispatch(order);
    await rig.clock.settle();
    const outcome = { kind: "returned", reason: "NOT_STARTED", message: "EAGAIN" } as const;
    ended.resolve({ outcome, startUs: null, endUs: startUs, exitCode: null, output: "", errorOutput: "" });
    await rig.clock.settle();
    assert.deepEqual([rig.result(order.key).outcome, rig.result(order.key).startUs], [outcome, heard ? startUs : null]);
  });
}

test("rule 19: ended and produced, nothing is said while the result stands where it will be read", async (t) => {
  const rig = await setup(t, { way: "bus" });
  const order = await rig.dispatch();
  rig.homes.last.dispatch(order);
  await rig.clock.settle();
  assert.equal(rig.results().length, 1);
});

test("rules 19 and 27: a result that stands in Kafka unread for ten seconds is sent by the session when it is asked for", async (t) => {
  const rig = await setup(t, { way: "bus", manners: { store: false } });
  const order = await rig.dispatch();
  const sentAgain = () => rig.homes.all("result").length;
  for (let second = 0; second < 9; second++) {
    rig.homes.last.dispatch(order);
    await rig.clock.advance(1_000);
  }
  assert.equal(sentAgain(), 0, "a reader has time");
  await rig.clock.advance(1_000);
  rig.homes.last.dispatch(order);
  await rig.clock.settle();
  assert.deepEqual(
    rig.homes.all("result").map(({ result }) => result.key),
    [order.key],
  );
});

test("rule 19: ended and sent by a session, the result is sent again", async (t) => {
  const rig = await setup(t, { way: "session", manners: { store: false } });
  const order = await rig.dispatch();
  rig.homes.last.dispatch(order);
  await rig.clock.settle();
  assert.deepEqual(
    rig.homes.all("result").map(({ sequence, result }) => [sequence, result.key]),
    [
      [1, order.key],
      [2, order.key],
    ],
  );
});

test("rule 19: what Kafka does not take within a second goes by the session too, and either way frees it", async (t) => {
  const manners = { stored: [{ partition: 0, generation: 0, nextOffset: 0 }] };
  const rig = await setup(t, { deps: { bus: new HeldBus() }, manners });
  await rig.dispatch();
  await rig.clock.advance(900);
  assert.equal(rig.homes.all("result").length, 0);
  assert.equal(rig.executor.status.heldSlots, 1, "it holds its slot until then");
  await rig.clock.advance(400);
  assert.equal(rig.homes.all("result").length, 1);
  assert.equal(rig.executor.status.keptResults, 0);
  assert.equal(rig.executor.status.heldSlots, 0);
});
