import type { Job as JobMessage } from "../../../gen/jobmesh/v1/job.ts";
import type { Job } from "../domain/job.ts";
import { policyToMessage } from "./policy.ts";
import { scheduleToMessage } from "./schedule.ts";
import { targetToMessage } from "./target.ts";
import { optionalTimestamp, timestampOfUs } from "./time.ts";

/** A stored job as the contract shows it. */
export function jobToMessage(job: Job): JobMessage {
  return {
    namespace: job.namespace,
    jobId: job.jobId,
    name: job.name,
    description: job.description,
    labels: { ...job.labels },
    target: targetToMessage(job.target),
    schedule: job.schedule === null ? undefined : scheduleToMessage(job.schedule),
    policy: policyToMessage(job.policy),
    paused: job.paused,
    pauseReason: job.pauseReason,
    revision: BigInt(job.revision),
    createTime: timestampOfUs(job.createUs),
    updateTime: timestampOfUs(job.updateUs),
    nextFireTime: job.paused ? undefined : optionalTimestamp(job.nextFireUs),
    lastFireTime: optionalTimestamp(job.lastFireUs),
    parameters: { ...job.parameters },
    uid: job.jobUid,
    health: undefined,
  };
}
