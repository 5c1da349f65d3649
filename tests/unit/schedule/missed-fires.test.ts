import assert from "node:assert/strict";
import { test } from "node:test";
import { compileSchedule } from "../../../services/common/domain/schedule/compiled-schedule.ts";
import {
  type FirePlan,
  MAX_PLANNED_FIRES,
  MAX_SKIPPED_ROWS,
  type MissedFiresInput,
  missedFires,
} from "../../../services/common/domain/schedule/missed-fires.ts";
import type { MissedFirePolicy } from "../../../services/common/domain/schedule/schedule.ts";
import { atSchedule, cronSchedule, intervalSchedule, timesOf } from "./schedule-setup.ts";
import { type SeededDraw, seededDraw } from "./seeded-draw.ts";

const NOON_MS = Date.UTC(2026, 10, 1, 12);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const YEAR_MS = 365 * 24 * HOUR_MS;
const everySecond = compileSchedule(cronSchedule("* * * * * *"), 0);
const everyMinute = compileSchedule(cronSchedule("* * * * *"), 0);

function plan(changes: Partial<MissedFiresInput>): FirePlan {
  return missedFires({
    compiled: everyMinute,
    nextFireMs: NOON_MS,
    nowMs: NOON_MS,
    policy: "FIRE_ONCE",
    catchupWindowMs: MINUTE_MS,
    ...changes,
  });
}

const fire = (nominalMs: number, mergedCount = 0) => ({ nominalMs, mergedCount, mergedUntilMs: null });

test("a job that is not due is left alone", () => {
  assert.deepEqual(plan({ nowMs: NOON_MS - 1 }), { fires: [], skipped: [], nextFireMs: NOON_MS, more: false });
});

test("a fire that is due now is fired, and the next one stored", () => {
  const expected = { fires: [fire(NOON_MS)], skipped: [], nextFireMs: NOON_MS + MINUTE_MS, more: false };
  assert.deepEqual(plan({}), expected);
  assert.deepEqual(plan({ nowMs: NOON_MS + 0.75 }), expected);
});

test("rule 10: what is 15 s late is fired under every policy and window, one millisecond more is missed", () => {
  for (const policy of ["FIRE_ONCE", "FIRE_ALL", "SKIP"] as const) {
    const onTime = plan({ nowMs: NOON_MS + 15_000, policy, catchupWindowMs: 0 });
    assert.deepEqual([onTime.fires, onTime.skipped], [[fire(NOON_MS)], []], policy);
  }
  const late = plan({ nowMs: NOON_MS + 15_001, policy: "SKIP" });
  assert.deepEqual(late.fires, []);
  assert.deepEqual(late.skipped, [{ nominalMs: NOON_MS, reason: "MISSED", mergedCount: 0, mergedUntilMs: null }]);
});

test("the catch-up window counts back from now, its edge included", () => {
  const inside = plan({ nowMs: NOON_MS + MINUTE_MS - 1, catchupWindowMs: MINUTE_MS - 1 });
  assert.deepEqual([inside.fires, inside.skipped], [[fire(NOON_MS)], []]);
  const outside = plan({ nowMs: NOON_MS + MINUTE_MS - 1, catchupWindowMs: MINUTE_MS - 2 });
  assert.deepEqual(outside.fires, []);
  assert.deepEqual(outside.skipped, [
    { nominalMs: NOON_MS, reason: "OUTSIDE_CATCHUP_WINDOW", mergedCount: 0, mergedUntilMs: null },
  ]);
});

test("FIRE_ONCE makes one execution with the latest missed time, which says how many it stands for", () => {
  const late = plan({ nowMs: NOON_MS + 5 * MINUTE_MS + 20_000, catchupWindowMs: HOUR_MS });
  assert.deepEqual(late.fires, [fire(NOON_MS + 5 * MINUTE_MS, 5)]);
  assert.deepEqual(late.skipped, []);
  assert.equal(late.nextFireMs, NOON_MS + 6 * MINUTE_MS);
  const withOneOnTime = plan({ nowMs: NOON_MS + 5 * MINUTE_MS, catchupWindowMs: HOUR_MS });
  assert.deepEqual(withOneOnTime.fires, [fire(NOON_MS + 4 * MINUTE_MS, 4), fire(NOON_MS + 5 * MINUTE_MS)]);
});

