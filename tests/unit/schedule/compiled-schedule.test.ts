import assert from "node:assert/strict";
import { test } from "node:test";
import { checkSchedule } from "../../../services/common/domain/schedule/check-schedule.ts";
import { compileSchedule } from "../../../services/common/domain/schedule/compiled-schedule.ts";
import { CronFault } from "../../../services/common/domain/schedule/cron-fault.ts";
import { jitterOf } from "../../../services/common/domain/schedule/jitter.ts";
import { previewSchedule } from "../../../services/common/domain/schedule/preview-schedule.ts";
import { ScheduleFault } from "../../../services/common/domain/schedule/schedule-fault.ts";
import { splitCron } from "../../../services/common/domain/schedule/split-cron.ts";
import { validateTimeZone } from "../../../services/common/domain/schedule/time-zone.ts";
import { atSchedule, cronSchedule, firesBetween, intervalSchedule, timesOf } from "./schedule-setup.ts";

const DAY_MS = 86_400_000;
const NOON_MS = Date.UTC(2026, 10, 1, 12);

test("an interval is counted from the job's creation and does not drift", () => {
  const compiled = compileSchedule(intervalSchedule(7_000), NOON_MS);
  assert.equal(compiled.next(NOON_MS), NOON_MS + 7_000);
  assert.equal(compiled.next(NOON_MS + 6_999), NOON_MS + 7_000);
  assert.equal(compiled.next(NOON_MS + 7_000), NOON_MS + 14_000);
  assert.equal(compiled.next(NOON_MS + 7_000 * 1_000_000 + 3_210), NOON_MS + 7_000 * 1_000_001);
  assert.equal(compiled.next(NOON_MS - DAY_MS), NOON_MS);
});

test("an interval with a start is counted from it, and fires at it", () => {
  const compiled = compileSchedule(intervalSchedule(100, { startMs: NOON_MS + 50 }), NOON_MS - 33);
  assert.equal(compiled.next(NOON_MS), NOON_MS + 50);
  assert.equal(compiled.next(NOON_MS + 50), NOON_MS + 150);
});

test("at fires once", () => {
  const compiled = compileSchedule(atSchedule(NOON_MS), 0);
  assert.equal(compiled.next(0), NOON_MS);
  assert.equal(compiled.next(NOON_MS - 1), NOON_MS);
  assert.equal(compiled.next(NOON_MS), null);
  assert.equal(compiled.count(0, NOON_MS), 0);
  assert.equal(compiled.count(NOON_MS, NOON_MS + 1), 1);
});

test("nothing fires before start, nor at or after end", () => {
  const startMs = NOON_MS;
  const endMs = NOON_MS + 3 * 60_000;
  const compiled = compileSchedule(cronSchedule("* * * * *", { startMs, endMs }), 0);
  assert.deepEqual(timesOf(compiled, 0, Number.MAX_SAFE_INTEGER), [NOON_MS, NOON_MS + 60_000, NOON_MS + 120_000]);
  assert.equal(compiled.count(0, Date.UTC(2100, 0, 1)), 3);
  assert.equal(compiled.previous(Date.UTC(2030, 0, 1), NOON_MS), NOON_MS + 120_000);
  assert.equal(compileSchedule(atSchedule(endMs, { endMs }), 0).next(0), null);
  assert.equal(compileSchedule(atSchedule(startMs - 1, { startMs }), 0).next(0), null);
});

test("several expressions fire at the instants of all, each instant once", () => {
  const schedule = cronSchedule(["0,30 9 * * *", "*/15 9 * * *", "30 9 1 * *"]);
  assert.deepEqual(firesBetween(schedule, "2026-11-01T00:00Z", "2026-11-01T23:00Z"), [
    "2026-11-01T09:00Z",
    "2026-11-01T09:15Z",
    "2026-11-01T09:30Z",
    "2026-11-01T09:45Z",
  ]);
  assert.equal(compileSchedule(schedule, 0).count(Date.UTC(2026, 10, 1), Date.UTC(2026, 11, 1)), 120);
});

test("a text of several lines is several expressions, and one of none is refused", () => {
  assert.deepEqual(splitCron("0 9 * * *\r\n\n  0 12 * * 6\n"), ["0 9 * * *", "0 12 * * 6"]);
  assert.throws(() => compileSchedule(cronSchedule(splitCron(" \n ")), 0), /empty/);
});

test("a next fire between two seconds is asked for and found", () => {
  const compiled = compileSchedule(cronSchedule("* * * * * *", { timeZone: "Europe/Berlin" }), 0);
  assert.equal(compiled.next(NOON_MS + 1), NOON_MS + 1_000);
  assert.equal(compiled.next(NOON_MS + 999), NOON_MS + 1_000);
  assert.equal(compiled.next(NOON_MS + 999.5), NOON_MS + 1_000);
  assert.equal(compiled.next(NOON_MS + 1_000), NOON_MS + 2_000);
});

test("a year of each second is counted without walking it", () => {
  const compiled = compileSchedule(cronSchedule("* * * * * *", { timeZone: "America/New_York" }), 0);
  assert.equal(compiled.count(Date.UTC(2025, 0, 1), Date.UTC(2026, 0, 1)), 365 * 86_400);
  assert.equal(compiled.previous(Date.UTC(2026, 0, 1), Date.UTC(2025, 0, 1)), Date.UTC(2026, 0, 1) - 1_000);
  assert.equal(compiled.previous(Date.UTC(2025, 0, 1), Date.UTC(2025, 0, 1)), null);
});

