/** Rule 34: where readers of the feed stand, in the store. */
import assert from "node:assert/strict";
import { SqlFeedStore } from "../../services/common/adapter/sql/feed.ts";
import { SqlRetentionStore } from "../../services/common/adapter/sql/retention.ts";
import { newExecution, onEveryStore, type StoreSetup, submitAll } from "../support/execution-store.ts";

function feedOf({ database, kind }: StoreSetup): SqlFeedStore {
  return new SqlFeedStore(database, kind);
}

onEveryStore(
  "a new reader begins where nothing can appear any more, and whoever asks again stands there",
  async (setup) => {
    const feed = feedOf(setup);
    const beforeUs = await setup.sql((session) => session.nowUs());
    const all = await Promise.all(Array.from({ length: 5 }, () => feed.cursor("reader")));
    const afterUs = await setup.sql((session) => session.nowUs());
    for (const cursor of all) assert.deepEqual(cursor, all[0], "those that came at once have made one");
    const { endedUs = 0, executionId } = all[0] ?? {};
    assert.equal(executionId, "");
    assert.ok(endedUs >= beforeUs - feed.settleUs && endedUs <= afterUs - feed.settleUs);
    assert.deepEqual(await feed.cursor("reader"), all[0]);
  },
);

onEveryStore("rule 34: a cursor is moved only from where it stands, by one of those who try", async (setup) => {
  const feed = feedOf(setup);
  const begin = await feed.cursor("reader");
  const [one] = await submitAll(setup, [newExecution()]);
  const { executionId } = one ?? assert.fail();
  const places = [1, 2, 3, 4].map((step) => ({ endedUs: begin.endedUs + step, executionId }));
  const moved = await Promise.all(places.map((place) => feed.moveCursor("reader", begin, place)));
  assert.equal(moved.filter((isMoved) => isMoved).length, 1);
  const stands = await feed.cursor("reader");
  assert.deepEqual(stands, places[moved.indexOf(true)]);
  // The time alone, or the execution alone, is another place.
  const next = { endedUs: begin.endedUs + 10, executionId };
  assert.equal(await feed.moveCursor("reader", { ...stands, executionId: begin.executionId }, next), false);
  assert.equal(await feed.moveCursor("reader", { ...stands, endedUs: stands.endedUs - 1 }, next), false);
  assert.equal(await feed.moveCursor("reader", stands, begin), true, "back, where the clock was set back");
  assert.deepEqual(await feed.cursor("reader"), begin);
});

onEveryStore("readers stand apart from one another, and from what retention notes beside them", async (setup) => {
  const feed = feedOf(setup);
  const [one, two] = [await feed.cursor("one"), await feed.cursor("two")];
  assert.equal(await feed.moveCursor("one", one, { ...one, endedUs: one.endedUs + 5 }), true);
  assert.deepEqual(await feed.cursor("two"), two);
  assert.equal(await feed.moveCursor("nobody", one, two), false, "a reader that was never there is not made");
  const [gone] = await submitAll(setup, [newExecution()]);
  await setup.store.requestStop(gone?.executionId ?? assert.fail(), "CANCEL", "");
  await new SqlRetentionStore(setup.database).deleteEnded(Number.MAX_SAFE_INTEGER, null, 250);
  assert.deepEqual(await feed.cursor("two"), two);
  await assert.rejects(feed.cursor("deleted"), /the name is a reader's/);
  await assert.rejects(feed.moveCursor("deleted", one, two), /the name is a reader's/);
});

onEveryStore("a cursor that is there is read by its key, and moved by one statement", async (setup) => {
  const feed = feedOf(setup);
  const begin = await feed.cursor("reader");
  const reads = await setup.statementsOf(() => feed.cursor("reader"));
  assert.equal(reads.filter(({ sql }) => sql.startsWith("SELECT")).length, 1);
  const moves = await setup.statementsOf(() => feed.moveCursor("reader", begin, { ...begin, endedUs: 1 }));
  assert.equal(moves.filter(({ sql }) => sql.startsWith("UPDATE feeds")).length, 1);
});
