import type { Cause, NewExecution } from "../../common/domain/execution.ts";
import { randomExecutionId } from "../../common/domain/execution-id.ts";
import type { Job } from "../../common/domain/job.ts";
import type { ExecutionPolicy } from "../../common/domain/policy.ts";
import { routeIdOf, routeOf, routeText } from "../../common/domain/route.ts";
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
    routeId: routeIdOf(routeText(routeOf(draft))),
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
