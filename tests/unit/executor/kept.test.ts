import assert from "node:assert/strict";
import { test } from "node:test";
import { keyText } from "../../../services/common/domain/identifier.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { HeldBus } from "./held-bus.ts";
import { HeldWork, type Rig, setup, WAYS } from "./setup.ts";

/** All records of the result topic, as texts of their keys. */
function produced(rig: Rig): string[] {
  return rig.topic.flat().map((record) => record.keyText);
}

for (const way of WAYS) {
  test(`rule 18: results are kept over homes that do not store them, and sent to the next, by ${way}`, async (t) => {
    const rig = await setup(t, { way, manners: { store: false } });
    const { key } = await rig.dispatch();
    await rig.clock.advance(2_000);
    assert.equal(rig.executor.status.keptResults, 1);
    rig.homes.last.close();
    await rig.clock.advance(50);
    assert.deepEqual(rig.homes.last.hello.taken, [key]);
    assert.equal(rig.executor.status.keptResults, 1);
    rig.homes.manners.store = true;
    if (way === "session") rig.homes.last.close();
    await rig.storeProduced();
    assert.equal(rig.executor.status.keptResults, 0);
  });

  test(`rule 18: at the bound the executor takes no more work until the store has some, by ${way}`, async (t) => {
    const rig = await setup(t, { way, manners: { store: false }, config: { maxKeptResults: 4 } });
    for (let count = 0; count < 4; count++) await rig.dispatch();
    const fifth = await rig.dispatch();
    const { outcome } = rig.result(fifth.key);
    assert.ok(outcome.kind === "returned");
    assert.deepEqual([outcome.reason, outcome.message], ["NOT_STARTED", "too many results wait to be stored"]);
    await rig.clock.advance(1_000);
    assert.equal(rig.homes.last.room.free, 0, "and says so");
    rig.homes.manners.store = true;
    rig.homes.last.say({ kind: "result_stored", sequence: 99 });
    await rig.storeProduced();
    assert.equal(rig.homes.last.room.free, 4);
    assert.equal(rig.executor.status.keptResults, 0);
    const sixth = await rig.dispatch();
    assert.equal(rig.result(sixth.key).outcome.kind, "succeeded");
  });

  test(`rule 18: the bound holds in bytes too, by ${way}`, async (t) => {
    const rig = await setup(t, {
      way,
      work: () => Buffer.alloc(200_000),
      manners: { store: false },
      config: { maxKeptBytes: 300_000 },
    });
    await rig.dispatch();
    await rig.dispatch();
    const third = await rig.dispatch();
    assert.equal(rig.result(third.key).outcome.kind, "returned");
  });

  test(`rule 18: not even attempts that come back are kept without end; those beyond are left to a resend, by ${way}`, async (t) => {
    const config = { slots: 1, maxKeptResults: 1, maxKeptReturns: 2 };
    const rig = await setup(t, { way, manners: { store: false }, config });
    for (let count = 0; count < 3; count++) await rig.dispatch();
    const dropped = await rig.dispatch();
    assert.equal(rig.results().filter(({ key }) => keyText(key) === keyText(dropped.key)).length, 0);
    assert.equal(rig.executor.status.keptResults, 3);
  });
}

test("rules 16 and 18: what an incarnation kept goes by the session when it is over, as nobody asks for it any more", async (t) => {
  const rig = await setup(t, { way: "bus" });
  const { key } = await rig.dispatch();
  assert.deepEqual(
    [rig.executor.status.keptResults, rig.homes.all("result").length],
    [1, 0],
    "it stands in Kafka alone",
  );
  rig.homes.last.close(new JobmeshError("EXECUTOR_LOST"));
  await rig.clock.advance(1_000);
  assert.deepEqual(
    rig.homes.all("result").map(({ result }) => keyText(result.key)),
    [keyText(key)],
  );
  assert.equal(rig.executor.status.keptResults, 0, "the store has heard of it");
});

