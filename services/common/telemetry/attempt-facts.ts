import type { AttemptKey } from "../domain/identifier.ts";
import { traceIdOf } from "./traceparent.ts";

/** What of an attempt its log lines name; a DispatchOrder is one. */
export type LoggedAttempt = {
  readonly key: Pick<AttemptKey, "executionId" | "attempt">;
  readonly executorId: string;
  readonly jobId: string;
  readonly traceparent: string;
};

/** Fields of a log line that speaks of an attempt: who it is, and never what it was given. */
export function attemptFacts({
  key,
  executorId,
  jobId,
  traceparent,
}: LoggedAttempt): Readonly<Record<string, unknown>> {
  const { executionId, attempt } = key;
  return { executionId, attempt, executorId, jobId, traceId: traceIdOf(traceparent) };
}
