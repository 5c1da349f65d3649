import assert from "node:assert/strict";
import { test } from "node:test";
import type { Execution } from "../../../services/common/domain/execution.ts";
import type { StoredPartition } from "../../../services/common/port/store-offsets.ts";
import { judgeBatch, judgeBounds } from "../../../services/scheduler/results/partition-check.ts";
import { keptLog, type ResultRig, resultOf, resultRig, TestPartitions } from "./setup.ts";

const MINUTE_MS = 60_000;

/** A reader that has stored these, and is stopped again. */
async function storedBefore(rig: ResultRig, executions: readonly Execution[]): Promise<void> {
  for (const one of executions) rig.bus.addResult(0, resultOf(one));
  const { reader, stop } = await rig.reader();
  reader.start();
  await rig.clock.advance(10);
  await stop();
  assert.equal((await rig.partition()).nextOffset, executions.length);
}

/** Retention takes the first records. */
function retain(rig: ResultRig, lowOffset: number): void {
  const kept = rig.bus.partition(0);
  kept.records.splice(0, lowOffset - kept.lowOffset);
  kept.lowOffset = lowOffset;
}

async function expectAll(rig: ResultRig, executions: readonly Execution[], generation: number): Promise<void> {
  assert.deepEqual(new Set(await rig.states(executions)), new Set(["SUCCEEDED"]));
  assert.equal((await rig.partition()).generation, generation);
}

test("rule 27: a topic that was made anew while nobody read is noticed at take-over", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(20);
  await storedBefore(rig, executions.slice(0, 5));
  rig.bus.remakeResults();
  // More than was stored before: only the key of the record before tells.
  for (const one of executions.slice(5)) rig.bus.addResult(0, resultOf(one));
  (await rig.reader()).reader.start();
  await rig.clock.advance(1_000);
  await expectAll(rig, executions, 1);
});

test("rule 27: a topic that was made anew, and is shorter, is noticed at take-over before a record comes", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(8);
  await storedBefore(rig, executions.slice(0, 5));
  rig.bus.remakeResults();
  const { log, messages } = keptLog();
  (await rig.reader({ log })).reader.start();
  await rig.clock.advance(1_000);
  const { generation, nextOffset } = await rig.partition();
  assert.deepEqual([generation, nextOffset], [1, 0]);
  assert.deepEqual(messages, ["warn: the result topic lost records; its generation was raised"]);
  for (const one of executions.slice(5)) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(100);
  await expectAll(rig, executions, 1);
});

test("rule 27: a topic made anew under a reader is noticed by the first record, not passed over", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(30);
  (await rig.reader()).reader.start();
  for (const one of executions.slice(0, 10)) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(5_000);
  rig.bus.remakeResults();
  for (const one of executions.slice(10, 15)) {
    rig.bus.addResult(0, resultOf(one));
    await rig.clock.advance(5);
  }
  // Well before the check of each minute; and it grows past where the old one was.
  await rig.clock.advance(2_000);
  for (const one of executions.slice(15)) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(1_000);
  await expectAll(rig, executions, 1);
});

test("rule 27: a reconnect compares the record before", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(30);
  (await rig.reader()).reader.start();
  for (const one of executions.slice(0, 10)) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(5_000);
  rig.bus.away = true;
  await rig.clock.advance(3_000);
  rig.bus.remakeResults();
  for (const one of executions.slice(10)) rig.bus.addResult(0, resultOf(one));
  // The end of the new topic stands where the old one's did, or beyond.
  rig.bus.partition(0).records.splice(10);
  rig.bus.away = false;
  await rig.clock.advance(2_000);
  await expectAll(rig, executions.slice(0, 20), 1);
});

test("rule 27: an end below the stored offset raises the generation within a minute", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(10);
  (await rig.reader()).reader.start();
  for (const one of executions) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(1_000);
  rig.bus.partition(0).records.splice(6);
  await rig.clock.advance(MINUTE_MS);
  const { generation, nextOffset } = await rig.partition();
  // What is left is read once more, which changes nothing.
  assert.deepEqual([generation, nextOffset], [1, 6]);
});

test("rules 27 and 30: a topic made anew whose owner does not notice is noticed by anyone", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(8);
  await storedBefore(rig, executions.slice(0, 5));
  // A minute is the owner's time; the owner is none here.
  const { reader } = await rig.reader({ owners: new TestPartitions([1]) });
  reader.start();
  await rig.clock.advance(4_000);
  rig.bus.remakeResults();
  await rig.clock.advance(4_000);
  const { generation, nextOffset } = await rig.partition();
  assert.deepEqual([generation, nextOffset], [1, 0]);
  for (const one of executions.slice(5)) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(4_000);
  await expectAll(rig, executions, 1);
});

