import type { Execution, NewExecution, StateReason } from "../domain/execution.ts";
import type { HeldFire } from "../domain/held-fire.ts";
import type { ExecutionId, JobUid } from "../domain/identifier.ts";
import type { Job, JobSpec } from "../domain/job.ts";
import type { Page } from "./store.ts";
import type { ClaimedSlot, RequestClaim } from "./store-executions.ts";

/** A job to be stored. */
export type NewJob = JobSpec & {
  readonly jobUid: JobUid;
  readonly shard: number;
  /** First nominal time; null when there is none. */
  readonly nextFireUs: number | null;
  /** The creation that `nextFireUs` was computed from: an interval is counted from it. The store's now when unset. */
  readonly createUs?: number;
};

/** Outcome of JobStore.create. */
export type CreateOutcome =
  | { readonly kind: "created"; readonly job: Job }
  /** The same request_id with the same body made this job before. */
  | { readonly kind: "repeated"; readonly job: Job }
  /** The same request_id came with another body. */
  | { readonly kind: "request_reused" }
  | { readonly kind: "exists" };

/** Outcome of a change to a stored job. */
export type ChangeOutcome =
  | {
      readonly kind: "changed";
      readonly job: Job;
      /** Rule 11: its fire that was held, and is called back by a stop of the same transaction. */
      readonly held?: HeldFire;
    }
  | { readonly kind: "not_found" }
  /** `revision` was given and is not the stored one. */
  | { readonly kind: "revision_mismatch"; readonly revision: number };

/** Which jobs a list shows. */
export type JobFilter = {
  /** null means all. */
  readonly namespace: string | null;
  readonly jobIdPrefix: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly paused: boolean | null;
  readonly handlerMethod: string;
};

/** One fire of a job's schedule, made in one transaction that is compared with the job (rule 9). */
export type Fire = {
  readonly jobUid: JobUid;
  /** The job's, as the timer read it. */
  readonly revision: number;
  /** The job's next_fire_time, as the timer read it. */
  readonly nominalUs: number;
  /** The next one; null when the schedule has ended. */
  readonly nextUs: number | null;
  /** Executions to make, oldest first. */
  readonly executions: readonly NewExecution[];
  /** Executions to record as SKIPPED. */
  readonly skipped: readonly SkippedFire[];
  /** The schedule ends, whatever `nextUs` is, when fire_count reaches this by the fire; 0 or unset means no limit. */
  readonly maxFires?: number;
  /**
   * Rule 11: the slot of a fire of one execution that comes ahead of its time, which is stored as DISPATCHED for it
   * then, or not at all. At its time, and without gates, it is dispatched to the slot as well. Unset: none is free.
   */
  readonly slot?: ClaimedSlot | null;
};

/** A fire that is recorded and does not run. */
export type SkippedFire = { readonly execution: NewExecution; readonly reason: StateReason; readonly message: string };

/** Outcome of JobStore.fire. */
export type FireOutcome =
  /** `readyIds` are claimable now; `skippedIds` were refused by the overlap policy; `dispatched` has the fire's slot. */
  | {
      readonly kind: "fired";
      readonly readyIds: readonly ExecutionId[];
      readonly skippedIds: readonly ExecutionId[];
      readonly dispatched?: Execution;
    }
  /** Its time has not come, and its gates have no room now or its slot is no more: nothing is stored. */
  | { readonly kind: "early" }
  /** The job has changed, is paused, or another owner was first: drop it and read the job again. */
  | { readonly kind: "stale" }
  /** The store refuses it for good; the others of the group are stored. */
  | { readonly kind: "refused"; readonly message: string };

/** Jobs, and the fires of their schedules. */
export interface JobStore {
  /** Stores a job, or finds what the request made before. With `validateOnly` it answers the same and stores nothing. */
  create(job: NewJob, request: RequestClaim | null, validateOnly?: boolean): Promise<CreateOutcome>;
  get(namespace: string, jobId: string): Promise<Job | null>;
  getByUid(jobUid: JobUid): Promise<Job | null>;
  /** In order of namespace and job_id. */
  list(filter: JobFilter, pageSize: number, pageToken: string | null): Promise<Page<Job>>;
  /**
   * Replaces a job's spec and next fire. "kept" is the next fire as it stands
   * at the commit: the job may have fired, or been resumed, since it was read.
   * `revision` null means whatever is stored. Raises the revision and keeps the
   * old one in job_revisions. With `validateOnly` it answers the same and
   * stores nothing.
   */
  update(
    spec: JobSpec,
    nextFireUs: number | "kept" | null,
    revision: number | null,
    validateOnly?: boolean,
  ): Promise<ChangeOutcome>;
  /**
   * Pauses: nothing of its schedule fires from the commit on. Pausing a paused job changes the reason only. As update
   * and delete it sets a stop on a fire that is held (rule 11).
   */
  pause(namespace: string, jobId: string, reason: string): Promise<ChangeOutcome>;
  /** Resumes with the first nominal time that is not past, which the caller computed from the job of that revision. */
  resume(namespace: string, jobId: string, revision: number, nextFireUs: number | null): Promise<ChangeOutcome>;
  /** Removes the job; its executions and history stay. */
  delete(namespace: string, jobId: string, revision: number | null): Promise<ChangeOutcome>;
  /** Jobs of these shards with a next fire not after `untilUs`, earliest first. By index. */
  due(shards: readonly number[], untilUs: number, limit: number): Promise<readonly Job[]>;
  /**
   * Rules 7 and 9: begins with the compared move of next_fire_time; inserts
   * each execution with a no-op where its id exists; fire_count grows by the
   * inserted that are not SKIPPED. A job gate (overlap SKIP) is decided here.
   */
  fire(fire: Fire): Promise<FireOutcome>;
  /** Fires that fall due together, in one transaction, each compared with its job; answers for each in order. */
  fireAll(fires: readonly Fire[]): Promise<readonly FireOutcome[]>;
}
