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

/** What is left of jobs and executions that are gone, in the order in which it is swept. */
export const LEFTOVER_KINDS = ["gates", "revisions", "descriptors", "routes"] as const;
/**
 * Gates of deleted jobs, revisions of jobs that no execution names, descriptors that newer ones have replaced, routes
 * that are pinned to executors that are gone.
 */
export type LeftoverKind = (typeof LEFTOVER_KINDS)[number];

/** What one page of a sweep of leftovers did, and where the next one begins; null when it was the last. */
export type LeftoverSweep = { readonly deleted: number; readonly place: string | null };

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
  /**
   * Deletes what of a kind nobody has used since a time, among the next 100 rows after `after`. What may yet be needed
   * is kept: a gate that is held, waited at or will be, a revision of whose time an execution is there, the latest
   * descriptors of a method and those that an executor has, a route on which something waits or whose executor has an
   * incarnation that is kept.
   */
  deleteLeftovers(kind: LeftoverKind, unusedSinceUs: number, after: string | null): Promise<LeftoverSweep>;
  /**
   * Mends what lists find the next 250 executions after `after` by, where an older version has stored, ended or deleted
   * some beside this one; answers where the next call begins, null when these were the last.
   */
  relist(after: ExecutionId | null): Promise<ExecutionId | null>;
}
