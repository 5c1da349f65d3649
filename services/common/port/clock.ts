/** A timer that has been armed and can be taken back. */
export interface Timer {
  /** Takes the timer back. Harmless after it fired. */
  cancel(): void;
}

/**
 * Clock is time as one process sees it. It is always handed in, so that the
 * simulator can run the production loops on virtual time.
 */
export interface Clock {
  /** Wall-clock time in whole microseconds since the Unix epoch. May step. */
  wallUs(): number;
  /** Milliseconds, with fractions, on a clock that never steps. Its origin means nothing. */
  monotonicMs(): number;
  /**
   * Calls back once after `delayMs`; with 0 at the next turn of the event loop,
   * never at once. The timer keeps the process alive.
   */
  setTimer(delayMs: number, callback: () => void): Timer;
  /**
   * Resolves after `delayMs`, or at once when the signal aborts. It never
   * rejects: a loop looks at its signal after each sleep.
   */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}
