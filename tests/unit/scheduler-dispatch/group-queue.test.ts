import assert from "node:assert/strict";
import { test } from "node:test";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { submitGroupDefaults } from "../../../services/scheduler/dispatch/submitter.ts";
import { type GroupLimits, GroupQueue } from "../../../services/scheduler/group-queue.ts";
import { OUTPUT_LIMITS, STARTED_LIMITS } from "../../../services/scheduler/sessions/session-service.ts";
import { FIRE_GROUP_LIMITS } from "../../../services/scheduler/timer/job-timer.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const LIMITS: GroupLimits = { maxItems: 3, maxBytes: 100, maxWaiting: 10, maxWaitingBytes: 10_000 };

/** A queue whose commits wait until the test lets each of them go. */
function setup(limits: GroupLimits = LIMITS, keyOf?: (item: number) => string | null) {
  const clock = new ManualClock();
  const groups: (readonly number[])[] = [];
  const letGo: ((error?: Error) => void)[] = [];
  const queue = new GroupQueue<number, number>(clock, {
    limits,
    ...(keyOf === undefined ? {} : { keyOf }),
    sizeOf: (item) => item,
    commit: (items) => {
      groups.push(items);
      return new Promise((resolve, reject) => {
        letGo.push((error) => (error === undefined ? resolve(items.map((item) => item * 10)) : reject(error)));
      });
    },
  });
  return { clock, queue, groups, letGo };
}

test("rule 5: what comes in one turn is one group, what comes meanwhile is the next one", async () => {
  const { clock, queue, groups, letGo } = setup();
  const first = [queue.push(1), queue.push(2)];
  await clock.settle();
  const second = [queue.push(3), queue.push(4)];
  await clock.settle();
  assert.deepEqual(groups, [[1, 2]], "one group is under way at a time");
  letGo[0]?.();
  assert.deepEqual(await Promise.all(first), [10, 20]);
  await clock.settle();
  letGo[1]?.();
  assert.deepEqual(await Promise.all(second), [30, 40]);
  assert.deepEqual(groups, [
    [1, 2],
    [3, 4],
  ]);
});

test("rule 28: a group ends at its number of items", async () => {
  const { clock, queue, groups, letGo } = setup();
  const answers = [1, 2, 3, 4].map((item) => queue.push(item));
  await clock.settle();
  assert.deepEqual(groups, [[1, 2, 3]]);
  letGo[0]?.();
  await clock.settle();
  letGo[1]?.();
  assert.deepEqual(await Promise.all(answers), [10, 20, 30, 40]);
});

test("rule 28: a group ends at its bytes, and one item above them is a group of its own", async () => {
  const { clock, queue, groups, letGo } = setup();
  const answers = [60, 50, 500, 1].map((item) => queue.push(item));
  for (const _ of answers) {
    await clock.settle();
    letGo.at(-1)?.();
  }
  await Promise.all(answers);
  assert.deepEqual(groups, [[60], [50], [500], [1]]);
});

test("one more than may wait is refused with OVERLOADED and the others are stored", async () => {
  const { clock, queue, letGo } = setup({ ...LIMITS, maxItems: 10, maxWaiting: 2 });
  const kept = [queue.push(1), queue.push(2)];
  await assert.rejects(queue.push(3), isOverloaded);
  await clock.settle();
  letGo[0]?.();
  assert.deepEqual(await Promise.all(kept), [10, 20]);
});

test("rule 28: more bytes than may wait are refused with OVERLOADED, until a group has taken some; one item alone never is", async () => {
  const { clock, queue, letGo } = setup({ ...LIMITS, maxWaitingBytes: 150 });
  const first = queue.push(1_000);
  await clock.settle();
  const kept = [queue.push(90), queue.push(60)];
  await assert.rejects(queue.push(1), isOverloaded);
  letGo[0]?.();
  assert.equal(await first, 10_000);
  await clock.settle();
  kept.push(queue.push(90));
  await assert.rejects(queue.push(1), isOverloaded);
  for (const group of [1, 2, 3]) {
    letGo[group]?.();
    await clock.settle();
  }
  assert.deepEqual(await Promise.all(kept), [900, 600, 900]);
});

/** The refusal, with a time to come again. */
function isOverloaded(error: unknown): boolean {
  return error instanceof JobmeshError && error.reason === "OVERLOADED" && error.retryDelayMs === 1_000;
}

