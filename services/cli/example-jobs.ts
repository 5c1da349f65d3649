import { Job } from "../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest, JobServiceService } from "../../gen/jobmesh/v1/job_service.ts";
import { command } from "../client/targets.ts";
import { assert } from "../common/domain/assert.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { CallContext, Handlers } from "../common/rpc/contract.ts";
import { timestampOfUs } from "../common/wire/time.ts";
import type { Served } from "../scheduler/served.ts";

/** Time to the first fire of the examples: they are seen at once, and as what they are, schedules. */
const FIRST_FIRE_MS = 1_000;
const INTERVAL_SECONDS = 10n;

/**
 * Two jobs to look at in a new data folder, made by the API like any others:
 * one that runs once and one that runs every ten seconds. The API is called
 * inside the process, which has no certificate that its own listener trusts.
 *
 * @param services of the scheduler in this process
 * @param nowUs mesh time
 */
export async function createExampleJobs(services: readonly Served[], nowUs: number): Promise<void> {
  const jobs = services.find(({ definition }) => definition === JobServiceService);
  assert(jobs !== undefined, "a scheduler serves jobs");
  const { createJob } = jobs.handlers as Handlers<typeof JobServiceService>;
  const firstTime = timestampOfUs(nowUs + FIRST_FIRE_MS * 1000);
  const hello = Job.fromPartial({
    jobId: "example-hello",
    description: "Runs once, soon after the first start.",
    target: command('echo "hello from $(uname -sm), attempt $JOBMESH_ATTEMPT"'),
    schedule: { when: { $case: "at", value: firstTime } },
  });
  const disk = Job.fromPartial({
    jobId: "example-disk",
    description: "Shows every ten seconds how full the disk is.",
    target: command('df -Pk . | awk \'NR == 2 { print $5 " of " $6 " used" }\''),
    schedule: {
      when: { $case: "interval", value: { seconds: INTERVAL_SECONDS, nanos: 0 } },
      startTime: firstTime,
    },
  });
  for (const job of [hello, disk]) {
    try {
      await createJob?.(CreateJobRequest.fromPartial({ job }), ownCall());
    } catch (thrown) {
      unlessThere(thrown);
    }
  }
}

/** A call that comes from nowhere and may take its time. */
function ownCall(): CallContext {
  const never = new AbortController().signal;
  const method = JobServiceService.createJob.path.slice(1);
  const untraced = { traceparent: null, tracestate: null, metadata: () => null };
  return { ...untraced, method, signal: never, stopping: never, deadlineMs: null, peer: "this process" };
}

/** One that an earlier start made before it was cut off stays as it is. */
function unlessThere(thrown: unknown): void {
  if (JobmeshError.from(thrown).reason !== "JOB_EXISTS") throw thrown;
}
