import type { DescriptorStore } from "./store-descriptors.ts";
import type { ExecutionStore } from "./store-executions.ts";
import type { ExecutorStore } from "./store-executors.ts";
import type { FeedStore } from "./store-feed.ts";
import type { JobStore } from "./store-jobs.ts";
import type { OffsetStore } from "./store-offsets.ts";
import type { OutputStore } from "./store-output.ts";
import type { RetentionStore } from "./store-retention.ts";
import type { RouteStore } from "./store-routes.ts";

/**
 * Store is the truth: MySQL or SQLite. Every change of state is a
 * compare-and-set in one transaction, so that two schedulers at once are
 * harmless. Order of locks in every transaction (rule 1): result_offsets,
 * executors, requests, jobs, gates by key, executions by id, job_logs.
 *
 * Errors of every call: StoreUnavailable when the store cannot be reached or
 * did not answer in time, which says nothing about whether a write happened;
 * a deadlock is run again inside the adapter. Times are microseconds of mesh
 * time, which is the store's clock (rule 12): the adapter reads it inside the
 * transaction where a time is stored.
 */
export interface Store {
  readonly kind: "mysql" | "sqlite";
  readonly jobs: JobStore;
  readonly executions: ExecutionStore;
  readonly executors: ExecutorStore;
  readonly routes: RouteStore;
  readonly offsets: OffsetStore;
  readonly output: OutputStore;
  readonly descriptors: DescriptorStore;
  readonly retention: RetentionStore;
  readonly feed: FeedStore;
  /** Connects, migrates the schema behind a lock. Throws StoreTooNew when a newer version wrote the data. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The store's clock in microseconds. Fails fast (1 s) when the store is away. */
  nowUs(): Promise<number>;
  /** Sampled counts for GetMeshStatus (rule 8): cheap, a few seconds old at most. */
  counts(): Promise<StoreCounts>;
}

/** Sampled counts of the mesh. */
export type StoreCounts = {
  readonly jobs: number;
  readonly scheduled: number;
  readonly ready: number;
  readonly running: number;
  /** When the READY execution that waits longest became ready; null when none waits. */
  readonly oldestReadyUs: number | null;
};

/** The store cannot be reached, or did not answer in time. A write may or may not have happened. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** The data folder or database was written by a newer version of jobmesh. */
export class StoreTooNew extends Error {
  override readonly name = "StoreTooNew";
}

/** Another process has the data folder open. */
export class StoreInUse extends Error {
  override readonly name = "StoreInUse";
}

/** A page of a list: an opaque token of the adapter's names the next one, null on the last page. */
export type Page<T> = { readonly items: readonly T[]; readonly nextToken: string | null };

/** A page token that this store did not give. */
export class PageTokenFault extends Error {
  override readonly name = "PageTokenFault";
}
