/** How failed attempts are tried again. Defaults are the contract's. */
export type RetryPolicy = {
  /** Attempts in all, the first included: 1 to 1,000. */
  readonly maxAttempts: number;
  readonly initialIntervalMs: number;
  readonly multiplier: number;
  readonly maxIntervalMs: number;
  /** Part of each wait, 0 to 1, that is drawn at random. */
  readonly jitter: number;
  /** Failure reasons that end the execution at once; empty means the contract's default list. */
  readonly nonRetryableReasons: readonly string[];
  /** No retry begins later than this after the first attempt, milliseconds; null means no limit. */
  readonly maxDurationMs: number | null;
};

/** What happens when the executor of a running attempt is lost. */
export type LostPolicy = "RETRY" | "FAIL";

/** How an executor is chosen among those that match: by room, or each in turn (rule 32). */
export type RoutingStrategy = "LEAST_LOADED" | "ROUND_ROBIN";

/** How an execution is placed, limited and retried. */
export type ExecutionPolicy = {
  /** -1,000 to 1,000, higher first. */
  readonly priority: number;
  /** Limit of one attempt in milliseconds. */
  readonly timeoutMs: number;
  /** An execution of which nothing has started within this of its ready time is EXPIRED, milliseconds; null means never. */
  readonly startDeadlineMs: number | null;
  readonly retry: RetryPolicy;
  readonly lostPolicy: LostPolicy;
  /** Losses of executors after which the execution is LOST whatever the lost policy says. */
  readonly maxLosses: number;
  /** At most this many executions of the job run at once; 0 means no limit. */
  readonly maxConcurrency: number;
  /** How long it is kept after its end, milliseconds; null means as long as the server keeps others. */
  readonly retentionMs: number | null;
  /** The same where it did not succeed; null means `retentionMs`. */
  readonly failedRetentionMs: number | null;
  /** Labels that the executor must carry. */
  readonly executorLabels: Readonly<Record<string, string>>;
  readonly routingStrategy: RoutingStrategy;
};

/** What an unset policy means. */
export const defaultPolicy: ExecutionPolicy = {
  priority: 0,
  timeoutMs: 3_600_000,
  startDeadlineMs: null,
  retry: {
    maxAttempts: 1,
    initialIntervalMs: 1_000,
    multiplier: 1,
    maxIntervalMs: 3_600_000,
    jitter: 0,
    nonRetryableReasons: [],
    maxDurationMs: null,
  },
  lostPolicy: "RETRY",
  maxLosses: 3,
  maxConcurrency: 0,
  retentionMs: null,
  failedRetentionMs: null,
  executorLabels: {},
  routingStrategy: "LEAST_LOADED",
};

/** Place in the claim order of a priority: ascending, so that 1,000 comes first (rule 6). */
export function claimRank(priority: number): number {
  return 1_000 - priority;
}
