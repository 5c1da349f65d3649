import { Job } from "../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest } from "../../gen/jobmesh/v1/job_service.ts";
import { MeshClient } from "../client/mesh-client.ts";
import { command } from "../client/targets.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import { timestampOfUs } from "../common/wire/time.ts";

/** Time to the first fire of the examples: they are seen at once, and as what they are, schedules. */
const FIRST_FIRE_MS = 1_000;
const INTERVAL_SECONDS = 10n;

/**
 * Two jobs to look at in a new data folder, made by the API like any others:
 * one that runs once and one that runs every ten seconds.
 *
 * @param address of the mesh
 * @param nowUs mesh time
 */
export async function createExampleJobs(address: string, nowUs: number): Promise<void> {
  const client = new MeshClient({ target: address });
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
  try {
    for (const job of [hello, disk]) {
      await client.jobs.createJob(CreateJobRequest.fromPartial({ job })).catch(unlessThere);
    }
  } finally {
    client.close();
  }
}

/** One that an earlier start made before it was cut off stays as it is. */
function unlessThere(thrown: unknown): void {
  if (JobmeshError.from(thrown).reason !== "JOB_EXISTS") throw thrown;
}