test("FIRE_ALL makes one execution each, oldest first", () => {
  const late = plan({ nowMs: NOON_MS + 3 * MINUTE_MS + 20_000, catchupWindowMs: HOUR_MS, policy: "FIRE_ALL" });
  assert.deepEqual(
    late.fires,
    [0, 1, 2, 3].map((minute) => fire(NOON_MS + minute * MINUTE_MS)),
  );
});

test("rule 10: ten skipped fires are rows, eleven are one row with a count", () => {
  const skipped = (count: number) =>
    plan({ nowMs: NOON_MS + (count - 1) * MINUTE_MS + 20_000, catchupWindowMs: YEAR_MS, policy: "SKIP" }).skipped;
  assert.equal(MAX_SKIPPED_ROWS, 10);
  assert.deepEqual(
    skipped(10),
    Array.from({ length: 10 }, (_, minute) => ({
      nominalMs: NOON_MS + minute * MINUTE_MS,
      reason: "MISSED",
      mergedCount: 0,
      mergedUntilMs: null,
    })),
  );
  assert.deepEqual(skipped(11), [
    { nominalMs: NOON_MS, reason: "MISSED", mergedCount: 10, mergedUntilMs: NOON_MS + 10 * MINUTE_MS },
  ]);
});

test("rule 10: a job of each second that was down for a year makes one row and one execution", () => {
  const nowMs = NOON_MS + YEAR_MS;
  const late = plan({ compiled: everySecond, nowMs });
  assert.deepEqual(late.skipped, [
    {
      nominalMs: NOON_MS,
      reason: "OUTSIDE_CATCHUP_WINDOW",
      mergedCount: YEAR_MS / 1_000 - 60 - 1,
      mergedUntilMs: nowMs - MINUTE_MS - 1_000,
    },
  ]);
  // 45 of the last minute were missed and are one; the last 15 s and now are on time.
  assert.deepEqual(late.fires[0], fire(nowMs - 16_000, 44));
  assert.equal(late.fires.length, 1 + 16);
  assert.equal(late.nextFireMs, nowMs + 1_000);
});

test("a plan of many fires ends at its limit and says where to go on", () => {
  const input = {
    compiled: everySecond,
    nowMs: NOON_MS + HOUR_MS,
    catchupWindowMs: YEAR_MS,
    policy: "FIRE_ALL",
  } as const;
  const nominal: number[] = [];
  let at: number | null = NOON_MS;
  let plans = 0;
  for (let more = true; more && at !== null; plans += 1) {
    const part = plan({ ...input, nextFireMs: at });
    assert.ok(part.fires.length <= MAX_PLANNED_FIRES);
    nominal.push(...part.fires.map(({ nominalMs }) => nominalMs));
    at = part.nextFireMs;
    more = part.more;
  }
  assert.equal(plans, 4);
  assert.deepEqual(nominal, timesOf(everySecond, NOON_MS, NOON_MS + HOUR_MS + 1));
  assert.equal(at, NOON_MS + HOUR_MS + 1_000);
});

test("max_fires ends the schedule with the last execution it may make; skipped fires do not count", () => {
  const late = { nowMs: NOON_MS + 3 * MINUTE_MS + 20_000, catchupWindowMs: HOUR_MS } as const;
  const two = plan({ ...late, policy: "FIRE_ALL", firesLeft: 2 });
  assert.deepEqual(two.fires, [fire(NOON_MS), fire(NOON_MS + MINUTE_MS)]);
  assert.deepEqual([two.nextFireMs, two.more], [null, false]);
  assert.equal(plan({ ...late, policy: "FIRE_ALL", firesLeft: 5 }).nextFireMs, NOON_MS + 4 * MINUTE_MS);
  assert.deepEqual(plan({ ...late, firesLeft: 1 }).fires, [fire(NOON_MS + 3 * MINUTE_MS, 3)]);
  const skipping = plan({ ...late, policy: "SKIP", firesLeft: 1 });
  assert.deepEqual([skipping.skipped.length, skipping.nextFireMs], [4, NOON_MS + 4 * MINUTE_MS]);
  assert.deepEqual(plan({ firesLeft: 0 }), { fires: [], skipped: [], nextFireMs: null, more: false });
});

