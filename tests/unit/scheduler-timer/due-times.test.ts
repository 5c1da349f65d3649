import assert from "node:assert/strict";
import { test } from "node:test";
import { DueTimes } from "../../../services/scheduler/timer/due-times.ts";
import { ManualClock } from "../../support/manual-clock.ts";

function setup(uncertaintyUs = 0) {
  const clock = new ManualClock();
  const fired: { readonly key: number; readonly atMs: number }[] = [];
  const meshClock = { nowUs: () => clock.wallUs(), uncertaintyUs: () => uncertaintyUs };
  const due = new DueTimes<number>(clock, meshClock, (keys) => {
    for (const key of keys) fired.push({ key, atMs: clock.monotonicMs() });
  });
  return { clock, due, fired, nowUs: clock.wallUs() };
}

test("many entries fall due in order, each at its millisecond, whatever was armed in place of what", async () => {
  const { clock, due, fired, nowUs } = setup();
  const dueMs = new Map<number, number>();
  for (let index = 0; index < 3_000; index += 1) {
    const key = (index * 7_919) % 1_000;
    const afterMs = 1 + ((index * 104_729) % 997);
    due.set(String(key), nowUs + afterMs * 1_000, key);
    dueMs.set(key, afterMs);
    if (index % 17 === 0) {
      due.delete(String(key));
      dueMs.delete(key);
    }
  }
  assert.equal(due.size, dueMs.size);
  await clock.advance(1_000);
  assert.equal(fired.length, dueMs.size);
  for (const { key, atMs } of fired) assert.equal(atMs, dueMs.get(key));
  assert.deepEqual([due.size, clock.armedCount], [0, 0]);
});

test("what falls due together is given together, earliest first", async () => {
  const { clock, due, fired, nowUs } = setup();
  for (const key of [5, 3, 9, 1, 7]) due.set(String(key), nowUs + key, key);
  await clock.advance(1);
  assert.deepEqual(
    fired.map(({ key, atMs }) => [key, atMs]),
    [1, 3, 5, 7, 9].map((key) => [key, 1]),
  );
});

test("one timer stands for all, and what is past fires at the next turn", async () => {
  const { clock, due, fired, nowUs } = setup();
  for (let key = 0; key < 100; key += 1) due.set(String(key), nowUs + 50_000 + key * 1_000, key);
  assert.equal(clock.armedCount, 1);
  due.set("past", nowUs - 1, -1);
  assert.deepEqual([clock.armedCount, fired.length], [1, 0]);
  await clock.advance(0);
  assert.deepEqual(fired, [{ key: -1, atMs: 0 }]);
  due.clear();
  assert.deepEqual([due.size, clock.armedCount], [0, 0]);
});

test("rule 12: the store's clock is waited for by what is not known of it, and five milliseconds at most", async () => {
  const known = setup(1_500);
  known.due.set("a", known.nowUs + 10_000, 1);
  await known.clock.advance(20);
  assert.deepEqual(known.fired, [{ key: 1, atMs: 12 }]);
  const unknown = setup(Number.POSITIVE_INFINITY);
  unknown.due.set("a", unknown.nowUs + 10_000, 1);
  await unknown.clock.advance(20);
  assert.deepEqual(unknown.fired, [{ key: 1, atMs: 15 }]);
});

test("an entry set again from inside its own firing is armed again", async () => {
  const clock = new ManualClock();
  let count = 0;
  const meshClock = { nowUs: () => clock.wallUs(), uncertaintyUs: () => 0 };
  const due = new DueTimes<string>(clock, meshClock, ([key]) => {
    count += 1;
    if (count < 5) due.set(key ?? "", clock.wallUs() + 1_000, key ?? "");
  });
  due.set("a", clock.wallUs() + 1_000, "a");
  await clock.advance(10);
  assert.equal(count, 5);
});
