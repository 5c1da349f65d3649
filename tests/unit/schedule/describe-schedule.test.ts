import assert from "node:assert/strict";
import { test } from "node:test";
import { describeSchedule } from "../../../services/common/domain/schedule/describe-schedule.ts";
import { atSchedule, cronSchedule, intervalSchedule } from "./schedule-setup.ts";

const WORDS: readonly (readonly [string, string])[] = [
  ["* * * * *", "every minute"],
  ["* * * * * *", "every second"],
  ["*/5 * * * *", "every 5 minutes"],
  ["*/10 * * * * *", "every 10 seconds"],
  ["*/10 9-17 * * *", "every 10 minutes of hour 9 to 17"],
  ["0 9 * * 1-5", "at 09:00 on Monday to Friday"],
  ["15 30 9 * * *", "at 09:30:15"],
  ["0 9,18 * * SAT,SUN", "at 09:00 and 18:00 on Saturday and Sunday"],
  ["@hourly", "at minute 0 of every hour"],
  ["*/7 9 * * *", "at minute 0, 7, 14, 21, 28, 35, 42, 49 and 56 of hour 9"],
  ["5 * * * * *", "at second 5 of every minute"],
  ["0 0 29 2 *", "at 00:00 on day 29 of the month in February"],
  ["0 0 1-3,L */3 *", "at 00:00 on day 1 to 3 and the last day of the month in January, April, July and October"],
  [
    "0 0 L-1,LW,15W * *",
    "at 00:00 on the day 1 day before the last, the weekday nearest to day 15 and the last weekday of the month",
  ],
  ["0 0 31 12 1#5", "at 00:00 on day 31 of the month or on the fifth Monday of the month in December"],
  ["0 0 * * 5L", "at 00:00 on the last Friday of the month"],
  ["0 0 */10 * MON", "at 00:00 on day 1, 11, 21 and 31 of the month where that is Monday"],
  ["0 0 1-31 * MON", "at 00:00"],
  ["0 0 15 * 0-6", "at 00:00"],
];

test("a cron expression is told in words that say what fires", () => {
  for (const [cron, words] of WORDS) assert.equal(describeSchedule(cronSchedule(cron)), `${words}, UTC time`, cron);
  assert.equal(
    describeSchedule(cronSchedule(["0 9 * * 1-5", "0 12 * * 6"], { timeZone: "Europe/Berlin" })),
    "at 09:00 on Monday to Friday; and at 12:00 on Saturday, Europe/Berlin time",
  );
});

test("what is not at its default is said too", () => {
  const noon = Date.UTC(2026, 0, 1, 12);
  assert.equal(describeSchedule(intervalSchedule(5_400_000)), "every 1 hour 30 minutes");
  assert.equal(describeSchedule(atSchedule(noon)), "once at 2026-01-01T12:00:00Z");
  assert.equal(
    describeSchedule(intervalSchedule(100, { startMs: noon, endMs: noon + 1, jitterMs: 1_500, maxFires: 3 })),
    "every 100 milliseconds, from 2026-01-01T12:00:00Z, before 2026-01-01T12:00:00.001Z, at most 3 times, " +
      "each delayed by up to 1 second 500 milliseconds",
  );
  assert.equal(
    describeSchedule(cronSchedule("30 2 * * *", { dstGapPolicy: "SKIP", dstOverlapPolicy: "BOTH" })),
    "at 02:30, UTC time, left out where a clock change skips the time, twice where a clock change repeats the time",
  );
});
