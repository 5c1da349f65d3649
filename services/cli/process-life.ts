/** What a long-lived process is to the CLI. */
export type Stoppable = {
  /** Stops in order: no more intake, what runs ends, what is known is stored. */
  stop(): Promise<void>;
};

/** Exit code after a second signal: 128 and the number of SIGINT. */
const EXIT_ABORTED = 130;

/**
 * Waits for the first SIGINT or SIGTERM, then stops in order; a second signal
 * ends the process at once.
 *
 * @param onStop told before the stop begins
 */
export async function untilStopped(running: Stoppable, onStop: () => void): Promise<number> {
  await new Promise<void>((resolve) => {
    let signals = 0;
    const onSignal = (): void => {
      signals += 1;
      if (signals > 1) process.exit(EXIT_ABORTED);
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
  onStop();
  await running.stop();
  return 0;
}
