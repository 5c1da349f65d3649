import assert from "node:assert/strict";
import { storeTest } from "../support/store.ts";

storeTest("rule 3: partitions that are not there begin at offset 0", async ({ store }) => {
  const read = await store.offsets.read(3);
  assert.deepEqual(
    read.map(({ partition, generation, nextOffset, lastKey }) => [partition, generation, nextOffset, lastKey]),
    [
      [0, 0, 0, ""],
      [1, 0, 0, ""],
      [2, 0, 0, ""],
    ],
  );
  assert.deepEqual(await store.offsets.read(2), read, "more partitions than asked for are shown all the same");
});

storeTest("rule 27: a generation is raised by one of two, who moves the offset", async ({ store, sql }) => {
  await store.offsets.read(12);
  await sql((session) =>
    session.execute("UPDATE result_offsets SET next_offset = 50, last_key = 'k', stored_us = 7 WHERE part = 11"),
  );
  const raised = await Promise.all([
    store.offsets.raiseGeneration(11, 0, 40),
    store.offsets.raiseGeneration(11, 0, 41),
  ]);
  assert.deepEqual(raised.toSorted(), [false, true]);
  const [partition] = (await store.offsets.read(12)).slice(11);
  const nextOffset = raised[0] ? 40 : 41;
  assert.deepEqual(partition, { partition: 11, generation: 1, nextOffset, lastKey: "", storedUs: 7 });
  assert.equal(await store.offsets.raiseGeneration(11, 1, 0), true);
  assert.equal(await store.offsets.raiseGeneration(11, 1, 99), false);
  assert.equal(await store.offsets.raiseGeneration(99, 0, 0), false);
});

storeTest("rule 27: raising a generation refuses the batch that was read under the old one", async ({ store }) => {
  await store.offsets.read(13);
  const batch = { partition: 12, generation: 0, firstOffset: 0, nextOffset: 5, lastKey: "k" };
  assert.equal((await store.executions.storeResults([], batch)).kind, "stored");
  await store.offsets.raiseGeneration(12, 0, 0);
  const next = { ...batch, firstOffset: 5, nextOffset: 6 };
  assert.deepEqual(await store.executions.storeResults([], next), { kind: "offset_conflict" });
  const [partition] = (await store.offsets.read(13)).slice(12);
  assert.deepEqual([partition?.generation, partition?.nextOffset], [1, 0]);
});
