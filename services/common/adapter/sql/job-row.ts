import { assert } from "../../domain/assert.ts";
import type { JobUid } from "../../domain/identifier.ts";
import type { Job } from "../../domain/job.ts";
import { storableText } from "../../domain/storable-text.ts";
import type { TargetKind } from "../../domain/target.ts";
import { datetimeText } from "./datetime.ts";
import { labelsText, parametersText, parseLabels, parseParameters } from "./execution-text.ts";
import { jobPolicyText, parseJobPolicy, parseSchedule, scheduleText } from "./job-text.ts";
import { bytes, flag, int, intOrNull, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlValue } from "./session.ts";

/** How a job stands in its row: the original's columns filled, and ours beside them. */

/** Kinds of target by their number in target_kind. */
const TARGET_KINDS: readonly (TargetKind | "")[] = ["", "command", "handler", "grpc", "http"];
/** At most this many characters of a command line or URL, and of a description: they fit a TEXT column. */
const MAX_TEXT_CHARS = 16_000;
const MAX_NAME_CHARS = 255;
const MAX_PAUSE_REASON_CHARS = 1_024;
/** The original's cron_expression is this wide. */
const MAX_CRON_CHARS = 100;

/** Columns that a Job is read from. */
export const JOB_COLUMNS = [
  "job_uid",
  "namespace",
  "job_id",
  "name",
  "description",
  "labels",
  "target_kind",
  "target_method",
  "command",
  "target",
  "schedule",
  "policy",
  "paused",
  "pause_reason",
  "revision",
  "create_us",
  "update_us",
  "next_fire_us",
  "last_fire_us",
  "fire_count",
  "shard",
  "parameters",
] as const;

/** The job of a row with JOB_COLUMNS. */
export function jobOf(row: Row): Job {
  const kind = TARGET_KINDS[int(row, "target_kind")];
  assert(kind !== undefined && kind !== "", "unknown target_kind");
  return {
    namespace: text(row, "namespace"),
    jobId: text(row, "job_id"),
    name: text(row, "name"),
    description: text(row, "description"),
    labels: parseLabels(text(row, "labels")),
    parameters: parseParameters(textOrNull(row, "parameters")),
    target: { kind, method: text(row, "target_method"), summary: text(row, "command"), bytes: bytes(row, "target") },
    schedule: parseSchedule(textOrNull(row, "schedule")),
    policy: parseJobPolicy(text(row, "policy")),
    jobUid: text(row, "job_uid") as JobUid,
    paused: flag(row, "paused"),
    pauseReason: text(row, "pause_reason"),
    revision: int(row, "revision"),
    createUs: int(row, "create_us"),
    updateUs: int(row, "update_us"),
    nextFireUs: intOrNull(row, "next_fire_us"),
    lastFireUs: intOrNull(row, "last_fire_us"),
    fireCount: int(row, "fire_count"),
    shard: int(row, "shard"),
  };
}

/** All columns of a job's row. A paused job has no next fire and is in no timer's shard. */
export function jobColumns(job: Job): Readonly<Record<string, SqlValue>> {
  assert(!job.paused || job.nextFireUs === null, "a paused job has no next fire");
  return {
    ...originalColumns(job),
    job_uid: job.jobUid,
    namespace: job.namespace,
    description: storableText(job.description, MAX_TEXT_CHARS),
    labels: labelsText(job.labels),
    target_kind: TARGET_KINDS.indexOf(job.target.kind),
    target_method: job.target.method,
    target: job.target.bytes,
    schedule: scheduleText(job.schedule),
    policy: jobPolicyText(job.policy),
    paused: job.paused ? 1 : 0,
    pause_reason: storableText(job.pauseReason, MAX_PAUSE_REASON_CHARS),
    revision: job.revision,
    create_us: job.createUs,
    update_us: job.updateUs,
    next_fire_us: job.nextFireUs,
    last_fire_us: job.lastFireUs,
    fire_count: job.fireCount,
    shard: job.shard,
    due_shard: job.nextFireUs === null ? null : job.shard,
    parameters: parametersText(job.parameters),
  };
}

/** The columns that a reader of the original's table knows. */
function originalColumns(job: Job): Readonly<Record<string, SqlValue>> {
  const when = job.schedule?.when;
  const cron = when?.kind === "cron" ? (when.expressions[0] ?? "") : null;
  return {
    job_id: job.jobId,
    name: storableText(job.name, MAX_NAME_CHARS),
    command: storableText(job.target.summary, MAX_TEXT_CHARS),
    type: when === undefined || when.kind === "at" ? 0 : 1,
    priority: job.policy.priority,
    cron_expression: cron === null ? null : storableText(cron, MAX_CRON_CHARS),
    timeout: seconds(job.policy.timeoutMs),
    retry_count: job.policy.retry.maxAttempts - 1,
    retry_interval: seconds(job.policy.retry.initialIntervalMs),
    create_time: datetimeText(job.createUs),
    update_time: datetimeText(job.updateUs),
  };
}

/** Whole seconds, rounded up so that no limit seems shorter; at most what INT holds. */
function seconds(ms: number): number {
  return Math.min(Math.ceil(ms / 1_000), 2_147_483_647);
}
