/** What two transactions need of the rows that they meet at. */

/**
 * States that a transaction is about: `due` is a fire whose time has come, `retry` waits after an attempt that failed,
 * `held` is a fire that was sent ahead of its time, `back` is one that was called back, came back and is due now,
 * `cancelling` waits to cancel what holds the gate, `unpinned` is READY and waits for the choice of an executor.
 */
export type TargetState = "ready" | "waiting" | "running" | "retry" | "due" | "ended" | HeldState;
type HeldState = "held" | "back" | "cancelling" | "unpinned";
/** Those that hold the gate. */
export type HolderState = "running" | "retry" | "held" | "ready" | "unpinned";

/** What the rows are to be. */
export type WorldNeeds = {
  readonly targets: ReadonlySet<TargetState>;
  /** The target carries the unique key. */
  readonly hasKey: boolean;
  /** What waits is past its start deadline. */
  readonly isPast: boolean;
  /** The job is gone. */
  readonly isJobGone: boolean;
  /** The job's next fire lies ahead. */
  readonly isAhead: boolean;
};
