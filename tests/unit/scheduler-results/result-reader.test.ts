import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "../../../services/common/domain/attempt.ts";
import { StoreUnavailable } from "../../../services/common/port/store.ts";
import type { BatchOffsets } from "../../../services/common/port/store-executions.ts";
import { keptLog, type ResultRig, resultOf, resultRig, TestPartitions } from "./setup.ts";

/** Follows what is stored, and may come between. */
function onStore(
  t: { mock: { method: typeof import("node:test")["mock"]["method"] } },
  rig: ResultRig,
  before: (results: readonly AttemptResult[], offsets: BatchOffsets) => void | Promise<void> = () => {},
) {
  const stored: BatchOffsets[] = [];
  const original = rig.store.executions.storeResults.bind(rig.store.executions);
  t.mock.method(
    rig.store.executions,
    "storeResults",
    async (results: readonly AttemptResult[], offsets: BatchOffsets | null) => {
      if (offsets !== null) await before(results, offsets);
      const outcome = await original(results, offsets);
      if (offsets !== null && outcome.kind === "stored") stored.push(offsets);
      return outcome;
    },
  );
  return stored;
}

const allSucceeded = new Set(["SUCCEEDED"]);

test("rule 3: who takes a partition over reads on from the stored offset", async (t) => {
  const rig = await resultRig(t);
  const stored = onStore(t, rig);
  const executions = await rig.dispatched(10);
  for (const one of executions.slice(0, 6)) rig.bus.addResult(0, resultOf(one));
  const first = await rig.reader();
  first.reader.start();
  await rig.clock.advance(10);
  await first.stop();
  for (const one of executions.slice(6)) rig.bus.addResult(0, resultOf(one));
  const second = await rig.reader();
  second.reader.start();
  await rig.clock.advance(10);
  assert.deepEqual(new Set(await rig.states(executions)), allSucceeded);
  assert.deepEqual(
    stored.map(({ firstOffset, nextOffset }) => [firstOffset, nextOffset]),
    [
      [0, 6],
      [6, 10],
    ],
  );
  assert.equal(second.told.filter(({ kind }) => kind === "ended").length, 4);
});

test("rule 3: two owners of a partition store each result once", async (t) => {
  const rig = await resultRig(t, { maxDelivered: 7 });
  const stored = onStore(t, rig, () => rig.clock.sleep(3));
  const executions = await rig.dispatched(100);
  const readers = [await rig.reader({ maxBatchRows: 4 }), await rig.reader()];
  for (const { reader } of readers) reader.start();
  for (const one of executions) {
    rig.bus.addResult(0, resultOf(one));
    await rig.clock.advance(1);
  }
  await rig.clock.advance(2_000);
  assert.deepEqual(new Set(await rig.states(executions)), allSucceeded);
  const { generation, nextOffset } = await rig.partition();
  assert.deepEqual([generation, nextOffset], [0, 100]);
  assert.equal(
    stored.reduce((sum, one) => sum + one.nextOffset - one.firstOffset, 0),
    100,
  );
  const ended = readers.flatMap(({ told }) => told).filter(({ kind }) => kind === "ended");
  assert.equal(ended.length, 100);
});

test("a store that is away loses and reorders nothing", async (t) => {
  const rig = await resultRig(t, { maxDelivered: 3 });
  const stored = onStore(t, rig);
  const { log, messages } = keptLog();
  const executions = await rig.dispatched(20);
  const { reader } = await rig.reader({ log });
  reader.start();
  await rig.clock.advance(10);
  rig.outage.names = [];
  for (const one of executions) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(5_000);
  assert.equal(stored.length, 0);
  rig.outage.names = null;
  await rig.clock.advance(500);
  assert.deepEqual(new Set(await rig.states(executions)), allSucceeded);
  for (const [index, { firstOffset }] of stored.entries()) {
    assert.equal(firstOffset, index === 0 ? 0 : stored[index - 1]?.nextOffset);
  }
  assert.deepEqual(messages, ["warn: the store is away"]);
});

