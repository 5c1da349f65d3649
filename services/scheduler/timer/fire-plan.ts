import type { NewExecution } from "../../common/domain/execution.ts";
import { fireExecutionId } from "../../common/domain/execution-id.ts";
import { jobGateKeys } from "../../common/domain/gate.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import type { Job } from "../../common/domain/job.ts";
import { routeIdOf, routeOf, routeText } from "../../common/domain/route.ts";
import type { CompiledSchedule } from "../../common/domain/schedule/compiled-schedule.ts";
import { jitterOf } from "../../common/domain/schedule/jitter.ts";
import { missedFires } from "../../common/domain/schedule/missed-fires.ts";
import type { Schedule } from "../../common/domain/schedule/schedule.ts";
import type { Fire } from "../../common/port/store-jobs.ts";

/** Begins the trace of an execution that a fire makes. */
export type TraceOfFire = (executionId: ExecutionId) => {
  readonly traceparent: string;
  readonly tracestate: string | null;
};

/** One nominal time of a plan. */
type PlannedTime = { readonly nominalMs: number; readonly mergedCount: number; readonly mergedUntilMs: number | null };

const skipWords = {
  MISSED: "the fire was missed and the job skips missed fires",
  OUTSIDE_CATCHUP_WINDOW: "the fire was missed by more than the catch-up window",
} as const;

/**
 * What is to be stored for a job whose next fire is due: the executions, the
 * fires that are recorded as skipped, and the fire that comes next. null when
 * nothing is due. Pure, so that two owners plan the same.
 *
 * Rule 10: max_fires counts what was made and not SKIPPED, which only the
 * store's gates decide. So the last fires that a schedule has left do not end
 * it: the store does, in the same transaction, once the count is reached.
 */
export function planFire(
  job: Job,
  compiled: CompiledSchedule | null,
  nowUs: number,
  missedMs: number,
  traceOf: TraceOfFire,
): Fire | null {
  const { schedule } = job;
  if (job.nextFireUs === null) return null;
  const base = { jobUid: job.jobUid, revision: job.revision, nominalUs: job.nextFireUs };
  // A job that lost its schedule has nothing to fire: its next fire is taken from the index.
  if (schedule === null || compiled === null)
    return { ...base, nextUs: null, executions: [], skipped: [], maxFires: 0 };
  const firesLeft = schedule.maxFires === 0 ? null : Math.max(schedule.maxFires - job.fireCount, 0);
  const plan = missedFires({
    compiled,
    nextFireMs: job.nextFireUs / 1000,
    nowMs: Math.floor(nowUs / 1000),
    policy: schedule.missedFirePolicy,
    catchupWindowMs: schedule.catchupWindowMs,
    missedAfterMs: missedMs,
    firesLeft,
  });
  const last = plan.fires.at(-1);
  const atLimit = firesLeft !== null && last !== undefined && plan.fires.length >= firesLeft;
  const nextMs = atLimit ? compiled.next(last.nominalMs) : plan.nextFireMs;
  const nextUs = nextMs === null ? null : nextMs * 1000;
  if (plan.fires.length === 0 && plan.skipped.length === 0 && nextUs === job.nextFireUs) return null;
  return {
    ...base,
    nextUs,
    executions: plan.fires.map((planned) => execution(job, schedule, planned, traceOf)),
    skipped: plan.skipped.map((skipped) => ({
      execution: execution(job, schedule, skipped, traceOf),
      reason: skipped.reason,
      message: skipWords[skipped.reason],
    })),
    maxFires: schedule.maxFires,
  };
}

/** Rule 9: the one execution that a nominal time can have. */
function execution(job: Job, schedule: Schedule, planned: PlannedTime, traceOf: TraceOfFire): NewExecution {
  const { nominalMs, mergedCount, mergedUntilMs } = planned;
  const overlap = schedule.overlapPolicy;
  const executionId = fireExecutionId(job.jobUid, nominalMs, 0);
  const trace = traceOf(executionId);
  return {
    executionId,
    namespace: job.namespace,
    jobId: job.jobId,
    jobUid: job.jobUid,
    jobRevision: job.revision,
    name: job.name,
    cause: "SCHEDULE",
    target: job.target,
    policy: job.policy,
    labels: job.labels,
    parameters: job.parameters ?? null,
    routeId: routeIdOf(routeText(routeOf(job))),
    scheduledUs: nominalMs * 1000,
    readyUs: (nominalMs + jitterOf(job.jobUid, nominalMs, schedule.jitterMs)) * 1000,
    gateKeys: jobGateKeys(job, overlap),
    overlap,
    mergedCount,
    mergedUntilUs: mergedUntilMs === null ? null : mergedUntilMs * 1000,
    traceparent: trace.traceparent,
    tracestate: trace.tracestate ?? "",
  };
}
