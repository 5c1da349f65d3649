import assert from "node:assert/strict";
import { type Execution, ExecutionView } from "../../../gen/jobmesh/v1/execution.ts";
import {
  type DeepPartial,
  ListExecutionsRequest,
  SubmitExecutionRequest,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import type { Job } from "../../../gen/jobmesh/v1/job.ts";
import {
  CreateJobRequest,
  ListJobsRequest,
  RunJobRequest,
  UpdateJobRequest,
} from "../../../gen/jobmesh/v1/job_service.ts";
import type { MeshClient } from "../../../services/client/mesh-client.ts";
import { command } from "../../../services/client/targets.ts";

/** A job as a test gives it. */
export type JobInput = DeepPartial<Job>;
/** A submission as a test gives it. */
export type SubmissionInput = DeepPartial<SubmitExecutionRequest>;

/** Calls that most tests make, with what they leave out filled in. */
export function testCalls(client: MeshClient) {
  return {
    /** Stores a job; what is not given is a command without a schedule. */
    createJob: async (job: JobInput = {}, requestId = ""): Promise<Job> => {
      const request = CreateJobRequest.fromPartial({ job: { target: command("true"), ...job }, requestId });
      const answer = await client.jobs.createJob(request);
      assert.ok(answer.job);
      return answer.job;
    },
    updateJob: async (job: JobInput, updateMask: readonly string[] = [], more = {}): Promise<Job> => {
      const request = UpdateJobRequest.fromPartial({ job, updateMask: [...updateMask], ...more });
      const answer = await client.jobs.updateJob(request);
      assert.ok(answer.job);
      return answer.job;
    },
    getJob: async (jobId: string): Promise<Job | undefined> => (await client.jobs.getJob({ namespace: "", jobId })).job,
    listJobs: (request: DeepPartial<ListJobsRequest> = {}) =>
      client.jobs.listJobs(ListJobsRequest.fromPartial(request)),
    runJob: async (request: DeepPartial<RunJobRequest>): Promise<Execution> => {
      const { execution } = await client.jobs.runJob(RunJobRequest.fromPartial(request));
      assert.ok(execution);
      return execution;
    },
    submit: (submission: SubmissionInput = {}): Promise<Execution> =>
      client.submit(SubmitExecutionRequest.fromPartial({ target: command("true"), ...submission })),
    get: async (
      executionId: string,
      view: ExecutionView = ExecutionView.EXECUTION_VIEW_UNSPECIFIED,
    ): Promise<Execution> => {
      const request = { executionId, view, waitUntilEnded: false };
      const { execution } = await client.executions.getExecution(request);
      assert.ok(execution);
      return execution;
    },
    list: (request: DeepPartial<ListExecutionsRequest> = {}) =>
      client.executions.listExecutions(ListExecutionsRequest.fromPartial(request)),
    /** Executions that are stored in the default namespace. */
    storedCount: async (): Promise<number> => {
      const { counts } = await client.executions.countExecutions({ filter: undefined });
      return counts.reduce((sum, { count }) => sum + Number(count), 0);
    },
  };
}
