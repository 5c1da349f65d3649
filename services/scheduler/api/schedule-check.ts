import type { Duration } from "../../../gen/google/protobuf/duration.ts";
import type { Timestamp } from "../../../gen/google/protobuf/timestamp.ts";
import {
  CronDialect,
  DstGapPolicy,
  DstOverlapPolicy,
  MissedFirePolicy,
  OverlapPolicy,
  type Schedule as ScheduleMessage,
} from "../../../gen/jobmesh/v1/job.ts";
import { checkSchedule } from "../../common/domain/schedule/check-schedule.ts";
import { CronFault } from "../../common/domain/schedule/cron-fault.ts";
import { type Schedule, type ScheduleRule, scheduleDefaults } from "../../common/domain/schedule/schedule.ts";
import { msOfDuration, usOfTimestamp } from "../../common/wire/time.ts";
import type { FieldFaults } from "./field-faults.ts";

const unset = scheduleDefaults;
/** What `H` is spread by while a schedule is only checked: a stored one is spread by its job. */
const SPREAD_OF_CHECK = "check";

/** Reads a schedule, fills in the contract's defaults and notes what is wrong. null when it is not there. */
export function readSchedule(
  faults: FieldFaults,
  field: string,
  message: ScheduleMessage | undefined,
): Schedule | null {
  if (message === undefined) return null;
  faults.unsupported(`${field}.exclude_calendars`, message.excludeCalendars.length > 0);
  faults.unsupported(`${field}.cron_dialect`, message.cronDialect === CronDialect.CRON_DIALECT_QUARTZ);
  faults.unsupported(`${field}.pause_after_failures`, message.pauseAfterFailures !== 0);
  const when = readRule(message);
  if (when === null) {
    faults.add(field, "must have cron, interval or at");
    return null;
  }
  const schedule: Schedule = {
    when,
    timeZone: message.timeZone === "" ? unset.timeZone : message.timeZone,
    dstGapPolicy: pick(faults, `${field}.dst_gap_policy`, gapPolicies, message.dstGapPolicy) ?? unset.dstGapPolicy,
    dstOverlapPolicy:
      pick(faults, `${field}.dst_overlap_policy`, dstOverlapPolicies, message.dstOverlapPolicy) ??
      unset.dstOverlapPolicy,
    startMs: message.startTime === undefined ? null : instantMs(message.startTime),
    endMs: message.endTime === undefined ? null : instantMs(message.endTime),
    jitterMs: message.jitter === undefined ? unset.jitterMs : msOfDuration(message.jitter),
    missedFirePolicy:
      pick(faults, `${field}.missed_fire_policy`, missedPolicies, message.missedFirePolicy) ?? unset.missedFirePolicy,
    catchupWindowMs: message.catchupWindow === undefined ? unset.catchupWindowMs : msOfDuration(message.catchupWindow),
    overlapPolicy: readOverlap(faults, `${field}.overlap_policy`, message.overlapPolicy) ?? unset.overlapPolicy,
    maxFires: Number(message.maxFires),
  };
  for (const fault of checkSchedule(schedule, field, SPREAD_OF_CHECK)) {
    const place = fault instanceof CronFault ? fault.message.slice(fault.path.length + 2) : fault.reason;
    faults.add(fault.path, place);
  }
  return schedule;
}

/** Reads an overlap policy; CANCEL_RUNNING is not part of this version. null when it is unset or at fault. */
export function readOverlap(
  faults: FieldFaults,
  field: string,
  value: OverlapPolicy,
): Exclude<Schedule["overlapPolicy"], "CANCEL_RUNNING"> | null {
  faults.unsupported(field, value === OverlapPolicy.OVERLAP_POLICY_CANCEL_RUNNING);
  return value === OverlapPolicy.OVERLAP_POLICY_CANCEL_RUNNING ? null : pick(faults, field, overlapPolicies, value);
}

const overlapPolicies = {
  [OverlapPolicy.OVERLAP_POLICY_SKIP]: "SKIP",
  [OverlapPolicy.OVERLAP_POLICY_ALLOW]: "ALLOW",
  [OverlapPolicy.OVERLAP_POLICY_QUEUE_ONE]: "QUEUE_ONE",
  [OverlapPolicy.OVERLAP_POLICY_QUEUE_ALL]: "QUEUE_ALL",
} as const;

const gapPolicies = {
  [DstGapPolicy.DST_GAP_POLICY_FIRE_AFTER]: "FIRE_AFTER",
  [DstGapPolicy.DST_GAP_POLICY_SKIP]: "SKIP",
} as const;

const dstOverlapPolicies = {
  [DstOverlapPolicy.DST_OVERLAP_POLICY_FIRST]: "FIRST",
  [DstOverlapPolicy.DST_OVERLAP_POLICY_SECOND]: "SECOND",
  [DstOverlapPolicy.DST_OVERLAP_POLICY_BOTH]: "BOTH",
} as const;

const missedPolicies = {
  [MissedFirePolicy.MISSED_FIRE_POLICY_FIRE_ONCE]: "FIRE_ONCE",
  [MissedFirePolicy.MISSED_FIRE_POLICY_FIRE_ALL]: "FIRE_ALL",
  [MissedFirePolicy.MISSED_FIRE_POLICY_SKIP]: "SKIP",
} as const;

/** The policy of a number; null for 0, which leaves it to the default. A number that the contract lacks is a fault. */
function pick<P extends string>(
  faults: FieldFaults,
  field: string,
  policies: Readonly<Record<number, P>>,
  value: number,
): P | null {
  if (value === 0) return null;
  const policy = policies[value];
  if (policy === undefined) faults.add(field, `must be one of ${Object.values(policies).join(", ")}; was ${value}`);
  return policy ?? null;
}

/** Nominal times are whole milliseconds (rule 8). */
function instantMs(value: Timestamp): number {
  return Math.floor(usOfTimestamp(value) / 1000);
}

function readRule(message: ScheduleMessage): ScheduleRule | null {
  const { when } = message;
  switch (when?.$case) {
    case "cron":
      return { kind: "cron", expressions: linesOf(when.value) };
    case "interval":
      return { kind: "interval", intervalMs: msOfDuration(when.value satisfies Duration) };
    case "at":
      return { kind: "at", atMs: instantMs(when.value) };
    default:
      return null;
  }
}

/** Expressions one a line; the end of the text may have a line break. */
function linesOf(text: string): readonly string[] {
  const lines = text.split(/\r?\n/);
  while (lines.length > 1 && lines.at(-1)?.trim() === "") lines.pop();
  return lines;
}
