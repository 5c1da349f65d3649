import type { Execution } from "./execution.ts";
import type { ExecutionId } from "./identifier.ts";

/**
 * Rule 11: a fire may be sent to its executor a little before its time, and is
 * held there until then. That it is held needs no column: its ready time lies
 * after its dispatch, which is so of nothing else.
 */

/** A fire is sent ahead by this at most, microseconds. */
export const MAX_AHEAD_US = 300_000;

/**
 * Mesh time until which an attempt is not started; null when it may start at once. What lies further off is the store's
 * clock that was set back after the execution became ready, and no hold.
 */
export function holdUntilUs({ readyUs, dispatchUs }: Pick<Execution, "readyUs" | "dispatchUs">): number | null {
  if (readyUs === null || dispatchUs === null || readyUs <= dispatchUs) return null;
  return readyUs - dispatchUs <= MAX_AHEAD_US ? readyUs : null;
}

/** A fire that was held when its job changed. */
export type HeldFire = {
  readonly executionId: ExecutionId;
  /** The attempt that is held, and the revision that it is of. */
  readonly attempt: number;
  readonly jobRevision: number;
};

/** What has become of a held fire that was called back. */
export type HeldOutcome =
  /** Its executor has not answered. */
  | "held"
  /** It did not start: it has ended before, or waits for its time as the job is now. */
  | "back"
  /** It did not start, and has ended just now. */
  | "skipped"
  | "cancelled"
  /** It started, or nobody knows. */
  | "unstopped";
