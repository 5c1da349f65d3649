import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeepPartial } from "../../../gen/jobmesh/v1/execution_service.ts";
import {
  CronDialect,
  DstGapPolicy,
  DstOverlapPolicy,
  MissedFirePolicy,
  OverlapPolicy,
  Schedule,
} from "../../../gen/jobmesh/v1/job.ts";
import { PreviewScheduleRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import { duration, errorOf, faultsOf, type TestApi, testApi } from "./setup.ts";

type ScheduleInput = DeepPartial<Schedule>;

const cron = (value: string, more: ScheduleInput = {}): ScheduleInput => ({ when: { $case: "cron", value }, ...more });
const every = (ms: number, more: ScheduleInput = {}): ScheduleInput => ({
  when: { $case: "interval", value: duration(ms) },
  ...more,
});
const at = (seconds: bigint, nanos = 0): ScheduleInput => ({ when: { $case: "at", value: { seconds, nanos } } });
const LAST_SECOND = 9_007_199_254n;
const DAY_MS = 86_400_000;

/** A schedule that is taken, one that is not, the field at fault and what the refusal says. */
const limits: readonly (readonly [string, string, ScheduleInput, ScheduleInput, RegExp])[] = [
  ["no rule", "", every(100), {}, /must have cron, interval or at/],
  ["cron of 4 fields", ".cron", cron("* * * * *"), cron("* * * *"), /position 7: 4 of at least 5 fields/],
  ["cron of 7 fields", ".cron", cron("0 * * * * *"), cron("0 0 12 * * * 2030"), /7 fields/],
  ["cron value", ".cron", cron("59 * * * *"), cron("60 * * * *"), /"60 \* \* \* \*", position 0 in the minute field/],
  ["cron in a later field", ".cron", cron("0 0 31 * *"), cron("0 0 32 * *"), /position 4 in the day-of-month field/],
  [
    "cron of a second line",
    ".cron",
    cron("@daily\n0 12 * * *"),
    cron("@daily\n0 24 * * *"),
    /position 2 in the hour field/,
  ],
  ["cron that never fires", ".cron", cron("0 0 29 2 *"), cron("0 0 30 2 *"), /never fire/],
  [
    "cron expressions",
    ".cron",
    cron(Array(16).fill("@daily").join("\n")),
    cron(Array(17).fill("@daily").join("\n")),
    /17 expressions; allowed are at most 16/,
  ],
  ["alias", ".cron", cron("@hourly"), cron("@reboot"), /no alias/],
  ["empty cron", ".cron", cron("@daily\n"), cron(""), /empty/],
  [
    "time_zone",
    ".time_zone",
    cron("@daily", { timeZone: "Europe/Berlin" }),
    cron("@daily", { timeZone: "Europe/Atlantis" }),
    /"Europe\/Atlantis" is no IANA time zone/,
  ],
  ["interval", ".interval", every(100), every(99), /99 ms; allowed are whole milliseconds from 100 ms to 10 years/],
  ["long interval", ".interval", every(3_660 * DAY_MS), every(3_660 * DAY_MS + 1), /10 years/],
  ["negative interval", ".interval", every(1_000), every(-1_000), /-1000 ms/],
  [
    "interval of mixed signs",
    ".interval",
    every(1_500),
    { when: { $case: "interval", value: { seconds: 1n, nanos: -500_000_000 } } },
    /no valid duration/,
  ],
  ["at", ".at", at(LAST_SECOND), at(LAST_SECOND + 1n), /to 2255-06-05T23:47:34Z/],
  ["at before 1970", ".at", at(0n), at(-1n), /from 1970/],
  ["at with a second of nanos", ".at", at(1n, 999_999_999), at(1n, 1_000_000_000), /from 1970/],
  [
    "start_time",
    ".start_time",
    every(100, { startTime: { seconds: LAST_SECOND, nanos: 0 } }),
    every(100, { startTime: { seconds: LAST_SECOND + 1n, nanos: 0 } }),
    /to 2255/,
  ],
  [
    "end_time",
    ".end_time",
    every(100, { endTime: { seconds: LAST_SECOND, nanos: 0 } }),
    every(100, { endTime: { seconds: -1n, nanos: 0 } }),
    /from 1970/,
  ],
  [
    "end before start",
    ".end_time",
    every(100, { startTime: { seconds: 5n }, endTime: { seconds: 6n } }),
    every(100, { startTime: { seconds: 5n }, endTime: { seconds: 5n } }),
    /not later than start_time/,
  ],
  [
    "jitter",
    ".jitter",
    every(100, { jitter: duration(DAY_MS) }),
    every(100, { jitter: duration(DAY_MS + 1) }),
    /0 to 1 day/,
  ],
  ["negative jitter", ".jitter", every(100, { jitter: duration(0) }), every(100, { jitter: duration(-1) }), /-1 ms/],
  [
    "catchup_window",
    ".catchup_window",
    every(100, { catchupWindow: duration(0) }),
    every(100, { catchupWindow: duration(-1) }),
    /-1 ms/,
  ],
  [
    "catchup_window of mixed signs",
    ".catchup_window",
    every(100),
    every(100, { catchupWindow: { seconds: -1n, nanos: 1 } }),
    /no valid duration/,
  ],
  [
    "max_fires",
    ".max_fires",
    every(100, { maxFires: 0n }),
    every(100, { maxFires: -1n }),
    /-1; allowed are 0 and more/,
  ],
  [
    "dst_gap_policy",
    ".dst_gap_policy",
    cron("@daily", { dstGapPolicy: DstGapPolicy.DST_GAP_POLICY_SKIP }),
    cron("@daily", { dstGapPolicy: 3 as DstGapPolicy }),
    /one of FIRE_AFTER, SKIP; was 3/,
  ],
  [
    "dst_overlap_policy",
    ".dst_overlap_policy",
    cron("@daily", { dstOverlapPolicy: DstOverlapPolicy.DST_OVERLAP_POLICY_BOTH }),
    cron("@daily", { dstOverlapPolicy: 4 as DstOverlapPolicy }),
    /FIRST, SECOND, BOTH; was 4/,
  ],
  [
    "missed_fire_policy",
    ".missed_fire_policy",
    every(100, { missedFirePolicy: MissedFirePolicy.MISSED_FIRE_POLICY_FIRE_ALL }),
    every(100, { missedFirePolicy: 4 as MissedFirePolicy }),
    /FIRE_ONCE, FIRE_ALL, SKIP; was 4/,
  ],
  [
    "overlap_policy",
    ".overlap_policy",
    every(100, { overlapPolicy: OverlapPolicy.OVERLAP_POLICY_QUEUE_ALL }),
    every(100, { overlapPolicy: 6 as OverlapPolicy }),
    /SKIP, ALLOW, QUEUE_ONE, QUEUE_ALL, CANCEL_RUNNING; was 6/,
  ],
  [
    "cron_dialect",
    ".cron_dialect",
    cron("@daily", { cronDialect: CronDialect.CRON_DIALECT_UNIX }),
    cron("@daily", { cronDialect: 3 as CronDialect }),
    /one of UNIX; was 3/,
  ],
];

test("each value of a schedule is taken at its limit, and one past it is refused by its name and place", async (t) => {
  const api = await testApi(t);
  for (const [name, field, ok, bad, says] of limits) {
    await t.test(name, async () => {
      await api.createJob({ schedule: ok });
      const faults = await faultsOf(api.createJob({ schedule: bad }));
      assert.deepEqual(Object.keys(faults), [`job.schedule${field}`]);
      assert.match(faults[`job.schedule${field}`] ?? "", says);
      const previewed = await faultsOf(preview(api, bad));
      assert.deepEqual(Object.keys(previewed), [`schedule${field}`], "PreviewSchedule refuses the same");
    });
  }
});

test("all faults of a schedule are told at once, those beside a rule at fault too", async (t) => {
  const api = await testApi(t);
  const schedule = { timeZone: "x", jitter: duration(-1), startTime: { seconds: -5n } };
  const without = await faultsOf(preview(api, schedule));
  const fields = ["schedule", "schedule.jitter", "schedule.start_time", "schedule.time_zone"];
  assert.deepEqual(Object.keys(without).sort(), fields);
  const lines = await errorOf(preview(api, cron("60 * * * *\n* * * *")));
  assert.deepEqual(
    lines.fieldViolations.map(({ field }) => field),
    ["schedule.cron", "schedule.cron"],
  );
});

test("what later versions bring to schedules is refused by its name", async (t) => {
  const api = await testApi(t);
  const later: readonly (readonly [string, ScheduleInput])[] = [
    ["exclude_calendars", every(100, { excludeCalendars: ["holidays"] })],
    ["cron_dialect", cron("0 0 12 * * ?", { cronDialect: CronDialect.CRON_DIALECT_QUARTZ })],
    ["pause_after_failures", every(100, { pauseAfterFailures: 1 })],
  ];
  for (const [field, schedule] of later) {
    const error = await errorOf(api.createJob({ schedule }));
    const found = error.fieldViolations.find((violation) => violation.field === `job.schedule.${field}`);
    assert.equal(found?.description, "is not supported by this version");
  }
  assert.deepEqual((await api.listJobs()).jobs, []);
});

test("a schedule is answered with the contract's defaults filled in", async (t) => {
  const api = await testApi(t);
  const { schedule } = await api.createJob({ schedule: cron("0 12 * * *\n@daily\n") });
  assert.deepEqual(schedule, {
    ...Schedule.fromPartial({}),
    when: { $case: "cron", value: "0 12 * * *\n@daily" },
    timeZone: "UTC",
    dstGapPolicy: DstGapPolicy.DST_GAP_POLICY_FIRE_AFTER,
    dstOverlapPolicy: DstOverlapPolicy.DST_OVERLAP_POLICY_FIRST,
    missedFirePolicy: MissedFirePolicy.MISSED_FIRE_POLICY_FIRE_ONCE,
    catchupWindow: duration(60_000),
    overlapPolicy: OverlapPolicy.OVERLAP_POLICY_SKIP,
    cronDialect: CronDialect.CRON_DIALECT_UNIX,
  });
});

test("PreviewSchedule lists fires strictly after a time, as many as asked, and says the schedule in words", async (t) => {
  const api = await testApi(t);
  const noon = cron("0 12 * * *", { timeZone: "Europe/Berlin" });
  const given = await preview(api, noon, { afterTime: { seconds: 1_767_265_200n, nanos: 0 }, count: 2 });
  assert.deepEqual(
    given.fireTimes.map(({ seconds }) => Number(seconds)),
    [1_767_351_600, 1_767_438_000],
  );
  assert.match(given.description, /12:00/);
  assert.equal((await preview(api, noon)).fireTimes.length, 10, "10 when unset");
  assert.equal((await preview(api, noon, { count: 1_000 })).fireTimes.length, 1_000);
  assert.deepEqual(await faultsOf(preview(api, noon, { count: 1_001 })), { count: "must be from 1 to 1000; was 1001" });
  assert.deepEqual(await faultsOf(preview(api, noon, { count: -1 })), { count: "must be from 1 to 1000; was -1" });
  assert.deepEqual(await faultsOf(preview(api, undefined)), { schedule: "is required" });
  assert.equal((await preview(api, every(1_000, { maxFires: 3n }))).fireTimes.length, 3, "fewer when it ends");
  assert.deepEqual((await preview(api, at(5n))).fireTimes, [], "none is left");
});

test("PreviewSchedule counts from now, and stops before the times that a timestamp can name end", {
  timeout: 20_000,
}, async (t) => {
  const api = await testApi(t);
  const [first] = (await preview(api, every(60_000))).fireTimes;
  assert.equal(Number(first?.seconds), api.nowUs() / 1e6 + 60, "an interval without start counts from the asked time");
  const leap = await preview(api, cron("0 0 29 2 *"), { count: 1_000 });
  assert.ok(leap.fireTimes.every(({ seconds }) => seconds < 253_402_300_800n));
  const decades = await preview(api, every(3_660 * DAY_MS), { count: 1_000 });
  assert.ok(
    decades.fireTimes.every(({ seconds }) => seconds < 253_402_300_800n),
    "no year past 9999",
  );
});

function preview(
  api: TestApi,
  schedule: ScheduleInput | undefined,
  more: { afterTime?: { seconds: bigint; nanos: number }; count?: number } = {},
) {
  const request: DeepPartial<PreviewScheduleRequest> = { schedule, ...more };
  return api.jobs.previewSchedule(PreviewScheduleRequest.fromPartial(request), { timeoutMs: 20_000 });
}
