import type { ExecutionPolicy } from "./policy.ts";
import type { AttemptEnd, Settlement } from "./settle.ts";

/**
 * Rule 24, what waits for its start. An execution has until start_deadline
 * after its ready time to start for the first time; what came back NOT_STARTED
 * has not started. Once an attempt has failed, no other one begins later than
 * retry.max_duration after the first. Both are one limit, by mesh time, of the
 * attempt that comes next: claims pass over what is past it, executors hand it
 * back, and the expirer ends it.
 */

/** When an execution that becomes ready at `readyUs` must have started at the latest, microseconds; null for never. */
export function startDeadlineUs(policy: ExecutionPolicy, readyUs: number): number | null {
  return policy.startDeadlineMs === null ? null : later(readyUs, policy.startDeadlineMs);
}

/** What the limits of an attempt's successor depend on. */
export type StartLimits = {
  readonly policy: ExecutionPolicy;
  /** Of the attempt that ends, by mesh time. */
  readonly dispatchUs: number;
  /** Limit of the attempt that ends; null where it had none, or is known to have started. */
  readonly startDeadlineUs: number | null;
  /** As an earlier attempt's end set it; null before that. */
  readonly giveUpUs: number | null;
};

/** When no retry begins any more: counted from the first attempt that may have started; null for no limit. */
export function giveUpUs({ policy, dispatchUs, giveUpUs: known }: StartLimits, end: AttemptEnd): number | null {
  const { maxDurationMs } = policy.retry;
  if (known !== null || maxDurationMs === null || neverStarted(end)) return known;
  return later(dispatchUs, maxDurationMs);
}

/** When the next attempt must have started at the latest; null when there is none, or it may start at any time. */
export function nextStartDeadlineUs(limits: StartLimits, end: AttemptEnd, next: Settlement): number | null {
  if (next.delayMs === null) return null;
  if (neverStarted(end)) return limits.startDeadlineUs;
  // What was lost or cut off before anything failed runs again by its own rules.
  return next.countedAttempts > 0 ? giveUpUs(limits, end) : null;
}

/** How long an execution that ended is kept, milliseconds; null leaves it to the server. */
export function ownRetentionMs(policy: ExecutionPolicy, succeeded: boolean): number | null {
  return succeeded ? policy.retentionMs : (policy.failedRetentionMs ?? policy.retentionMs);
}

function neverStarted(end: AttemptEnd): boolean {
  return end.kind === "returned" && end.reason === "NOT_STARTED";
}

/** Times stay exact as numbers, also in the year 2255. */
function later(us: number, ms: number): number {
  return Math.min(us + ms * 1_000, Number.MAX_SAFE_INTEGER);
}