test("rule 27: after a raise the unknown key before the offset raises nothing again", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(20);
  const { log, messages } = keptLog();
  (await rig.reader({ log })).reader.start();
  for (const one of executions.slice(0, 5)) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(11 * MINUTE_MS);
  for (const one of executions.slice(5, 15)) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(1_000);
  // Reading goes back ten minutes: past the first five, so that records stand before where it begins.
  rig.bus.partition(0).records.splice(12);
  await rig.clock.advance(3 * MINUTE_MS);
  for (const one of executions.slice(15)) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(3 * MINUTE_MS);
  await expectAll(rig, executions, 1);
  assert.equal(messages.length, 1);
  assert.equal((await rig.partition()).nextOffset, 17);
});

test("rule 27: a record before that retention took proves nothing", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(10);
  await storedBefore(rig, executions.slice(0, 6));
  retain(rig, 6);
  (await rig.reader()).reader.start();
  await rig.clock.advance(2 * MINUTE_MS);
  for (const one of executions.slice(6)) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(2 * MINUTE_MS);
  await expectAll(rig, executions, 0);
});

test("rule 27: records that retention took before they were stored raise the generation", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(10);
  await storedBefore(rig, executions.slice(0, 3));
  for (const one of executions.slice(3)) rig.bus.addResult(0, resultOf(one));
  retain(rig, 7);
  (await rig.reader()).reader.start();
  await rig.clock.advance(1_000);
  await expectAll(rig, executions.slice(7), 1);
  assert.deepEqual(
    await rig.states(executions.slice(3, 7)),
    Array.from({ length: 4 }, () => "DISPATCHED"),
  );
});

test("rule 27: the check of each minute raises nothing while results come in and the store is slow", async (t) => {
  const rig = await resultRig(t, { maxDelivered: 9 });
  const original = rig.store.executions.storeResults.bind(rig.store.executions);
  t.mock.method(rig.store.executions, "storeResults", async (...parts: Parameters<typeof original>) => {
    await rig.clock.sleep(35);
    const outcome = await original(...parts);
    await rig.clock.sleep(35);
    return outcome;
  });
  const executions = await rig.dispatched(600);
  const { log, messages } = keptLog();
  (await rig.reader({ log, maxBatchRows: 4, checkIntervalMs: 1_000 })).reader.start();
  for (const one of executions) {
    rig.bus.addResult(0, resultOf(one));
    await rig.clock.advance(17);
  }
  await rig.clock.advance(5_000);
  await expectAll(rig, executions, 0);
  assert.deepEqual(messages, []);
});

test("rule 27: two owners raise a generation once", async (t) => {
  const rig = await resultRig(t);
  const executions = await rig.dispatched(12);
  await storedBefore(rig, executions.slice(0, 5));
  rig.bus.remakeResults();
  const readers = [await rig.reader(), await rig.reader()];
  for (const { reader } of readers) reader.start();
  await rig.clock.advance(500);
  for (const one of executions.slice(5)) rig.bus.addResult(0, resultOf(one));
  await rig.clock.advance(3 * MINUTE_MS);
  await expectAll(rig, executions, 1);
});

const stored: StoredPartition = { partition: 0, generation: 3, nextOffset: 10, lastKey: "key-9", storedUs: 1 };
const records = (from: number, count: number, prefix = "key") =>
  Array.from({ length: count }, (_, index) => ({
    offset: from + index,
    keyText: `${prefix}-${from + index}`,
    timeMs: 0,
    result: null,
  }));

const batches = [
  ["begins with the record before, which is the one", true, records(9, 3), "take 10,11"],
  ["begins with the record before, which is another", true, records(9, 3, "other"), "lost"],
  ["holds the record before further on", true, records(5, 7), "take 10,11"],
  ["holds another record before further on", false, records(5, 7, "other"), "lost"],
  ["begins at the offset and is checked", false, records(10, 2), "take 10,11"],
  ["begins at the offset and is not checked", true, records(10, 2), "unsure"],
  ["begins past the offset", false, records(11, 2), "unsure"],
  ["ends before the record before", false, records(0, 3), "unsure"],
  ["is empty", true, [], "take "],
] as const;
for (const [what, unchecked, batch, expected] of batches) {
  test(`rule 27: a batch that ${what}: ${expected}`, () => {
    const judgement = judgeBatch(stored, unchecked, batch);
    const offsets = judgement.kind === "take" ? ` ${judgement.records.map(({ offset }) => offset).join(",")}` : "";
    assert.equal(`${judgement.kind}${offsets}`, expected);
  });
}

const bounds = [
  ["ends below the offset", 0, 9, "lost"],
  ["begins past the offset", 11, 20, "lost"],
  ["begins at the offset", 10, 20, "nothing_before"],
  ["begins and ends at the offset", 10, 10, "nothing_before"],
  ["holds the record before", 9, 10, "read 9"],
] as const;
for (const [what, lowOffset, endOffset, expected] of bounds) {
  test(`rule 27: a log that ${what}: ${expected}`, () => {
    const judgement = judgeBounds(stored, { partition: 0, lowOffset, endOffset });
    assert.equal(judgement.kind === "read" ? `read ${judgement.offset}` : judgement.kind, expected);
  });
}
