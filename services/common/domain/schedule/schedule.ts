/** What happens to a fixed local time that a clock change skips. */
export type DstGapPolicy = "FIRE_AFTER" | "SKIP";

/** What happens to a fixed local time that a clock change repeats. */
export type DstOverlapPolicy = "FIRST" | "SECOND" | "BOTH";

/** What happens to fires inside the catch-up window that were not made in time. */
export type MissedFirePolicy = "FIRE_ONCE" | "FIRE_ALL" | "SKIP";

/** What happens to an execution that becomes ready while an earlier one of the job has not ended. */
export type OverlapPolicy = "SKIP" | "ALLOW" | "QUEUE_ONE" | "QUEUE_ALL" | "CANCEL_RUNNING";

/** The rule by which nominal times follow each other. */
export type ScheduleRule =
  /** Cron expressions of the UNIX dialect; they fire at the instants of all, each instant once. */
  | { readonly kind: "cron"; readonly expressions: readonly string[] }
  /** Every `intervalMs`, counted from `startMs` or from the job's creation. */
  | { readonly kind: "interval"; readonly intervalMs: number }
  /** One instant. */
  | { readonly kind: "at"; readonly atMs: number };

/** Schedule says when a job fires. Nominal times are whole milliseconds since the Unix epoch. */
export type Schedule = {
  readonly when: ScheduleRule;
  /** IANA name of the zone that cron expressions are read in. */
  readonly timeZone: string;
  readonly dstGapPolicy: DstGapPolicy;
  readonly dstOverlapPolicy: DstOverlapPolicy;
  /** No fire before this instant; null means no limit. */
  readonly startMs: number | null;
  /** No fire at or after this instant; null means no limit. */
  readonly endMs: number | null;
  /** Each fire is delayed by a fixed pseudo-random part of this. */
  readonly jitterMs: number;
  readonly missedFirePolicy: MissedFirePolicy;
  /** How far back missed fires count. */
  readonly catchupWindowMs: number;
  readonly overlapPolicy: OverlapPolicy;
  /** Ends the schedule after this many executions, skipped ones not counted; 0 means no limit. */
  readonly maxFires: number;
};

/** What the contract says of each field of a schedule that is left unset. */
export const scheduleDefaults: Omit<Schedule, "when"> = {
  timeZone: "UTC",
  dstGapPolicy: "FIRE_AFTER",
  dstOverlapPolicy: "FIRST",
  startMs: null,
  endMs: null,
  jitterMs: 0,
  missedFirePolicy: "FIRE_ONCE",
  catchupWindowMs: 60_000,
  overlapPolicy: "SKIP",
  maxFires: 0,
};

/** Limits of a schedule's values. */
export const scheduleLimits = {
  /** Shortest interval. */
  minIntervalMs: 100,
  /** Longest interval, 10 years of 366 days. */
  maxIntervalMs: 3_660 * 86_400_000,
  /** Expressions in one schedule. */
  maxExpressions: 16,
  /** Characters of one expression. */
  maxExpressionLength: 1_000,
  /** Longest jitter, a day. */
  maxJitterMs: 86_400_000,
  /** Latest instant that a schedule may name: the year 9999, as far as the contract's timestamps go. */
  maxInstantMs: 253_402_300_799_999,
} as const;
