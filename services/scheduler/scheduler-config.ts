import type { ExecutorId, SchedulerId } from "../common/domain/identifier.ts";

/** Settings of a Scheduler: the values of docs/guarantees.md. Times in milliseconds. */
export type SchedulerSettings = {
  readonly schedulerId: SchedulerId;
  readonly version: string;
  /** Between heartbeats of executors, and between reads of the rescuer. */
  readonly heartbeatMs: number;
  /** Silence after which an executor gets no new work. */
  readonly suspectMs: number;
  /** Lease of executors and schedulers in the registry. */
  readonly leaseMs: number;
  /** Lease of executors that keep no key in the registry. */
  readonly sessionLeaseMs: number;
  /** Silence, with the lease gone, after which an executor is lost; over the lease, so that one cut off has stopped. */
  readonly lossMs: number;
  readonly killGraceMs: number;
  readonly reportDelayMs: number;
  /** Between sweeps for READY work, stops and waiters at gates. */
  readonly sweepMs: number;
  readonly lookAheadMs: number;
  /** How long before its time a fire is sent to be held. */
  readonly aheadMs: number;
  readonly missedMs: number;
  readonly backstopMs: number;
  readonly resultBackstopMs: number;
  readonly resultBatchRows: number;
  readonly submitGroupRows: number;
  readonly submitGroupBytes: number;
  /** READY executions at which submissions are refused. */
  readonly maxWaitingExecutions: number;
  readonly claimRows: number;
  readonly lossBusWaitMs: number;
  /** How long ended executions are kept whose policy says nothing of it. */
  readonly retentionMs: number;
  /** Changes of executions are written to execution.v1 (rule 34). */
  readonly executionEvents: boolean;
  /** The executor inside this process (rule 14); null when there is none. */
  readonly embeddedExecutor: ExecutorId | null;
};
