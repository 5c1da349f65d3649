/** Rule 34: what ends is written to execution.v1 at least once, whoever owns that, whatever becomes of Kafka. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import type { SchedulerBus } from "../../../services/common/port/bus.ts";
import { EVENTS_CURSOR } from "../../../services/scheduler/feed/ended-exporter.ts";
import { placeAt } from "../../../services/scheduler/feed/resume-token.ts";
import { SETTLE_US, testExport } from "./exporting.ts";

const SECOND_US = 1_000_000;

test("rule 34: each end is written within 250 ms, with its time, and once by an owner that stays", async (t) => {
  const rig = await testExport(t);
  rig.exporter().start();
  await rig.clock.advance(10);
  const ids = await rig.end(3);
  await rig.submit(1);
  await rig.clock.advance(250);
  assert.deepEqual([...rig.written()].sort(), [...ids].sort());
  for (const { execution, timeUs } of rig.memory.changes) {
    assert.deepEqual([execution.state, timeUs], ["CANCELLED", execution.endedUs]);
  }
  await rig.clock.advance(60_000);
  assert.equal(rig.written().length, 3);
});

test("rule 34: an end that is committed late is written by the second pass, 20 s behind", async (t) => {
  const rig = await testExport(t);
  rig.exporter().start();
  await rig.clock.advance(30_000);
  const late = await rig.end(1, 9_900_000);
  await rig.clock.advance(9_000);
  assert.deepEqual(rig.written(), [], "the first pass is long past its time");
  await rig.clock.advance(2_500);
  assert.deepEqual(rig.written(), late);
});

test("rule 34: the cursor stands where nothing more can appear, and never past what is not acknowledged", async (t) => {
  const rig = await testExport(t);
  rig.exporter().start();
  await rig.clock.advance(1_000);
  const beginUs = rig.clock.wallUs();
  rig.memory.away = true;
  const ids = await rig.end(2);
  await rig.clock.advance(120_000);
  assert.deepEqual(rig.written(), []);
  const { endedUs } = await rig.cursor();
  assert.ok(endedUs <= beginUs, "an outage holds it");
  assert.ok(rig.clock.armedCount <= 1 + ids.length, "nothing piles up meanwhile");
  assert.deepEqual(
    rig.said.filter((line) => line.includes("away")),
    ["the bus is away"],
    "it is said once",
  );
  rig.memory.away = false;
  await rig.clock.advance(2_000);
  assert.deepEqual([...rig.written()].sort(), [...ids].sort());
  await rig.clock.advance(30_000);
  const later = await rig.cursor();
  assert.ok(later.endedUs > beginUs && later.endedUs <= rig.clock.wallUs() - SETTLE_US);
});

test("rule 34: who takes over begins at the cursor: what was not acknowledged is written, what is behind it is not again", async (t) => {
  const rig = await testExport(t);
  const first = rig.exporter();
  first.start();
  await rig.clock.advance(10);
  const settled = await rig.end(2);
  await rig.clock.advance(30_000);
  const recent = await rig.end(2);
  await rig.clock.advance(250);
  // It dies, as far as the mesh knows: it writes and moves nothing any more.
  await first.stop();
  const unseen = await rig.end(2);
  rig.exporter().start();
  await rig.clock.advance(250);
  const counts = new Map<string, number>();
  for (const id of rig.written()) counts.set(id, (counts.get(id) ?? 0) + 1);
  assert.deepEqual(
    [...settled, ...recent, ...unseen].map((id) => counts.get(id)),
    [1, 1, 2, 2, 1, 1],
  );
});

test("rule 34: two owners at once lose nothing, and the cursor only moves from where it stands", async (t) => {
  const rig = await testExport(t);
  rig.exporter().start();
  rig.exporter().start();
  await rig.clock.advance(10);
  const ids = [];
  for (let round = 0; round < 10; round++) {
    ids.push(...(await rig.end(2)));
    await rig.clock.advance(3_000);
  }
  await rig.clock.advance(30_000);
  const written = new Set(rig.written());
  for (const id of ids) assert.ok(written.has(id));
  assert.ok(rig.written().length <= 2 * ids.length, "each writes it once");
  assert.ok((await rig.cursor()).endedUs <= rig.clock.wallUs() - SETTLE_US);
});

test("a lost compare-and-set is followed by a look at where the cursor stands", async (t) => {
  const rig = await testExport(t);
  rig.exporter().start();
  await rig.clock.advance(10);
  const id = await rig.end();
  await rig.clock.advance(5_000);
  const cursor = await rig.cursor();
  // Somebody else, who stood further behind, wrote nothing of it.
  assert.ok(await rig.store.feed.moveCursor(EVENTS_CURSOR, cursor, placeAt(cursor.endedUs - SECOND_US)));
  await rig.clock.advance(60_000);
  assert.deepEqual(rig.written(), id);
  assert.ok((await rig.cursor()).endedUs > cursor.endedUs);
});

test("who does not own it asks the store for nothing, and who gets it back takes up the cursor", async (t) => {
  const rig = await testExport(t);
  rig.ownership.owned = false;
  rig.exporter().start();
  await rig.clock.advance(10_000);
  assert.equal(rig.calls.ended, 0);
  rig.ownership.owned = true;
  await rig.clock.advance(250);
  const ids = await rig.end();
  await rig.clock.advance(250);
  assert.deepEqual(rig.written(), ids);
});

test("at rest it asks four times a second, and moves the cursor each ten seconds", async (t) => {
  const rig = await testExport(t);
  rig.exporter().start();
  await rig.clock.advance(20_000);
  const before = { ...rig.calls };
  await rig.clock.advance(60_000);
  assert.equal(rig.calls.moved - before.moved, 6);
  const asked = rig.calls.ended - before.ended;
  assert.ok(asked <= 480 && asked >= 240, `${asked} looks in a minute`);
});

test("a backlog is written 5,000 at a time, and the cursor follows each page", async (t) => {
  const rig = await testExport(t);
  const begin = await rig.cursor();
  await rig.clock.advance(1_000);
  const ids = await rig.endMany(10_200);
  await rig.clock.advance(60_000);
  const exporter = rig.exporter();
  const { signal } = new AbortController();
  const turn = async (): Promise<boolean> => {
    const over = exporter.runOnce(signal);
    let isOver = false;
    void over.finally(() => {
      isOver = true;
    });
    while (!isOver) await rig.clock.advance(0);
    return over;
  };
  assert.equal(await turn(), true);
  assert.equal(rig.written().length, 5_000);
  const first = await rig.cursor();
  assert.ok(first.endedUs > begin.endedUs && first.executionId === rig.written().at(-1));
  assert.equal(await turn(), true);
  assert.equal(rig.written().length, 10_000);
  assert.equal(await turn(), false);
  assert.deepEqual(new Set(rig.written()), new Set(ids));
  assert.equal(rig.written().length, ids.length);
  assert.deepEqual(await rig.cursor(), placeAt(rig.clock.wallUs() - SETTLE_US));
});

test("it tells how far it has come while it writes, and nothing while another one does", async (t) => {
  const rig = await testExport(t);
  const exporter = rig.exporter();
  assert.equal(exporter.reachedUs, null);
  exporter.start();
  await rig.clock.advance(1_000);
  assert.ok(rig.clock.wallUs() - (exporter.reachedUs ?? 0) <= 250_000);
  rig.memory.away = true;
  await rig.end();
  await rig.clock.advance(30_000);
  assert.ok(rig.clock.wallUs() - (exporter.reachedUs ?? 0) >= 30_000_000);
  rig.ownership.owned = false;
  await rig.clock.advance(2_000);
  assert.equal(exporter.reachedUs, null);
});

test("what retention deleted before it was written is said once, and the rest is written", async (t) => {
  const rig = await testExport(t);
  rig.exporter().start();
  await rig.clock.advance(10);
  rig.memory.away = true;
  await rig.end(2);
  await rig.clock.advance(5_000);
  await rig.store.retention.deleteEnded(rig.clock.wallUs(), null, 250);
  const kept = await rig.end(1);
  rig.memory.away = false;
  await rig.clock.advance(60_000);
  assert.deepEqual(rig.written(), kept);
  const lines = rig.said.filter((line) => line.includes("retention"));
  assert.deepEqual(lines, ["executions were deleted by retention before their ends were written to Kafka"]);
});

test("what was written before retention deleted it is no news", async (t) => {
  const rig = await testExport(t);
  rig.exporter().start();
  await rig.clock.advance(10);
  await rig.end(2);
  await rig.clock.advance(1_000);
  await rig.store.retention.deleteEnded(rig.clock.wallUs(), null, 250);
  await rig.clock.advance(60_000);
  assert.deepEqual(rig.said, []);
});

test("one end that Kafka refuses for its size is named in the log and holds up nothing", async (t) => {
  const rig = await testExport(t);
  const refused: string[] = [];
  const bus: SchedulerBus = Object.assign(Object.create(rig.bus) as SchedulerBus, {
    sendExecution: (change: Parameters<SchedulerBus["sendExecution"]>[0]): Promise<void> => {
      if (refused.length > 0) return rig.bus.sendExecution(change);
      refused.push(change.execution.executionId);
      return Promise.reject(new JobmeshError("MESSAGE_TOO_LARGE"));
    },
  });
  rig.exporter({ bus }).start();
  await rig.clock.advance(10);
  const ids = await rig.end(3);
  await rig.clock.advance(60_000);
  assert.deepEqual([...rig.written(), ...refused].sort(), [...ids].sort());
  assert.deepEqual(rig.said, ["Kafka refuses the event of an end for its size"]);
});

test("ends after the store's clock was set back are written", async (t) => {
  const rig = await testExport(t);
  const now = { shiftUs: 0 };
  const wallUs = rig.clock.wallUs.bind(rig.clock);
  rig.clock.wallUs = () => wallUs() - now.shiftUs;
  rig.exporter().start();
  await rig.clock.advance(60_000);
  for (const shiftUs of [5 * SECOND_US, 3_600 * SECOND_US]) {
    now.shiftUs += shiftUs;
    const ids = await rig.end(2);
    await rig.clock.advance(30_000);
    assert.deepEqual([...rig.written().slice(-2)].sort(), [...ids].sort());
    assert.ok((await rig.cursor()).endedUs <= rig.clock.wallUs() - SETTLE_US);
  }
});

test("a stop while Kafka is away ends within the time of one send, and leaves the cursor", async (t) => {
  const rig = await testExport(t);
  const exporter = rig.exporter();
  exporter.start();
  await rig.clock.advance(10);
  const cursor = await rig.cursor();
  rig.memory.away = true;
  await rig.end(1);
  await rig.clock.advance(300);
  let isOver = false;
  const over = exporter.stop().then(() => {
    isOver = true;
  });
  await rig.clock.advance(1_000);
  assert.ok(isOver);
  await over;
  assert.deepEqual(await rig.cursor(), cursor);
});