test("a group that fails fails each of its items and no other", async () => {
  const { clock, queue, letGo } = setup();
  const failed = [queue.push(1), queue.push(2)];
  await clock.settle();
  const later = queue.push(3);
  letGo[0]?.(new Error("gone"));
  for (const answer of failed) await assert.rejects(answer, /gone/);
  await clock.settle();
  letGo[1]?.();
  assert.equal(await later, 30);
});

test("stop commits what waits and refuses what comes after", async () => {
  const { clock, queue, letGo } = setup();
  const answer = queue.push(1);
  const stopped = queue.stop();
  await assert.rejects(queue.push(2), (error) => error instanceof JobmeshError && error.reason === "SHUTTING_DOWN");
  await clock.settle();
  letGo[0]?.();
  assert.equal(await answer, 10);
  await stopped;
  assert.equal(clock.armedCount, 0);
});

test("rule 5: a key is once in a group, in its order, and what comes behind it does not wait for it", async () => {
  const { clock, queue, groups, letGo } = setup(LIMITS, (item) => (item % 10 === 1 ? "one" : null));
  const answers = [1, 11, 21, 2, 3, 31].map((item) => queue.push(item));
  assert.equal(queue.waiting, 6, "what waits behind its key counts");
  for (let group = 0; group < 4; group++) {
    await clock.settle();
    letGo[group]?.();
  }
  assert.deepEqual(await Promise.all(answers), [10, 110, 210, 20, 30, 310]);
  assert.deepEqual(groups, [[1, 2, 3], [11], [21], [31]]);
  assert.equal(queue.waiting, 0);
});

test("rule 28: what waits behind its key is bounded with all else", async () => {
  const { queue } = setup({ ...LIMITS, maxWaiting: 2 }, () => "one");
  const taken = [queue.push(1), queue.push(2)];
  await assert.rejects(queue.push(3), { reason: "OVERLOADED" });
  for (const one of taken) one.catch(() => {});
});

/** The queues of production, as they are bounded. Items of a unit of bytes; nothing is stored. */
function fill(limits: GroupLimits, unit: number) {
  const groups: (readonly number[])[] = [];
  const clock = new ManualClock();
  const queue = new GroupQueue<number, number>(clock, {
    limits,
    sizeOf: (bytes) => bytes,
    commit: (items) => {
      groups.push(items);
      return new Promise(() => {});
    },
  });
  const take = (count: number): void => {
    for (let left = count; left > 0; left--) queue.push(unit).catch(() => assert.fail("it is taken"));
  };
  return { clock, queue, groups, take };
}

const MIB = 1024 * 1024;

for (const { name, limits, most } of [
  {
    name: "submissions",
    limits: submitGroupDefaults,
    most: { items: 20_000, bytes: 256 * MIB, group: [500, 4 * MIB] },
  },
  { name: "reports of starts", limits: STARTED_LIMITS, most: { items: 100_000, bytes: 64 * MIB, group: [500, MIB] } },
  { name: "pieces of output", limits: OUTPUT_LIMITS, most: { items: 50_000, bytes: 256 * MIB, group: [500, 4 * MIB] } },
] as const) {
  test(`${name} wait up to their number and bytes, and one more is OVERLOADED`, async () => {
    const byCount = fill(limits, 1);
    byCount.take(most.items);
    await assert.rejects(byCount.queue.push(1), isOverloaded);
    const byBytes = fill(limits, MIB);
    byBytes.take(most.bytes / MIB);
    await assert.rejects(byBytes.queue.push(1), isOverloaded);
  });

  test(`a group of ${name} ends at its rows and at its bytes`, async () => {
    const [rows, bytes] = most.group;
    for (const [unit, count] of [
      [1, rows],
      [MIB / 2, bytes / (MIB / 2)],
    ] as const) {
      const rig = fill(limits, unit);
      rig.take(count + 1);
      await rig.clock.settle();
      assert.deepEqual(
        rig.groups.map(({ length }) => length),
        [count],
      );
    }
  });
}

test("a group of fires ends at 100 of them and at 4 MiB", async () => {
  for (const [unit, count] of [
    [1, 100],
    [MIB / 2, 8],
  ] as const) {
    const rig = fill({ ...FIRE_GROUP_LIMITS, maxWaiting: 500 }, unit);
    rig.take(count + 1);
    await rig.clock.settle();
    assert.deepEqual(
      rig.groups.map(({ length }) => length),
      [count],
    );
  }
});
