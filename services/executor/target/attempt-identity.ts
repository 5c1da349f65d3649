import { isoTimeOf } from "../../common/domain/iso-time.ts";
import type { RunningAttempt } from "../running-attempt.ts";

/**
 * Who a call is for (contract, Target), as headers and metadata say it, in the
 * same words as the variables of a command. Labels are not among them: 64 of
 * them are more than servers take.
 */
export function attemptIdentity(
  attempt: Pick<RunningAttempt, "order" | "startUs" | "traceparent">,
): Record<string, string> {
  const { order, traceparent } = attempt;
  return {
    "Jobmesh-Execution-Id": order.key.executionId,
    "Jobmesh-Attempt": String(order.key.attempt),
    "Jobmesh-Max-Attempts": String(order.maxAttempts),
    "Jobmesh-Namespace": order.namespace,
    ...(order.jobId === "" ? {} : { "Jobmesh-Job-Id": order.jobId }),
    "Jobmesh-Scheduled-Time": isoTimeOf(order.scheduledUs),
    "Jobmesh-Deadline": isoTimeOf(attempt.startUs + order.timeoutMs * 1000),
    ...(traceparent === "" ? {} : { traceparent }),
    ...(traceparent === "" || order.tracestate === "" ? {} : { tracestate: order.tracestate }),
  };
}
