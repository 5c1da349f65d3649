import type { RunningAttempt } from "../running-attempt.ts";
import { attemptIdentity } from "./attempt-identity.ts";

/**
 * Metadata of an attempt's call: what its target gives, and over it who the
 * call is for. The API refuses a target that names one of these itself.
 */
export function grpcMetadata(
  attempt: Pick<RunningAttempt, "order" | "startUs" | "traceparent">,
  given: Readonly<Record<string, string>>,
): Record<string, string> {
  const own = Object.entries(attemptIdentity(attempt)).map(([name, value]) => [name.toLowerCase(), value]);
  // Equal over all attempts.
  return { ...given, ...Object.fromEntries(own), "jobmesh-idempotency-key": attempt.order.key.executionId };
}
