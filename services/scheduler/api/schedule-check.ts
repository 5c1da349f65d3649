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
  readDialect(faults, `${field}.cron_dialect`, message.cronDialect);
  faults.unsupported(`${field}.pause_after_failures`, message.pauseAfterFailures !== 0);
  const when = readRule(faults, field, message);
  const schedule: Schedule = {
    when: when ?? NEVER,
    timeZone: message.timeZone === "" ? unset.timeZone : message.timeZone,
    dstGapPolicy: faults.oneOf(`${field}.dst_gap_policy`, gapPolicies, message.dstGapPolicy, unset.dstGapPolicy),
    dstOverlapPolicy: faults.oneOf(
      `${field}.dst_overlap_policy`,
      dstOverlapPolicies,
      message.dstOverlapPolicy,
      unset.dstOverlapPolicy,
    ),
    startMs: instantMs(faults, `${field}.start_time`, message.startTime),
    endMs: instantMs(faults, `${field}.end_time`, message.endTime),
    jitterMs: faults.exactMs(`${field}.jitter`, message.jitter) ?? unset.jitterMs,
    missedFirePolicy: faults.oneOf(
      `${field}.missed_fire_policy`,
      missedPolicies,
      message.missedFirePolicy,
      unset.missedFirePolicy,
    ),
    catchupWindowMs: faults.exactMs(`${field}.catchup_window`, message.catchupWindow) ?? unset.catchupWindowMs,
    overlapPolicy: readOverlap(faults, `${field}.overlap_policy`, message.overlapPolicy) ?? unset.overlapPolicy,
    maxFires: Number(message.maxFires),
  };
  for (const fault of checkSchedule(schedule, field, SPREAD_OF_CHECK)) {
    const place = fault instanceof CronFault ? fault.message.slice(fault.path.length + 2) : fault.reason;
    faults.add(fault.path, place);
  }
  return when === null ? null : schedule;
}

/** Stands for a rule at fault while the other fields are checked. */
const NEVER: ScheduleRule = { kind: "at", atMs: 0 };

/** The only dialect of this version is UNIX. */
function readDialect(faults: FieldFaults, field: string, value: CronDialect): void {
  faults.unsupported(field, value === CronDialect.CRON_DIALECT_QUARTZ);
  if (value !== CronDialect.CRON_DIALECT_QUARTZ) {
    faults.oneOf(field, { [CronDialect.CRON_DIALECT_UNIX]: "UNIX" }, value, null);
  }
}

/** Reads an overlap policy; null when it is unset or at fault. */
export function readOverlap(
  faults: FieldFaults,
  field: string,
  value: OverlapPolicy,
): Schedule["overlapPolicy"] | null {
  return faults.oneOf(field, overlapPolicies, value, null);
}

const overlapPolicies = {
  [OverlapPolicy.OVERLAP_POLICY_SKIP]: "SKIP",
  [OverlapPolicy.OVERLAP_POLICY_ALLOW]: "ALLOW",
  [OverlapPolicy.OVERLAP_POLICY_QUEUE_ONE]: "QUEUE_ONE",
  [OverlapPolicy.OVERLAP_POLICY_QUEUE_ALL]: "QUEUE_ALL",
  [OverlapPolicy.OVERLAP_POLICY_CANCEL_RUNNING]: "CANCEL_RUNNING",
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

/** An instant whose microseconds are exact; nominal times are whole milliseconds (rule 8). */
function instantMs(faults: FieldFaults, field: string, value: Timestamp | undefined): number | null {
  const us = faults.timestampUs(field, value);
  return us === null ? null : Math.floor(us / 1000);
}

function readRule(faults: FieldFaults, field: string, { when }: ScheduleMessage): ScheduleRule | null {
  switch (when?.$case) {
    case "cron":
      return { kind: "cron", expressions: linesOf(when.value) };
    case "interval": {
      const intervalMs = faults.exactMs(`${field}.interval`, when.value);
      return intervalMs === null ? null : { kind: "interval", intervalMs };
    }
    case "at": {
      const atMs = instantMs(faults, `${field}.at`, when.value);
      return atMs === null ? null : { kind: "at", atMs };
    }
    default:
      faults.add(field, "must have cron, interval or at");
      return null;
  }
}

/** Expressions one a line; the end of the text may have a line break. */
function linesOf(text: string): readonly string[] {
  const lines = text.split(/\r?\n/);
  while (lines.length > 1 && lines.at(-1)?.trim() === "") lines.pop();
  return lines;
}
