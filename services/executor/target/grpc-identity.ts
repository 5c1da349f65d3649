import type { RunningAttempt } from "../running-attempt.ts";

/**
 * Metadata of an attempt's call: what its target gives, and over it who the
 * call is for, in the same words as the variables of a command. The API refuses
 * a target that names one of these itself. Labels are left out: a server may
 * take no more than 8 KiB of metadata.
 */
export function grpcMetadata(
  attempt: Pick<RunningAttempt, "order" | "startUs" | "traceparent">,
  given: Readonly<Record<string, string>>,
): Record<string, string> {
  const { order, traceparent } = attempt;
  return {
    ...given,
    "jobmesh-execution-id": order.key.executionId,
    "jobmesh-attempt": String(order.key.attempt),
    "jobmesh-max-attempts": String(order.maxAttempts),
    "jobmesh-namespace": order.namespace,
    ...(order.jobId === "" ? {} : { "jobmesh-job-id": order.jobId }),
    "jobmesh-scheduled-time": isoTime(order.scheduledUs / 1000),
    "jobmesh-deadline": isoTime(attempt.startUs / 1000 + order.timeoutMs),
    // Equal over all attempts.
    "jobmesh-idempotency-key": order.key.executionId,
    ...(traceparent === "" ? {} : { traceparent }),
    ...(order.tracestate === "" ? {} : { tracestate: order.tracestate }),
  };
}

function isoTime(ms: number): string {
  return new Date(Math.floor(ms)).toISOString();
}
