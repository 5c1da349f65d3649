import type { Cause, NewExecution } from "../../common/domain/execution.ts";
import { randomExecutionId } from "../../common/domain/execution-id.ts";
import type { JobUid } from "../../common/domain/identifier.ts";
import type { Job } from "../../common/domain/job.ts";
import type { ExecutionPolicy } from "../../common/domain/policy.ts";
import { routeIdOf, routeText } from "../../common/domain/route.ts";
import type { Target } from "../../common/domain/target.ts";
import type { Random } from "../../common/port/random.ts";

/** What a caller decides of an execution. */
export type ExecutionDraft = {
  readonly namespace: string;
  readonly job: Pick<Job, "jobId" | "jobUid" | "revision"> | null;
  readonly name: string;
  readonly cause: Cause;
  readonly target: Target;
  readonly policy: ExecutionPolicy;
  readonly labels: Readonly<Record<string, string>>;
  /** null means now. */
  readonly scheduledUs: number | null;
  readonly gateKeys: readonly string[];
  readonly overlap: NewExecution["overlap"];
  readonly traceparent: string;
  readonly tracestate: string;
};

/** The text of an execution's route, by which executors are matched. */
export function routeTextOf(draft: Pick<ExecutionDraft, "namespace" | "target" | "policy">): string {
  const { namespace, target, policy } = draft;
  return routeText({ kind: target.kind, method: target.method, namespace, labels: policy.executorLabels, pin: null });
}

/** Makes an execution with a new identifier. `nowUs` is mesh time. */
export function newExecution(draft: ExecutionDraft, nowUs: number, random: Random): NewExecution {
  const scheduledMs = Math.floor((draft.scheduledUs ?? nowUs) / 1000);
  return {
    executionId: randomExecutionId(scheduledMs, random.bytes(10)),
    namespace: draft.namespace,
    jobId: draft.job?.jobId ?? null,
    jobUid: draft.job?.jobUid ?? null,
    jobRevision: draft.job?.revision ?? 0,
    name: draft.name,
    cause: draft.cause,
    target: draft.target,
    policy: draft.policy,
    labels: draft.labels,
    routeId: routeIdOf(routeTextOf(draft)),
    scheduledUs: scheduledMs * 1000,
    readyUs: draft.scheduledUs ?? nowUs,
    gateKeys: draft.gateKeys,
    overlap: draft.overlap,
    mergedCount: 0,
    mergedUntilUs: null,
    traceparent: draft.traceparent,
    tracestate: draft.tracestate,
  };
}

/**
 * Rule 7: the gate of a job. Its executions have it when its schedule has an
 * overlap policy other than ALLOW, when it has a concurrency limit, or when
 * the call names another policy than ALLOW; all others have none.
 */
export function jobGateKeys(
  job: { readonly jobUid: JobUid; readonly schedule: Job["schedule"]; readonly policy: ExecutionPolicy },
  overlap: NewExecution["overlap"],
): readonly string[] {
  const guarded = job.schedule !== null && job.schedule.overlapPolicy !== "ALLOW";
  return guarded || job.policy.maxConcurrency > 0 || overlap !== "ALLOW" ? [`job:${job.jobUid}`] : [];
}