test("rule 3: a batch whose outcome is not known is not stored twice", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(5);
  const { reader } = await rig.reader();
  reader.start();
  await rig.clock.advance(10);
  const original = rig.store.executions.storeResults.bind(rig.store.executions);
  let calls = 0;
  t.mock.method(rig.store.executions, "storeResults", async (...parts: Parameters<typeof original>) => {
    calls += 1;
    const outcome = await original(...parts);
    // The connection dies after the commit.
    if (calls === 1) throw new StoreUnavailable("the connection died");
    return outcome;
  });
  for (const one of executions) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(1_000);
  assert.deepEqual(new Set(await rig.states(executions)), allSucceeded);
  const { generation, nextOffset } = await rig.partition();
  assert.deepEqual([generation, nextOffset], [0, 5]);
});

test("rule 4: one result that the store never takes does not stop its partition", async (t) => {
  const rig = await resultRig(t);
  const { log, messages } = keptLog();
  const executions = await rig.dispatched(9);
  const poison = new Set([executions[3]?.executionId, executions[5]?.executionId]);
  onStore(t, rig, (results) => {
    for (const { key, outcome } of results) {
      // The first one is refused as it is, the second one whatever it says.
      if (key.executionId === executions[5]?.executionId) throw new Error("poison");
      if (key.executionId === executions[3]?.executionId && outcome.kind === "succeeded") throw new Error("poison");
    }
  });
  const { reader } = await rig.reader({ log });
  reader.start();
  for (const one of executions) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(5_000);
  const good = executions.filter(({ executionId }) => !poison.has(executionId));
  assert.deepEqual(new Set(await rig.states(good)), allSucceeded);
  assert.deepEqual(await rig.states([executions[3], executions[5]] as typeof good), ["FAILED", "DISPATCHED"]);
  assert.equal((await rig.partition()).nextOffset, 9);
  assert.ok(messages.every((message) => message === "error: the store refuses results"));
});

test("rule 4: a result that the store refuses is tried three times, then without its text, then passed over", async (t) => {
  const rig = await resultRig(t);
  const [one] = await rig.dispatched(1);
  assert.ok(one !== undefined);
  const tried: string[] = [];
  onStore(t, rig, (results) => {
    tried.push(results.map(({ outcome }) => outcome.kind).join());
    if (results.length > 0) throw new Error("poison");
  });
  const { reader } = await rig.reader();
  reader.start();
  rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(5_000);
  assert.deepEqual(tried, ["succeeded", "succeeded", "succeeded", "failed", ""]);
});

test("a record that is no result is passed over", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(2);
  rig.bus.partition(0).records.push({ offset: 0, keyText: "", timeMs: 0, result: null });
  for (const one of executions) rig.bus.addResult(0, resultOf(one));
  const { reader } = await rig.reader();
  reader.start();
  await rig.clock.advance(10);
  assert.deepEqual(new Set(await rig.states(executions)), allSucceeded);
});

test("batches end at maxBatchRows and at 4 MiB, and the next one waits for the one before", async (t) => {
  const rig = await resultRig(t);
  let under = 0;
  const stored = onStore(t, rig, async () => {
    under += 1;
    assert.equal(under, 1, "one at a time");
    await rig.clock.sleep(5);
    under -= 1;
  });
  const executions = await rig.dispatched(50);
  const large = { kind: "succeeded", result: new Uint8Array(200 * 1024) } as const;
  for (const [index, one] of executions.entries()) {
    rig.bus.addResult(0, resultOf(one, index < 30 ? large : undefined));
  }
  const { reader } = await rig.reader({ maxBatchRows: 15 });
  reader.start();
  await rig.clock.advance(500);
  assert.deepEqual(new Set(await rig.states(executions)), allSucceeded);
  assert.ok(stored.every(({ firstOffset, nextOffset }) => nextOffset - firstOffset <= 15));
  assert.equal(stored.length, 4);
});

test("what is stored is told to whoever lets executors forget", async (t) => {
  const rig = await resultRig(t);
  const [one] = await rig.dispatched(1);
  const { reader } = await rig.reader();
  const told: number[][] = [];
  reader.onStored(({ partition, generation, nextOffset }) => void told.push([partition, generation, nextOffset]));
  reader.start();
  rig.bus.addResult(1, resultOf(one as never));
  await rig.clock.advance(10);
  assert.deepEqual(told, [[1, 0, 1]]);
});

