import type { ActiveSpan, Attributes, Tracing } from "../common/telemetry/tracing.ts";
import type { Way } from "./held-attempts.ts";
import type { RunningAttempt } from "./running-attempt.ts";
import type { AttemptEnding } from "./target-runner.ts";

const FROM_KAFKA: Attributes = { "messaging.system": "kafka", "messaging.operation.type": "process" };

/** The span of an attempt's run, which what it calls continues; null where its trace is not exported. */
export function startRunSpan(tracing: Tracing, attempt: RunningAttempt, way: Way): ActiveSpan | null {
  const { order } = attempt;
  if (!tracing.records(order.traceparent)) return null;
  const span = tracing.startSpan("jobmesh.run", {
    parent: order.traceparent,
    tracestate: order.tracestate,
    kind: "consumer",
    startUs: attempt.startUs,
    attributes: {
      ...(way === "lane" ? FROM_KAFKA : {}),
      ...(order.jobId === "" ? {} : { "jobmesh.job_id": order.jobId }),
      ...(order.target.kind === "handler" ? { "jobmesh.handler": order.target.method } : {}),
      "jobmesh.namespace": order.namespace,
      "jobmesh.execution_id": order.key.executionId,
      "jobmesh.attempt": order.key.attempt,
      "jobmesh.executor_id": order.executorId,
      "jobmesh.target": order.target.kind,
    },
  });
  attempt.traceparent = span.traceparent;
  return span;
}

/** A failure is told by its code and reason: its message may hold what the target was given. */
export function endRunSpan(span: ActiveSpan, { outcome, endUs }: AttemptEnding): void {
  span.set({ "jobmesh.state": outcome.kind.toUpperCase() });
  if (!("failure" in outcome)) return span.end({ endUs });
  span.set({ "jobmesh.reason": outcome.failure.reason });
  span.end({ endUs, error: outcome.failure.reason });
}
