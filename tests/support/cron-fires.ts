import assert from "node:assert/strict";
import type { Execution } from "../../gen/jobmesh/v1/execution.ts";
import { ListExecutionsRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { Job, type Target } from "../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest } from "../../gen/jobmesh/v1/job_service.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { usOfTimestamp } from "../../services/common/wire/time.ts";

/** Creates a job that fires each second. */
export async function createCron(client: MeshClient, jobId: string, target: Target): Promise<void> {
  const job = Job.fromPartial({ jobId, target, schedule: { when: { $case: "cron", value: "* * * * * *" } } });
  await client.jobs.createJob(CreateJobRequest.fromPartial({ job }));
}

/** All executions of a job, over all pages. */
export async function executionsOf(client: MeshClient, jobId: string): Promise<readonly Execution[]> {
  const found: Execution[] = [];
  for (let pageToken = ""; ; ) {
    const request = ListExecutionsRequest.fromPartial({ filter: { jobId }, pageSize: 1_000, pageToken });
    const page = await client.executions.listExecutions(request);
    found.push(...page.executions);
    pageToken = page.nextPageToken;
    if (pageToken === "") return found;
  }
}

/** Checks that a job of every second has one execution for each from the first to the last; answers how many. */
export async function checkEverySecond(client: MeshClient, jobId: string): Promise<number> {
  const seconds = (await executionsOf(client, jobId)).map(nominalSecond).sort((a, b) => a - b);
  for (const [place, second] of seconds.entries()) {
    assert.equal(second, (seconds[0] ?? 0) + place, "a nominal second has no execution, or two");
  }
  return seconds.length;
}

/** The second of Unix time that an execution was fired for. */
export function nominalSecond({ scheduledTime }: Execution): number {
  assert.ok(scheduledTime);
  return usOfTimestamp(scheduledTime) / 1e6;
}