test("rule 30: a partition that moves to another owner in the middle of a batch is stored once", async (t) => {
  const rig = await resultRig(t, { maxDelivered: 10 });
  onStore(t, rig, () => rig.clock.sleep(40));
  const executions = await rig.dispatched(60);
  const from = await rig.reader({ owners: new TestPartitions([0]), maxBatchRows: 4 });
  const to = await rig.reader({ owners: new TestPartitions([]) });
  from.reader.start();
  to.reader.start();
  for (const one of executions) rig.bus.addResult(0, resultOf(one));
  for (let turn = 0; turn < 6; turn += 1) {
    await rig.clock.advance(70);
    from.owners.own(turn % 2 === 0 ? [] : [0]);
    to.owners.own(turn % 2 === 0 ? [0] : []);
  }
  await rig.clock.advance(3_000);
  assert.deepEqual(new Set(await rig.states(executions)), allSucceeded);
  const { generation, nextOffset } = await rig.partition();
  assert.deepEqual([generation, nextOffset], [0, 60]);
});

test("rule 30: a partition of another that stands still for three seconds is read to its end", async (t) => {
  const rig = await resultRig(t, { maxDelivered: 2 });
  const executions = await rig.dispatched(40);
  onStore(t, rig, () => rig.clock.sleep(400));
  for (const one of executions) rig.bus.addResult(0, resultOf(one));
  const { reader } = await rig.reader({ owners: new TestPartitions([1]) });
  reader.start();
  await rig.clock.advance(2_900);
  assert.equal((await rig.partition()).nextOffset, 0);
  // Twenty batches of 400 ms, without a pause of three seconds between any two.
  await rig.clock.advance(10_000);
  assert.deepEqual(new Set(await rig.states(executions)), allSucceeded);
});

test("rule 30: a partition that stood still is left once its owner moves it again", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(10);
  rig.bus.addResult(0, resultOf(executions[0] as never));
  const other = await rig.reader({ owners: new TestPartitions([]) });
  other.reader.start();
  await rig.clock.advance(5_000);
  assert.equal((await rig.partition()).nextOffset, 1);
  const owner = await rig.reader({ owners: new TestPartitions([0]) });
  owner.reader.start();
  await rig.clock.advance(10);
  const stored = onStore(t, rig);
  for (const one of executions.slice(1)) {
    rig.bus.addResult(0, resultOf(one));
    await rig.clock.advance(500);
  }
  assert.deepEqual(new Set(await rig.states(executions)), allSucceeded);
  assert.equal(stored.length, 9);
  const last = executions.slice(5).map(({ executionId }) => executionId);
  const toldBy = (reader: typeof owner) =>
    reader.told.filter((hint) => hint.kind === "ended" && last.includes(hint.executionId)).length;
  assert.deepEqual([toldBy(owner), toldBy(other)], [5, 0]);
});

test("a bus that is away is waited for without a word for each round", async (t) => {
  const rig = await resultRig(t);
  const { log, messages } = keptLog();
  const executions = await rig.dispatched(4);
  const { reader } = await rig.reader({ log, owners: new TestPartitions([0]) });
  reader.start();
  await rig.clock.advance(100);
  rig.bus.away = true;
  rig.bus.addResult(1, resultOf(executions[0] as never));
  await rig.clock.advance(70_000);
  for (const one of executions.slice(1)) rig.bus.addResult(0, resultOf(one));
  rig.bus.away = false;
  await rig.clock.advance(2_000);
  assert.deepEqual(new Set(await rig.states(executions)), allSucceeded);
  assert.deepEqual(messages, []);
});

test("stop waits for what is being stored; start and stop are idempotent", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(1);
  const gate = Promise.withResolvers<void>();
  onStore(t, rig, () => gate.promise);
  const { reader } = await rig.reader();
  reader.start();
  reader.start();
  rig.bus.addResult(0, resultOf(executions[0] as never));
  await rig.clock.advance(10);
  let stopped = false;
  const stopping = reader.stop().then(() => {
    stopped = true;
  });
  await rig.clock.settle();
  assert.equal(stopped, false);
  gate.resolve();
  await stopping;
  await reader.stop();
  assert.deepEqual(await rig.states(executions), ["SUCCEEDED"]);
});
