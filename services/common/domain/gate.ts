import type { NewExecution } from "./execution.ts";
import type { JobUid } from "./identifier.ts";
import type { ExecutionPolicy } from "./policy.ts";
import type { Schedule } from "./schedule/schedule.ts";

/**
 * Rule 7: the gate of a job. Its executions have it when its schedule has an
 * overlap policy other than ALLOW, when it has a concurrency limit, or when
 * the call that makes them names another policy than ALLOW; all others have
 * none, and no statement of their life touches gates.
 */
export function jobGateKeys(
  job: { readonly jobUid: JobUid; readonly schedule: Schedule | null; readonly policy: ExecutionPolicy },
  overlap: NewExecution["overlap"],
): readonly string[] {
  const guarded = job.schedule !== null && job.schedule.overlapPolicy !== "ALLOW";
  return guarded || job.policy.maxConcurrency > 0 || overlap !== "ALLOW" ? [`job:${job.jobUid}`] : [];
}
