import { SystemClock } from "../common/runtime/system-clock.ts";

/** What a long-lived process is to the CLI. */
export type Stoppable = {
  /** Stops in order: no more intake, what runs ends, what is known is stored. */
  stop(): Promise<void>;
};

/** Exit code after a second signal: 128 and the number of SIGINT. */
const EXIT_ABORTED = 130;

/**
 * One press of Ctrl-C reaches a process twice where npm runs it: from the
 * terminal, and forwarded by npm. Signals within this time are one.
 */
const SAME_PRESS_MS = 300;

/**
 * Waits for the first SIGINT or SIGTERM, then stops in order; a second signal
 * ends the process at once.
 *
 * @param onStop told before the stop begins
 */
export async function untilStopped(running: Stoppable, onStop: () => void): Promise<number> {
  const clock = new SystemClock();
  await new Promise<void>((resolve) => {
    let firstMs: number | null = null;
    const onSignal = (): void => {
      const nowMs = clock.monotonicMs();
      firstMs ??= nowMs;
      if (nowMs - firstMs > SAME_PRESS_MS) process.exit(EXIT_ABORTED);
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
  onStop();
  await running.stop();
  return 0;
}
