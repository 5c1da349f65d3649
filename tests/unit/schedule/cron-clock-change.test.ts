import assert from "node:assert/strict";
import { test } from "node:test";
import { cronSchedule, firesBetween } from "./schedule-setup.ts";

/** Examples that a person can check by hand; clock-changes.test.ts compares thousands with an oracle. */
function fires(cron: string, zone: string, after: string, before: string, changes = {}): string[] {
  return firesBetween(cronSchedule(cron, { timeZone: zone, ...changes }), after, before);
}

test("a fixed time inside a gap fires once, at the first instant after it", () => {
  const night = ["2026-03-28T23:00Z", "2026-03-29T22:00Z"] as const;
  assert.deepEqual(fires("30 2 * * *", "Europe/Berlin", ...night), ["2026-03-29T01:00Z"]);
  assert.deepEqual(fires("0,15,30,45 2 * * *", "Europe/Berlin", ...night), ["2026-03-29T01:00Z"]);
  assert.deepEqual(fires("*/10 30 2 * * *", "Europe/Berlin", ...night), ["2026-03-29T01:00Z"]);
});

test("a fixed time at the first instant after the gap is the same fire as those that the gap skipped", () => {
  const night = ["2026-03-28T23:00Z", "2026-03-29T22:00Z"] as const;
  assert.deepEqual(fires("0,30 2,3 * * *", "Europe/Berlin", ...night), ["2026-03-29T01:00Z", "2026-03-29T01:30Z"]);
});

test("dst_gap_policy SKIP leaves out what the gap skipped, and not a time at its end", () => {
  const night = ["2026-03-28T23:00Z", "2026-03-29T22:00Z"] as const;
  const skip = { dstGapPolicy: "SKIP" };
  assert.deepEqual(fires("30 2 * * *", "Europe/Berlin", ...night, skip), []);
  assert.deepEqual(fires("0,30 2,3 * * *", "Europe/Berlin", ...night, skip), [
    "2026-03-29T01:00Z",
    "2026-03-29T01:30Z",
  ]);
});

test("a fixed time that is repeated fires at the first, the second, or both instants", () => {
  const night = ["2026-10-24T22:00Z", "2026-10-25T23:00Z"] as const;
  const first = "2026-10-25T00:30Z";
  const second = "2026-10-25T01:30Z";
  assert.deepEqual(fires("30 2 * * *", "Europe/Berlin", ...night), [first]);
  assert.deepEqual(fires("30 2 * * *", "Europe/Berlin", ...night, { dstOverlapPolicy: "SECOND" }), [second]);
  assert.deepEqual(fires("30 2 * * *", "Europe/Berlin", ...night, { dstOverlapPolicy: "BOTH" }), [first, second]);
});

test("a wildcard or a step follows real time: both passes of a repeated hour, none in a gap", () => {
  assert.deepEqual(fires("*/20 2 * * *", "Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25T23:00Z"), [
    "2026-10-25T00:00Z",
    "2026-10-25T00:20Z",
    "2026-10-25T00:40Z",
    "2026-10-25T01:00Z",
    "2026-10-25T01:20Z",
    "2026-10-25T01:40Z",
  ]);
  assert.deepEqual(fires("*/20 2 * * *", "Europe/Berlin", "2026-03-28T23:00Z", "2026-03-29T22:00Z"), []);
  // The step alone makes it real time: 01, 03, 05 … o'clock, and 01:00 comes once before 02:00 comes twice.
  assert.deepEqual(fires("0 0-2/2 * * *", "Europe/Berlin", "2026-10-24T21:59Z", "2026-10-25T12:00Z"), [
    "2026-10-24T22:00Z",
    "2026-10-25T00:00Z",
    "2026-10-25T01:00Z",
  ]);
});

test("half-hour and two-hour changes are treated alike", () => {
  // Lord Howe: 02:00 becomes 02:30 on 4 October 2026, 02:00 becomes 01:30 on 5 April 2026.
  assert.deepEqual(fires("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T13:30Z", "2026-10-04T12:00Z"), [
    "2026-10-03T15:30Z",
  ]);
  assert.deepEqual(fires("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T13:00Z", "2026-04-05T12:00Z"), [
    "2026-04-04T14:45Z",
  ]);
  assert.deepEqual(fires("45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00Z", "2026-04-04T16:00Z"), [
    "2026-04-04T14:45Z",
    "2026-04-04T15:15Z",
  ]);
  // Troll: 01:00 becomes 03:00 on 29 March 2026.
  assert.deepEqual(fires("30 1,2 * * *", "Antarctica/Troll", "2026-03-28T23:00Z", "2026-03-29T20:00Z"), [
    "2026-03-29T01:00Z",
  ]);
});

test("a change at midnight keeps the date that was named", () => {
  // Beirut: 29 March 2026 begins at 01:00.
  assert.deepEqual(fires("0 0 29 3 *", "Asia/Beirut", "2026-03-01T00:00Z", "2026-04-30T00:00Z"), ["2026-03-28T22:00Z"]);
  // Cairo: the last Thursday of October ends twice.
  assert.deepEqual(fires("30 23 * * 4", "Africa/Cairo", "2026-10-29T00:00Z", "2026-10-30T12:00Z"), [
    "2026-10-29T20:30Z",
  ]);
});

test("a date that a zone skipped whole fires when the next day begins", () => {
  // Apia had no 30 December 2011.
  const days = ["2011-12-29T10:00Z", "2012-01-01T09:59Z"] as const;
  assert.deepEqual(fires("0 9 30 12 *", "Pacific/Apia", ...days), ["2011-12-30T10:00Z"]);
  assert.deepEqual(fires("0 9 * * 5", "Pacific/Apia", ...days), ["2011-12-30T10:00Z"]);
  assert.deepEqual(fires("0 9 * * *", "Pacific/Apia", ...days), [
    "2011-12-29T19:00Z",
    "2011-12-30T10:00Z",
    "2011-12-30T19:00Z",
    "2011-12-31T19:00Z",
  ]);
  assert.deepEqual(fires("0 */9 30 12 *", "Pacific/Apia", ...days), []);
  assert.deepEqual(fires("0 9 30 12 *", "Pacific/Apia", ...days, { dstGapPolicy: "SKIP" }), []);
});

test("a repeated hour behind the last match of a date is not jumped over", () => {
  // Cairo falls back at midnight to 23:00 of the same Thursday; the next Thursday is far away.
  assert.deepEqual(fires("*/30 23 28 10 *", "Africa/Cairo", "2027-10-28T00:00Z", "2027-11-30T00:00Z"), [
    "2027-10-28T20:00Z",
    "2027-10-28T20:30Z",
    "2027-10-28T21:00Z",
    "2027-10-28T21:30Z",
  ]);
});

test("a time that every year's gap skips ends in null under SKIP, and is found under FIRE_AFTER", () => {
  // In New York the gap is 02:00 to 03:00 on the second Sunday of March, always.
  const never = cronSchedule("30 2 * 3 0#2", { timeZone: "America/New_York", dstGapPolicy: "SKIP" });
  const startedUs = process.cpuUsage().user;
  assert.deepEqual(firesBetween(never, "2026-01-01T00:00Z", "2090-01-01T00:00Z"), []);
  // The search is bounded to 41 years: some 20 ms when nothing is known of the zone yet.
  assert.ok(process.cpuUsage().user - startedUs < 1_000_000);
  const after = cronSchedule("30 2 * 3 0#2", { timeZone: "America/New_York" });
  assert.deepEqual(firesBetween(after, "2026-01-01T00:00Z", "2027-01-01T00:00Z"), ["2026-03-08T07:00Z"]);
});
