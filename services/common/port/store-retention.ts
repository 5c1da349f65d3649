import type { ExecutionId } from "../domain/identifier.ts";

/** A place among the executions that have ended, in the order of their ends. */
export type EndedPlace = { readonly endedUs: number; readonly executionId: ExecutionId };

/** What one batch of a sweep did. */
export type RetentionSweep = {
  /** Executions deleted, each with its attempts and output. */
  readonly deleted: number;
  /** True when there is more to be done at once. */
  readonly more: boolean;
};

/** What is deleted once it has been kept long enough. Several schedulers at once are harmless. */
export interface RetentionStore {
  /**
   * Deletes executions whose policy has no retention of its own and that ended by a time, with their job_logs and
   * output. Looks at up to `limit` (250 at most) in the order of their ends after `after`; answers where the next look
   * begins. Only what is final is deleted.
   */
  deleteEnded(
    endedByUs: number,
    after: EndedPlace | null,
    limit: number,
  ): Promise<RetentionSweep & { readonly place: EndedPlace | null }>;
  /** The same for up to `limit` (250 at most) whose own retention is over by the store's clock, those first that are over longest. */
  deleteExpired(limit: number): Promise<RetentionSweep>;
}
