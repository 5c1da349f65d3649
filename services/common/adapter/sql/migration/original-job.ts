import { fireExecutionId } from "../../../domain/execution-id.ts";
import type { JobUid } from "../../../domain/identifier.ts";
import { type Job, SHARD_COUNT } from "../../../domain/job.ts";
import { defaultPolicy, type ExecutionPolicy } from "../../../domain/policy.ts";
import { compileSchedule } from "../../../domain/schedule/compiled-schedule.ts";
import { CronFault } from "../../../domain/schedule/cron-fault.ts";
import { parseCron } from "../../../domain/schedule/parse-cron.ts";
import { type Schedule, type ScheduleRule, scheduleDefaults } from "../../../domain/schedule/schedule.ts";
import type { Target } from "../../../domain/target.ts";

/** Namespace of what was adopted: the one of whoever names none. */
export const ADOPTED_NAMESPACE = "default";

/** jobs.type of the original. */
const ONCE = 0;
const PERIODIC = 1;

const MAX_PRIORITY = 1_000;
const MAX_ATTEMPTS = 1_000;
/** Longest timeout and wait, as the API has it: 366 days. */
const MAX_SECONDS = 366 * 86_400;
/** A one-shot job that never ran is not too late however long the adoption took to be followed by a start: 10 years. */
const NEVER_TOO_LATE_MS = 3_650 * 86_400_000;
const DAYS_OF_WEEK = 7;

/** A row of the original's jobs, and what its job_logs say of it. Times in microseconds, UTC. */
export type OriginalJob = {
  readonly jobId: string;
  readonly name: string;
  readonly command: string;
  readonly type: number;
  readonly priority: number;
  /** "" for none. */
  readonly cron: string;
  /** Seconds. */
  readonly timeout: number;
  readonly retryCount: number;
  /** Seconds. */
  readonly retryInterval: number;
  readonly createUs: number | null;
  readonly updateUs: number | null;
  /** True when a log says that it began at least once. */
  readonly hasRun: boolean;
  /** Start of its last run. */
  readonly lastStartUs: number | null;
};

/** Its schedule, and why it must not fire by it; "" when it may. */
type Plan = { readonly schedule: Schedule | null; readonly fault: string };

/**
 * The job that a row of the original becomes. What would fire otherwise than
 * it did, or not at all, is paused with the reason, so that nothing is lost
 * and nothing runs that nobody meant. Pure, so that an adoption that was cut
 * off makes the same again.
 *
 * @param timeZone that its cron expression is read in
 */
export function adoptedJob(original: OriginalJob, timeZone: string, nowUs: number): Job {
  const createUs = original.createUs ?? nowUs;
  const uidMs = Math.floor((original.createUs ?? 0) / 1_000);
  const jobUid: string = fireExecutionId(`original\n${original.jobId}` as JobUid, uidMs, 0);
  const { schedule, fault } = planOf(original, timeZone, jobUid, nowUs);
  const job: Job = {
    namespace: ADOPTED_NAMESPACE,
    jobId: original.jobId,
    name: original.name === "" ? original.jobId : original.name,
    description: "",
    labels: {},
    target: commandTarget(original.command),
    schedule,
    policy: policyOf(original),
    jobUid: jobUid as JobUid,
    paused: fault !== "",
    pauseReason: fault,
    revision: 1,
    createUs,
    updateUs: original.updateUs ?? createUs,
    nextFireUs: null,
    lastFireUs: original.type === PERIODIC ? original.lastStartUs : null,
    fireCount: 0,
    shard: Number.parseInt(jobUid.slice(-2), 16) % SHARD_COUNT,
  };
  return schedule === null || job.paused ? job : { ...job, nextFireUs: nextFireUs(schedule, job, nowUs) };
}

function planOf(original: OriginalJob, timeZone: string, jobUid: string, nowUs: number): Plan {
  switch (original.type) {
    case ONCE:
      // It began once, whatever came of it: only RunJob runs it again.
      if (original.hasRun) return { schedule: null, fault: "" };
      return {
        schedule: {
          ...scheduleOf({ kind: "at", atMs: Math.floor(nowUs / 1_000) }, "UTC"),
          catchupWindowMs: NEVER_TOO_LATE_MS,
        },
        fault: "",
      };
    case PERIODIC:
      if (original.cron === "") return { schedule: null, fault: "adopted: a periodic job without a cron_expression" };
      return {
        schedule: scheduleOf({ kind: "cron", expressions: [original.cron] }, timeZone),
        fault: cronFault(original.cron, jobUid),
      };
    default:
      return { schedule: null, fault: `adopted: the original has no type ${original.type}` };
  }
}

function scheduleOf(when: ScheduleRule, timeZone: string): Schedule {
  return { ...scheduleDefaults, when, timeZone };
}

/** Why an expression does not mean what it meant; "" when it does. */
function cronFault(cron: string, jobUid: string): string {
  try {
    const { dayOfMonth, dayOfWeek } = parseCron(cron, "cron_expression", jobUid);
    if (!dayOfMonth.restricted || !dayOfWeek.restricted) return "";
    // Every day of the week is what either rule makes of it only where the other is not looked at.
    const both = dayOfWeek.days.length < DAYS_OF_WEEK ? "on days that are both" : "on the days of the month alone";
    return `adopted: the original fired ${both}; here a day of month or of week is enough: write it anew, then resume`;
  } catch (error) {
    if (!(error instanceof CronFault)) throw error;
    return `adopted: ${error.message}`;
  }
}

function nextFireUs(schedule: Schedule, { createUs, jobUid }: Job, nowUs: number): number | null {
  if (schedule.when.kind === "at") return schedule.when.atMs * 1_000;
  const nextMs = compileSchedule(schedule, Math.floor(createUs / 1_000), jobUid).next(Math.floor(nowUs / 1_000));
  return nextMs === null ? null : nextMs * 1_000;
}

/** Clamped to what a policy takes. A timeout of 0 or less was none: the default holds. */
function policyOf({ priority, timeout, retryCount, retryInterval }: OriginalJob): ExecutionPolicy {
  const initialIntervalMs = clamped(retryInterval, 0, MAX_SECONDS) * 1_000;
  return {
    ...defaultPolicy,
    priority: clamped(priority, -MAX_PRIORITY, MAX_PRIORITY),
    timeoutMs: timeout > 0 ? Math.min(timeout, MAX_SECONDS) * 1_000 : defaultPolicy.timeoutMs,
    retry: {
      ...defaultPolicy.retry,
      maxAttempts: clamped(retryCount + 1, 1, MAX_ATTEMPTS),
      initialIntervalMs,
      maxIntervalMs: Math.max(initialIntervalMs, defaultPolicy.retry.maxIntervalMs),
    },
  };
}

function clamped(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}

/** A command that `sh -c` runs, as serialized jobmesh.v1.Target: field 1 of it is a CommandTarget, field 1 of that the line. */
function commandTarget(command: string): Target {
  const line = Buffer.from(command.toWellFormed());
  const bytes = field(1, line.length === 0 ? line : field(1, line));
  return { kind: "command", method: "", summary: command, bytes };
}

/** A length-delimited field of protobuf. */
function field(number: number, content: Uint8Array): Uint8Array {
  const head = [(number << 3) | 2];
  let length = content.length;
  for (; length > 0x7f; length = Math.floor(length / 128)) head.push((length & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, length]), content]);
}