test("a schedule that ended meanwhile has no next fire", () => {
  const once = compileSchedule(atSchedule(NOON_MS), 0);
  assert.deepEqual(plan({ compiled: once, nowMs: NOON_MS + 20_000 }), {
    fires: [fire(NOON_MS)],
    skipped: [],
    nextFireMs: null,
    more: false,
  });
  const late = plan({ compiled: once, nowMs: NOON_MS + HOUR_MS });
  assert.deepEqual([late.fires.length, late.skipped.length, late.nextFireMs], [0, 1, null]);
});

/** What a plan must be, by looking at each nominal time by itself. */
function account(input: MissedFiresInput): { fired: number[]; merged: number; outside: number; missed: number } {
  const told = { fired: [] as number[], merged: 0, outside: 0, missed: 0 };
  let waiting: number | null = null;
  for (const time of timesOf(input.compiled, input.nextFireMs, input.nowMs + 1)) {
    const lateMs = input.nowMs - time;
    if (lateMs <= 15_000) {
      if (waiting !== null) told.fired.push(waiting);
      waiting = null;
      told.fired.push(time);
    } else if (lateMs > input.catchupWindowMs) told.outside += 1;
    else if (input.policy === "SKIP") told.missed += 1;
    else if (input.policy === "FIRE_ALL") told.fired.push(time);
    else {
      if (waiting !== null) told.merged += 1;
      waiting = time;
    }
  }
  if (waiting !== null) told.fired.push(waiting);
  return told;
}

function drawInput(draw: SeededDraw): MissedFiresInput {
  const schedule = draw.pick([
    intervalSchedule(700 + draw.below(90_000)),
    cronSchedule("*/7 * * * * *"),
    cronSchedule(["*/5 * * * *", "30 2,3 * * *", "0 0-4 * * *"], { timeZone: "Europe/Berlin" }),
    cronSchedule("*/2 2 * * *", { timeZone: "Europe/Berlin" }),
    cronSchedule("0-59 0-23 * * *", { timeZone: "America/New_York", dstOverlapPolicy: "BOTH" }),
  ]);
  const compiled = compileSchedule(schedule, NOON_MS);
  // Both clock changes of Berlin and New York lie within.
  const fromMs = draw.pick([
    Date.UTC(2026, 2, 29),
    Date.UTC(2026, 9, 25),
    Date.UTC(2026, 10, 1),
    Date.UTC(2027, 2, 14),
  ]);
  const nextFireMs = compiled.next(fromMs + draw.below(4 * HOUR_MS)) ?? 0;
  return {
    compiled,
    nextFireMs,
    nowMs: nextFireMs + draw.pick([draw.below(MINUTE_MS), draw.below(HOUR_MS), draw.below(6 * HOUR_MS)]),
    policy: draw.pick<MissedFirePolicy>(["FIRE_ONCE", "FIRE_ALL", "SKIP"]),
    catchupWindowMs: draw.pick([0, MINUTE_MS, draw.below(HOUR_MS), YEAR_MS]),
  };
}

test("every due nominal time is fired, merged or skipped, none twice and none forgotten", () => {
  const draw = seededDraw(20_261_101);
  for (let round = 0; round < 400; round += 1) {
    const input = drawInput(draw);
    const what = `round ${round}, ${JSON.stringify({ ...input, compiled: input.compiled.schedule.when })}`;
    const told = account(input);
    const fires: FirePlan["fires"][number][] = [];
    const skipped: FirePlan["skipped"][number][] = [];
    let part = missedFires(input);
    for (;;) {
      fires.push(...part.fires);
      skipped.push(...part.skipped);
      if (!part.more || part.nextFireMs === null) break;
      part = missedFires({ ...input, nextFireMs: part.nextFireMs });
    }
    const count = (reason: string) =>
      skipped.filter((row) => row.reason === reason).reduce((sum, row) => sum + row.mergedCount + 1, 0);
    assert.deepEqual(
      fires.map(({ nominalMs }) => nominalMs),
      told.fired,
      what,
    );
    assert.equal(
      fires.reduce((sum, { mergedCount }) => sum + mergedCount, 0),
      told.merged,
      what,
    );
    assert.equal(count("OUTSIDE_CATCHUP_WINDOW"), told.outside, what);
    assert.equal(count("MISSED"), told.missed, what);
    assert.equal(part.nextFireMs, input.compiled.next(input.nowMs), what);
    assert.ok(skipped.length <= 2 * MAX_SKIPPED_ROWS, what);
  }
});
