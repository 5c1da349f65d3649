import type { AttemptKey, ExecutorId, Incarnation } from "./identifier.ts";
import type { Target } from "./target.ts";

/** DispatchOrder is one attempt for one executor, as it travels by Kafka or down the session. */
export type DispatchOrder = {
  readonly key: AttemptKey;
  readonly executorId: ExecutorId;
  readonly incarnation: Incarnation;
  readonly namespace: string;
  /** Empty when there is no job. */
  readonly jobId: string;
  readonly target: Target;
  readonly timeoutMs: number;
  /** By mesh time, microseconds: it is not started after this, and comes back; null for no limit (rule 24). */
  readonly startDeadlineUs: number | null;
  readonly scheduledUs: number;
  /** By mesh time, microseconds: it is held, and not started before this; null when it may start at once (rule 11). */
  readonly holdUntilUs: number | null;
  readonly maxAttempts: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Values for the target's templates, where there are any. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** The executor's session that it was sent under (rule 20). */
  readonly sessionNumber: number;
  /** Mesh time of the claim, microseconds; the same in every resend (rule 17). */
  readonly dispatchUs: number;
  /** W3C trace context of the dispatch. */
  readonly traceparent: string;
  readonly tracestate: string;
};
