import type { Cause, NewExecution } from "../../common/domain/execution.ts";
import { randomExecutionId } from "../../common/domain/execution-id.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import type { Job } from "../../common/domain/job.ts";
import type { Parameters } from "../../common/domain/parameter.ts";
import type { ExecutionPolicy } from "../../common/domain/policy.ts";
import { routeIdOf, routeOf, routeText } from "../../common/domain/route.ts";
import type { Target } from "../../common/domain/target.ts";
import type { Random } from "../../common/port/random.ts";
import type { MeshClock } from "../mesh-clock.ts";

/** What a caller decides of an execution. */
export type ExecutionDraft = {
  readonly namespace: string;
  readonly job: Pick<Job, "jobId" | "jobUid" | "revision"> | null;
  readonly name: string;
  readonly cause: Cause;
  readonly target: Target;
  readonly policy: ExecutionPolicy;
  readonly labels: Readonly<Record<string, string>>;
  readonly parameters: Parameters;
  /** null means now. */
  readonly scheduledUs: number | null;
  readonly gateKeys: readonly string[];
  readonly overlap: NewExecution["overlap"];
  readonly retryOf?: ExecutionId;
  readonly traceparent: string;
  readonly tracestate: string;
};

/**
 * Makes an execution with a new identifier. One that is wanted now, or whose
 * time is past, is ready by as much earlier as mesh time is uncertain: by the
 * store's clock, which is the one that is compared, it then is ready and not
 * waiting for its time. No scheduled time makes it ready before it was there:
 * it would stand before all that waits already.
 */
export function newExecution(draft: ExecutionDraft, meshClock: MeshClock, random: Random): NewExecution {
  const nowUs = meshClock.nowUs();
  const readyNowUs = nowUs - Math.ceil(meshClock.uncertaintyUs());
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
    parameters: draft.parameters,
    routeId: routeIdOf(routeText(routeOf(draft))),
    scheduledUs: scheduledMs * 1000,
    readyUs: Math.max(draft.scheduledUs ?? readyNowUs, readyNowUs),
    gateKeys: draft.gateKeys,
    overlap: draft.overlap,
    mergedCount: 0,
    mergedUntilUs: null,
    retryOf: draft.retryOf ?? null,
    traceparent: draft.traceparent,
    tracestate: draft.tracestate,
  };
}
