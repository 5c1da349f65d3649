/** Rule 34: the feed's reader. Each end is told once, whenever it appears, and no place is passed before it is safe. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { placeAt } from "../../../services/scheduler/feed/resume-token.ts";
import { SETTLE_US, testReading } from "./setup.ts";

test("rule 34: what ended before it began is told to nobody; each end after that is, within 250 ms, once", async (t) => {
  const rig = await testReading(t);
  await rig.end();
  rig.reading.start();
  await rig.clock.advance(0);
  const id = await rig.end();
  await rig.clock.advance(250);
  assert.deepEqual(rig.told(), [id]);
  await rig.clock.advance(60_000);
  assert.deepEqual(rig.told(), [id]);
});

test("rule 34: a hint tells an end at once, and the looks after it do not tell it again", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(10);
  const id = await rig.end();
  rig.hints.tell({ kind: "ended", executionId: id });
  await rig.clock.settle();
  assert.deepEqual(rig.told(), [id]);
  await rig.clock.advance(60_000);
  assert.deepEqual(rig.told(), [id]);
});

test("a hint of what has not ended tells its state, and its end is told when it comes", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(10);
  const id = await rig.submit();
  rig.hints.tell({ kind: "moved", executionIds: [id] });
  await rig.clock.settle();
  await rig.store.executions.requestStop(id, "CANCEL", "");
  await rig.clock.advance(250);
  const states = rig.reading.changes.after(0, 10)?.map(({ execution }) => execution?.state);
  assert.deepEqual(states, ["READY", "CANCELLED"]);
});

test("rule 34: an end that is committed late is told by the second pass, 20 s behind", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(30_000);
  const id = await rig.endLate(9_900_000);
  await rig.clock.advance(9_750);
  assert.deepEqual(rig.told(), [], "the first look is long past its time");
  await rig.clock.advance(750);
  assert.deepEqual(rig.told(), [id]);
});

test("rule 34: the first look reads the second before it once more", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(30_000);
  const id = await rig.endLate(900_000);
  await rig.clock.advance(250);
  assert.deepEqual(rig.told(), [id]);
});

test("where the store settles within that second, it is read once: one query a look", async (t) => {
  const rig = await testReading(t, {}, 1_000_000);
  rig.reading.start();
  await rig.clock.advance(10_000);
  const before = rig.reads.ended;
  await rig.clock.advance(10_000);
  assert.equal(rig.reads.ended - before, 40);
  const id = await rig.endLate(900_000);
  await rig.clock.advance(250);
  assert.deepEqual(rig.told(), [id]);
});

test("rule 34: ends of one microsecond are each told, in whichever order they appear", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(10);
  const told: string[] = [];
  for (let count = 0; count < 5; count++) {
    told.push(await rig.end());
    rig.hints.tell({ kind: "ended", executionId: await rig.end() });
    await rig.clock.settle();
  }
  await rig.clock.advance(250);
  assert.equal(rig.told().length, 10);
  for (const id of told) assert.ok(rig.told().includes(id as never));
});

test("rule 34: a change's place is never after what has not been passed on", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(30_000);
  const startUs = rig.clock.wallUs();
  await rig.end();
  rig.hints.tell({ kind: "ended", executionId: await rig.end() });
  await rig.clock.advance(1_000);
  const late = await rig.endLate(15_000_000);
  await rig.clock.advance(20_000);
  const changes = (rig.reading.changes.after(0, 100) ?? []).filter(({ execution }) => execution !== null);
  assert.equal(changes.length, 3);
  for (const { place } of changes.slice(0, 2)) assert.ok(place.endedUs <= startUs + 250_000 - SETTLE_US);
  const own = changes.find(({ execution }) => execution?.executionId === late);
  assert.ok(own !== undefined && own.place.endedUs < (own.execution?.endedUs ?? 0));
  assert.ok(rig.reading.settled.endedUs > (own.execution?.endedUs ?? 0), "it has moved on since");
});

test("an outage of the store moves no place and loses no end", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(1_000);
  rig.away.isAway = true;
  const settled = rig.reading.settled;
  const ids = [await rig.end()];
  await rig.clock.advance(90_000);
  ids.push(await rig.end());
  assert.deepEqual(rig.reading.settled, settled);
  rig.away.isAway = false;
  await rig.clock.advance(250);
  assert.deepEqual(rig.told(), ids);
});

for (const settleUs of [1_000_000, SETTLE_US]) {
  test(`ends after the store's clock was set back are told, where ends settle in ${settleUs} us`, async (t) => {
    const rig = await testReading(t, {}, settleUs);
    const now = { shiftUs: 0 };
    const wallUs = rig.clock.wallUs.bind(rig.clock);
    rig.clock.wallUs = () => wallUs() - now.shiftUs;
    rig.reading.start();
    await rig.clock.advance(30_000);
    now.shiftUs = 60_000_000;
    const ids = [await rig.end()];
    await rig.clock.advance(500);
    assert.deepEqual(rig.told(), ids);
    ids.push(await rig.end());
    rig.hints.tell({ kind: "ended", executionId: ids[1] ?? assert.fail() });
    await rig.clock.settle();
    assert.deepEqual(rig.told(), ids);
    assert.ok(rig.reading.settled.endedUs <= rig.clock.wallUs() - settleUs);
  });
}

test("at the bound of changes the oldest are let go, and whoever needs them is told that they are gone", async (t) => {
  const rig = await testReading(t, { maxChanges: 3 });
  rig.reading.start();
  await rig.clock.advance(0);
  for (let count = 0; count < 4; count++) await rig.end();
  await rig.clock.advance(250);
  assert.equal(rig.reading.changes.after(0, 10), null);
  assert.equal(rig.reading.changes.after(1, 10)?.length, 3);
  assert.equal(rig.reading.changes.after(1, 2)?.length, 2);
  assert.deepEqual(rig.reading.changes.after(4, 10), []);
});

test("the bytes of what is held are bounded, too", async (t) => {
  const rig = await testReading(t, { maxBytes: 5_000 });
  rig.reading.start();
  await rig.clock.advance(0);
  for (let count = 0; count < 4; count++) await rig.end();
  await rig.clock.advance(250);
  assert.equal(rig.reading.changes.after(1, 10), null);
  assert.equal(rig.reading.changes.after(2, 10)?.length, 2);
});

test("the place moves with the store's clock, so far behind it", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(5_000);
  assert.deepEqual(rig.reading.settled, placeAt(rig.clock.wallUs() - SETTLE_US));
});

test("the place is told by itself about every 10 s, and never before what ended up to it", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(60_000);
  const id = await rig.end();
  await rig.clock.advance(60_000);
  const changes = rig.reading.changes.after(0, 100) ?? [];
  const places = changes.filter(({ execution }) => execution === null).map(({ place }) => place.endedUs);
  assert.ok(places.length >= 11 && places.length <= 12, `${places.length}`);
  for (const [at, place] of places.entries()) assert.ok(at === 0 || place - (places[at - 1] ?? 0) >= 10_000_000);
  const end = changes.findIndex(({ execution }) => execution?.executionId === id);
  const endedUs = changes[end]?.execution?.endedUs ?? assert.fail();
  for (const { place } of changes.slice(0, end)) assert.ok(place.endedUs < endedUs);
});

test("what is deleted while the store could not be read cuts the changes; what was told before does not", async (t) => {
  const rig = await testReading(t);
  rig.reading.start();
  await rig.clock.advance(1_000);
  await rig.end();
  await rig.clock.advance(120_000);
  await rig.deleteEnded(60_000_000);
  await rig.clock.advance(1_000);
  const { last } = rig.reading.changes;
  assert.ok(rig.reading.changes.after(0, 100) !== null, "all of it had been told");
  rig.away.isAway = true;
  await rig.end();
  await rig.clock.advance(120_000);
  rig.away.isAway = false;
  await rig.deleteEnded(60_000_000);
  await rig.clock.advance(250);
  assert.equal(rig.reading.changes.after(last, 100), null);
  const { last: after } = rig.reading.changes;
  const id = await rig.end();
  await rig.clock.advance(250);
  assert.deepEqual(
    rig.reading.changes.after(after, 100)?.map(({ execution }) => execution?.executionId),
    [id],
    "it is cut once",
  );
});
