import {
  CronDialect,
  DstGapPolicy,
  DstOverlapPolicy,
  MissedFirePolicy,
  OverlapPolicy,
  type Schedule as ScheduleMessage,
} from "../../../gen/jobmesh/v1/job.ts";
import { unreachable } from "../domain/assert.ts";
import type { Schedule } from "../domain/schedule/schedule.ts";
import { durationOfMs, timestampOfUs } from "./time.ts";

/** Numbers of the contract's overlap policies. */
export const overlapNumbers: Readonly<Record<Schedule["overlapPolicy"], OverlapPolicy>> = {
  SKIP: OverlapPolicy.OVERLAP_POLICY_SKIP,
  ALLOW: OverlapPolicy.OVERLAP_POLICY_ALLOW,
  QUEUE_ONE: OverlapPolicy.OVERLAP_POLICY_QUEUE_ONE,
  QUEUE_ALL: OverlapPolicy.OVERLAP_POLICY_QUEUE_ALL,
  CANCEL_RUNNING: OverlapPolicy.OVERLAP_POLICY_CANCEL_RUNNING,
};

const gapNumbers: Readonly<Record<Schedule["dstGapPolicy"], DstGapPolicy>> = {
  FIRE_AFTER: DstGapPolicy.DST_GAP_POLICY_FIRE_AFTER,
  SKIP: DstGapPolicy.DST_GAP_POLICY_SKIP,
};

const dstOverlapNumbers: Readonly<Record<Schedule["dstOverlapPolicy"], DstOverlapPolicy>> = {
  FIRST: DstOverlapPolicy.DST_OVERLAP_POLICY_FIRST,
  SECOND: DstOverlapPolicy.DST_OVERLAP_POLICY_SECOND,
  BOTH: DstOverlapPolicy.DST_OVERLAP_POLICY_BOTH,
};

const missedNumbers: Readonly<Record<Schedule["missedFirePolicy"], MissedFirePolicy>> = {
  FIRE_ONCE: MissedFirePolicy.MISSED_FIRE_POLICY_FIRE_ONCE,
  FIRE_ALL: MissedFirePolicy.MISSED_FIRE_POLICY_FIRE_ALL,
  SKIP: MissedFirePolicy.MISSED_FIRE_POLICY_SKIP,
};

/** A schedule as the contract shows it, every default filled in. */
export function scheduleToMessage(schedule: Schedule): ScheduleMessage {
  return {
    when: whenToMessage(schedule),
    timeZone: schedule.timeZone,
    dstGapPolicy: gapNumbers[schedule.dstGapPolicy],
    dstOverlapPolicy: dstOverlapNumbers[schedule.dstOverlapPolicy],
    startTime: schedule.startMs === null ? undefined : timestampOfUs(schedule.startMs * 1000),
    endTime: schedule.endMs === null ? undefined : timestampOfUs(schedule.endMs * 1000),
    jitter: schedule.jitterMs === 0 ? undefined : durationOfMs(schedule.jitterMs),
    missedFirePolicy: missedNumbers[schedule.missedFirePolicy],
    catchupWindow: durationOfMs(schedule.catchupWindowMs),
    overlapPolicy: overlapNumbers[schedule.overlapPolicy],
    excludeCalendars: [],
    maxFires: BigInt(schedule.maxFires),
    cronDialect: CronDialect.CRON_DIALECT_UNIX,
    pauseAfterFailures: 0,
  };
}

function whenToMessage(schedule: Schedule): ScheduleMessage["when"] {
  const { when } = schedule;
  switch (when.kind) {
    case "cron":
      return { $case: "cron", value: when.expressions.join("\n") };
    case "interval":
      return { $case: "interval", value: durationOfMs(when.intervalMs) };
    case "at":
      return { $case: "at", value: timestampOfUs(when.atMs * 1000) };
    default:
      return unreachable(when);
  }
}
