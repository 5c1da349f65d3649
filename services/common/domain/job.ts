import type { JobUid } from "./identifier.ts";
import type { Parameters } from "./parameter.ts";
import type { ExecutionPolicy } from "./policy.ts";
import type { Schedule } from "./schedule/schedule.ts";
import type { Target } from "./target.ts";

/** What a caller gives of a job. */
export type JobSpec = {
  readonly namespace: string;
  readonly jobId: string;
  readonly name: string;
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly target: Target;
  /** Values for the target's templates, unless RunJob gives others. */
  readonly parameters?: Parameters;
  /** null means only on demand. */
  readonly schedule: Schedule | null;
  readonly policy: ExecutionPolicy;
};

/** Job is a definition: what to run, when, and under which policies. Times in microseconds, mesh time. */
export type Job = JobSpec & {
  readonly jobUid: JobUid;
  readonly paused: boolean;
  readonly pauseReason: string;
  /** Counts changes, from 1. */
  readonly revision: number;
  readonly createUs: number;
  readonly updateUs: number;
  /** null when there is none. */
  readonly nextFireUs: number | null;
  readonly lastFireUs: number | null;
  /** Executions that the schedule made, skipped ones not counted. */
  readonly fireCount: number;
  /** Timer shard, 0 to 255. */
  readonly shard: number;
};

/** The timers are cut into this many shards. */
export const SHARD_COUNT = 256;
