import { JobmeshError } from "../../common/error/jobmesh-error.ts";

/** A job as requests name it. */
export type JobName = { readonly namespace: string; readonly jobId: string };

/** NOT_FOUND for a job. */
export function jobNotFound({ namespace, jobId }: JobName): JobmeshError {
  return new JobmeshError("JOB_NOT_FOUND", {
    message: `there is no job ${jobId} in namespace ${namespace}`,
    metadata: { namespace, jobId },
  });
}
