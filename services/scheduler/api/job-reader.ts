import type { Job as JobMessage } from "../../../gen/jobmesh/v1/job.ts";
import type { JobSpec } from "../../common/domain/job.ts";
import type { FieldFaults } from "./field-faults.ts";
import { checkParameters } from "./parameter-check.ts";
import { checkPolicy } from "./policy-check.ts";
import { readSchedule } from "./schedule-check.ts";
import { checkTarget, type PayloadChecks } from "./target-check.ts";

/** Namespace of what names none. */
export const DEFAULT_NAMESPACE = "default";

/**
 * Reads a job as a caller gives it; output-only fields are ignored. Throws
 * INVALID_ARGUMENT with every field at fault.
 *
 * @param assignedId identifier of a job that names none; null makes it required
 */
export async function readJob(
  faults: FieldFaults,
  message: JobMessage | undefined,
  assignedId: string | null,
  checkPayload: PayloadChecks,
): Promise<JobSpec> {
  if (message === undefined) {
    faults.add("job", "is required");
    faults.throwIfAny();
    throw new TypeError("unreachable: a fault was noted");
  }
  const namespace = faults.identifier("job.namespace", message.namespace, DEFAULT_NAMESPACE);
  const jobId = faults.identifier("job.job_id", message.jobId, assignedId);
  const name = faults.text("job.name", message.name === "" ? jobId : message.name, 255);
  const description = faults.text("job.description", message.description, 4_096);
  const labels = faults.labels("job.labels", message.labels);
  const parameters = checkParameters(faults, "job.parameters", message.parameters);
  // A fire has nobody to give what is missing.
  const open = message.schedule === undefined ? "parameters" : "nothing";
  const scope = { labels, parameters, open } as const;
  const target = await checkTarget(faults, "job.target", message.target, checkPayload(namespace), scope);
  const schedule = readSchedule(faults, "job.schedule", message.schedule);
  const policy = checkPolicy(faults, "job.policy", message.policy);
  faults.throwIfAny();
  if (target === null) throw new TypeError("unreachable: a target without a fault is there");
  return { namespace, jobId, name, description, labels, parameters, target, schedule, policy };
}