test("rule 27: the partition is chosen by the execution, and a result is forgotten when its own is stored past it", async (t) => {
  const rig = await setup(t, { way: "bus" });
  const { key } = await rig.dispatch();
  const [first] = [0, 1].filter((partition) => rig.topic[partition]?.length === 1);
  assert.ok(first !== undefined);
  await rig.dispatch(rig.order({ key: { ...key, attempt: 2, fence: 77n as never } }));
  assert.equal(rig.topic[first]?.length, 2, "the same execution, the same partition");
  const other = { partition: 1 - first, generation: 0, nextOffset: 99 };
  rig.homes.manners.stored = [other, { partition: first, generation: 0, nextOffset: 1 }];
  await rig.clock.advance(1_000);
  assert.equal(rig.executor.status.keptResults, 1, "the one before the offset is forgotten");
});

test("rule 27: a generation that rises has what is kept of that partition produced again", async (t) => {
  const rig = await setup(t, { way: "bus" });
  const { key } = await rig.dispatch();
  rig.remakeResults();
  rig.homes.manners.stored = [0, 1].map((partition) => ({ partition, generation: 1, nextOffset: 0 }));
  await rig.clock.advance(1_000);
  assert.deepEqual(produced(rig), [keyText(key)]);
  await rig.storeProduced();
  assert.equal(rig.executor.status.keptResults, 0);
});

test("rule 27: a lower generation, said by a home that is behind, changes nothing", async (t) => {
  const rig = await setup(t, { way: "bus" });
  rig.homes.manners.stored = [0, 1].map((partition) => ({ partition, generation: 3, nextOffset: 0 }));
  await rig.clock.advance(1_000);
  await rig.dispatch();
  rig.homes.manners.stored = [0, 1].map((partition) => ({ partition, generation: 2, nextOffset: 99 }));
  await rig.clock.advance(1_000);
  assert.equal(rig.executor.status.keptResults, 1);
});

test("rule 27: an offset below an earlier one means a remade topic: nothing since is forgotten under its generation", async (t) => {
  const rig = await setup(t, { way: "bus", manners: { store: false } });
  const key = rig.key();
  const again = (attempt: number) => rig.order({ key: { ...key, attempt } });
  for (let attempt = 1; attempt <= 3; attempt++) await rig.dispatch(again(attempt));
  await rig.storeProduced();
  assert.equal(rig.executor.status.keptResults, 0);
  rig.remakeResults();
  await rig.dispatch(again(4));
  // The stored offset is far past it, but of the topic before.
  await rig.clock.advance(2_000);
  assert.equal(rig.executor.status.keptResults, 1);
  assert.deepEqual(
    rig.homes.all("result").map(({ result }) => result.key.attempt),
    [4],
    "it goes by the session, which is sure",
  );
  const { sequence } = rig.homes.all("result")[0] ?? assert.fail();
  rig.homes.last.say({ kind: "result_stored", sequence });
  await rig.clock.settle();
  assert.equal(rig.executor.status.keptResults, 0);
});

test("rule 27: while no home has told a generation, results go by the session", async (t) => {
  const rig = await setup(t, { way: "bus", manners: { stored: [] } });
  const { key } = await rig.dispatch();
  assert.deepEqual(produced(rig), []);
  assert.deepEqual(
    rig.homes.all("result").map(({ result }) => result.key),
    [key],
  );
});

test("rule 27: a generation that rises while a result is on its way has it produced again", async (t) => {
  const bus = new HeldBus();
  const rig = await setup(t, { deps: { bus }, manners: { stored: [{ partition: 0, generation: 0, nextOffset: 0 }] } });
  await rig.dispatch();
  assert.equal(bus.sends.length, 1);
  rig.homes.manners.stored = [{ partition: 0, generation: 1, nextOffset: 0 }];
  rig.homes.last.acknowledge(1);
  await rig.clock.settle();
  bus.sends[0]?.resolve({ partition: 0, offset: 500 });
  await rig.clock.settle();
  assert.equal(bus.sends.length, 2, "where it stands nobody reads any more");
  bus.sends[1]?.resolve({ partition: 0, offset: 3 });
  rig.homes.manners.stored = [{ partition: 0, generation: 1, nextOffset: 4 }];
  await rig.clock.advance(1_000);
  assert.equal(rig.executor.status.keptResults, 0);
});

