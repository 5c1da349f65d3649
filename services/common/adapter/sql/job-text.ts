import type { Job } from "../../domain/job.ts";
import { defaultPolicy, type ExecutionPolicy } from "../../domain/policy.ts";
import { type Schedule, scheduleDefaults } from "../../domain/schedule/schedule.ts";

/** The JSON columns of a job. What a stored text lacks is read as its default, so that fields can be added. */

/** A policy as JSON; "" for the default one. */
export function jobPolicyText(policy: ExecutionPolicy): string {
  const text = JSON.stringify(policy);
  return text === JSON.stringify(defaultPolicy) ? "" : text;
}

/** The policy that the column stands for. */
export function parseJobPolicy(text: string): ExecutionPolicy {
  if (text === "") return defaultPolicy;
  return wholePolicy(JSON.parse(text) as ExecutionPolicy);
}

/** A stored policy with the fields that came after it was stored. */
function wholePolicy(stored: ExecutionPolicy): ExecutionPolicy {
  return { ...defaultPolicy, ...stored, retry: { ...defaultPolicy.retry, ...stored.retry } };
}

/** A schedule as JSON, NULL for none; in the order of its fields' names, so that equal ones have the same text. */
export function scheduleText(schedule: Schedule | null): string | null {
  if (schedule === null) return null;
  return JSON.stringify(Object.fromEntries(Object.entries(schedule).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** The schedule that the column stands for. */
export function parseSchedule(text: string | null): Schedule | null {
  return text === null ? null : { ...scheduleDefaults, ...(JSON.parse(text) as Schedule) };
}

/** A whole job as JSON, for job_revisions; the target's bytes in base64. */
export function jobText(job: Job): string {
  return JSON.stringify({ ...job, target: { ...job.target, bytes: Buffer.from(job.target.bytes).toString("base64") } });
}

/** The job that a text of job_revisions stands for. */
export function parseJob(text: string): Job {
  const job = JSON.parse(text) as Job & { readonly target: { readonly bytes: string } };
  const target = { ...job.target, bytes: Buffer.from(job.target.bytes, "base64") };
  return { ...job, target, policy: wholePolicy(job.policy) };
}
