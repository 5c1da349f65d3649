import type { SubmissionInput } from "./calls.ts";

/** A submission with a policy. */
export function policy(value: NonNullable<SubmissionInput["policy"]>): SubmissionInput {
  return { policy: value };
}

/** A submission with a retry policy. */
export function retry(value: NonNullable<NonNullable<SubmissionInput["policy"]>["retry"]>): SubmissionInput {
  return { policy: { retry: value } };
}

/** A submission that wants an executor with labels. */
export function routing(executorLabels: Record<string, string>): SubmissionInput {
  return { policy: { routing: { executorLabels } } };
}