test("rule 18: a result whose offset was stored before the broker's word came is forgotten with that word", async (t) => {
  const bus = new HeldBus();
  const rig = await setup(t, { deps: { bus }, manners: { stored: [{ partition: 0, generation: 0, nextOffset: 0 }] } });
  await rig.dispatch();
  rig.homes.manners.stored = [{ partition: 0, generation: 0, nextOffset: 8 }];
  rig.homes.last.acknowledge(1);
  rig.homes.manners.stored = [];
  await rig.clock.settle();
  assert.equal(rig.executor.status.keptResults, 1);
  bus.sends[0]?.resolve({ partition: 0, offset: 7 });
  await rig.clock.settle();
  assert.deepEqual([rig.executor.status.keptResults, rig.executor.status.heldSlots], [0, 0]);
});

test("rule 27: an offset below what was stored before means a remade topic, also to who never produced there", async (t) => {
  const bus = new HeldBus();
  const stored = [{ partition: 0, generation: 0, nextOffset: 1_000 }];
  const rig = await setup(t, { deps: { bus }, manners: { stored, store: false } });
  await rig.dispatch();
  bus.sends[0]?.resolve({ partition: 0, offset: 3 });
  await rig.clock.advance(1_000);
  assert.equal(rig.executor.status.keptResults, 1, "what was stored up to there was another topic's");
  assert.equal(rig.homes.all("result").length, 1, "it goes by the session");
});

test("rule 19: a send that never settles is overtaken by the session within about a second", async (t) => {
  const bus = new HeldBus();
  const rig = await setup(t, { deps: { bus }, manners: { stored: [{ partition: 0, generation: 0, nextOffset: 0 }] } });
  const { key } = await rig.dispatch();
  await rig.clock.advance(1_300);
  assert.deepEqual(
    rig.homes.all("result").map(({ result }) => result.key),
    [key],
  );
  assert.equal(rig.executor.status.keptResults, 0);
  bus.sends[0]?.resolve({ partition: 0, offset: 0 });
  await rig.clock.settle();
  assert.equal(rig.executor.status.keptResults, 0, "what Kafka says later changes nothing");
});

test("while the bus is known to be away a result goes by the session at once, and holds no slot meanwhile", async (t) => {
  const bus = new HeldBus();
  const rig = await setup(t, { deps: { bus }, manners: { stored: [{ partition: 0, generation: 0, nextOffset: 0 }] } });
  bus.healthy = false;
  const { key } = await rig.dispatch();
  await rig.clock.advance(10);
  assert.deepEqual(
    rig.homes.all("result").map(({ result }) => result.key),
    [key],
  );
  assert.equal(rig.executor.status.keptResults, 0);
  bus.sends[0]?.reject(new Error("away"));
  await rig.clock.settle();
  assert.equal(rig.homes.all("result").length, 1, "it is sent once");
});

test("results that wait for a home are sent in order when one is there, numbered from 1", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { work: work.run });
  const orders = [await rig.dispatch(), await rig.dispatch()];
  rig.homes.away = rig.homes.last.closedBy ?? null;
  rig.homes.last.close();
  work.finish(0);
  work.finish(1);
  await rig.clock.advance(100);
  assert.deepEqual(
    rig.homes.last.all("result").map(({ sequence, result }) => [sequence, result.key]),
    orders.map(({ key }, index) => [index + 1, key]),
  );
});

test("rule 15: results go to the bus only once the store has the lane: rescuers do not await them before", async (t) => {
  const work = new HeldWork();
  const rig = await setup(t, { way: "bus", work: work.run, start: false });
  await rig.startBus();
  assert.ok(rig.bus !== null);
  rig.bus.away = true;
  const starting = rig.executor.start();
  await rig.clock.advance(11_000);
  await starting;
  await rig.clock.settle();
  assert.equal(rig.homes.last.hello.profile.lane, null);
  rig.homes.last.dispatch(rig.order());
  await rig.clock.settle();
  rig.homes.manners.welcome = false;
  rig.bus.away = false;
  await rig.clock.advance(2_000);
  assert.notEqual(rig.homes.last.hello.profile.lane, null, "the lane stands, and no home knows it");
  work.finish(0);
  await rig.clock.advance(2_000);
  assert.deepEqual(rig.topic.flat(), []);
});
