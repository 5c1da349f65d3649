import assert from "node:assert/strict";
import { test } from "node:test";
import { Schedule as ScheduleMessage } from "../../../gen/jobmesh/v1/job.ts";
import {
  type Schedule,
  type ScheduleRule,
  scheduleDefaults,
} from "../../../services/common/domain/schedule/schedule.ts";
import { scheduleToMessage } from "../../../services/common/wire/schedule.ts";
import { FieldFaults } from "../../../services/scheduler/api/field-faults.ts";
import { readSchedule } from "../../../services/scheduler/api/schedule-check.ts";

const rules: readonly ScheduleRule[] = [
  { kind: "cron", expressions: ["0 12 * * *"] },
  { kind: "cron", expressions: ["@daily", "30 6 * * MON-FRI"] },
  { kind: "interval", intervalMs: 100 },
  { kind: "interval", intervalMs: 86_400_001 },
  { kind: "at", atMs: 1_767_225_600_123 },
];
const others: readonly Omit<Schedule, "when">[] = [
  scheduleDefaults,
  {
    timeZone: "Europe/Berlin",
    dstGapPolicy: "SKIP",
    dstOverlapPolicy: "SECOND",
    startMs: 1,
    endMs: 9_007_199_254_740,
    jitterMs: 1_500,
    missedFirePolicy: "FIRE_ALL",
    catchupWindowMs: 0,
    overlapPolicy: "QUEUE_ONE",
    maxFires: 7,
  },
  { ...scheduleDefaults, dstOverlapPolicy: "BOTH", missedFirePolicy: "SKIP", overlapPolicy: "QUEUE_ALL" },
  { ...scheduleDefaults, overlapPolicy: "ALLOW" },
];

test("a schedule is shown with every value, and what is shown is read back the same", () => {
  for (const when of rules) {
    for (const other of others) {
      const schedule = { ...other, when };
      const message = ScheduleMessage.decode(ScheduleMessage.encode(scheduleToMessage(schedule)).finish());
      const faults = new FieldFaults();
      assert.deepEqual(readSchedule(faults, "schedule", message), schedule);
      faults.throwIfAny();
    }
  }
});