test("a preview gives the first fires, no more than max_fires", () => {
  const after = Date.UTC(2026, 0, 1);
  const days = [1, 2, 3].map((day) => after + day * DAY_MS);
  assert.deepEqual(previewSchedule(compileSchedule(cronSchedule("@daily"), 0), after, 3), days);
  assert.deepEqual(
    previewSchedule(compileSchedule(cronSchedule("@daily", { maxFires: 2 }), 0), after, 3),
    days.slice(0, 2),
  );
  assert.deepEqual(previewSchedule(compileSchedule(atSchedule(after), 0), after, 3), []);
});

test("every fault of a schedule is told at once, by the contract's names", () => {
  const faults = checkSchedule(
    {
      ...cronSchedule(["* * * *", "0 0 31 2 *"]),
      timeZone: "Europe/Bärlin",
      startMs: 5,
      endMs: 5,
      jitterMs: -1,
      catchupWindowMs: 0.5,
      maxFires: -1,
    },
    "job.schedule",
  );
  assert.deepEqual(
    faults.map((fault) => fault.path),
    [
      "job.schedule.cron",
      "job.schedule.cron",
      "job.schedule.time_zone",
      "job.schedule.end_time",
      "job.schedule.jitter",
      "job.schedule.catchup_window",
      "job.schedule.max_fires",
    ],
  );
  assert.deepEqual(checkSchedule(cronSchedule("@daily")), []);
  assert.deepEqual(checkSchedule(intervalSchedule(100)), []);
  const paths = (schedule: Parameters<typeof checkSchedule>[0]) => checkSchedule(schedule).map((fault) => fault.path);
  assert.deepEqual(paths(intervalSchedule(99)), ["schedule.interval"]);
  assert.deepEqual(paths(intervalSchedule(100.5)), ["schedule.interval"]);
  assert.deepEqual(paths(intervalSchedule(Number.MAX_SAFE_INTEGER)), ["schedule.interval"]);
  assert.deepEqual(paths(atSchedule(-1)), ["schedule.at"]);
  assert.deepEqual(paths(atSchedule(Number.NaN)), ["schedule.at"]);
  assert.deepEqual(paths(cronSchedule([])), ["schedule.cron"]);
  assert.deepEqual(paths(cronSchedule(Array(16).fill("@daily"))), []);
  assert.deepEqual(paths(cronSchedule(Array(17).fill("@daily"))), ["schedule.cron"]);
});

test("a schedule with a fault is not compiled", () => {
  assert.throws(() => compileSchedule(cronSchedule([]), 0), CronFault);
  assert.throws(() => compileSchedule(cronSchedule("61 * * * *"), 0), CronFault);
  assert.throws(() => compileSchedule(cronSchedule("H * * * *"), 0), CronFault);
  assert.throws(() => compileSchedule(cronSchedule("* * * * *", { timeZone: "Mars/Olympus" }), 0), ScheduleFault);
  assert.throws(() => compileSchedule(intervalSchedule(0), 0), ScheduleFault);
  assert.equal(compileSchedule(cronSchedule("H * * * *"), 0, "job-1").count(0, DAY_MS), 24);
});

test("time zones are IANA names in any case, and nothing else", () => {
  const right =
    "UTC utc GMT Europe/Berlin europe/berlin America/Argentina/San_Luis Etc/GMT+5 EST5EDT US/Eastern NZ-CHAT";
  for (const name of right.split(" ")) assert.equal(validateTimeZone(name), true, name);
  for (const name of [
    "",
    "+01:00",
    "UTC+1",
    "GMT+1",
    "PST",
    "IST",
    "AST",
    "local",
    "Europe",
    "Europe/",
    "Europe/Berlin ",
    "Mars/X",
  ]) {
    assert.equal(validateTimeZone(name), false, name);
  }
});

test("jitter is a fixed part for a job and a nominal time, spread from 0 to the whole", () => {
  assert.equal(jitterOf("job-1", NOON_MS, 30_000), jitterOf("job-1", NOON_MS, 30_000));
  assert.equal(jitterOf("job-1", NOON_MS, 0), 0);
  const parts = Array.from({ length: 2_000 }, (_, index) => jitterOf(`job-${index % 40}`, NOON_MS + index * 1_000, 9));
  assert.deepEqual([...new Set(parts)].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const mean = parts.reduce((sum, part) => sum + part, 0) / parts.length;
  assert.ok(mean > 4.2 && mean < 4.8, `mean ${mean}`);
});

test("a next fire costs far less than a millisecond, for rare dates too", (t) => {
  const cases = ["*/5 * * * *", "0 0 29 2 *", "0 0 31 12 1#5", "0 9 * * 1-5"];
  for (const cron of cases) {
    const compiled = compileSchedule(cronSchedule(cron, { timeZone: "Europe/Berlin" }), 0);
    const ask = (rounds: number) => {
      for (let round = 0; round < rounds; round += 1) compiled.next(NOON_MS + round * 37 * 3_600_000);
    };
    ask(500);
    const startedUs = process.cpuUsage().user;
    ask(20_000);
    const meanUs = (process.cpuUsage().user - startedUs) / 20_000;
    t.diagnostic(`${cron}: ${meanUs.toFixed(2)} µs of CPU`);
    assert.ok(meanUs < 200, `${cron} took ${meanUs} µs`);
  }
});
