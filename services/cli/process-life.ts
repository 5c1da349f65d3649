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
 * The first SIGINT or SIGTERM from now on asks the process to stop in order; a
 * second one ends it at once. Begun before anything is started: a signal that
 * comes during the start stops what was started when the start is done.
 */
export class ProcessLife {
  readonly #asked: Promise<void>;

  constructor() {
    const clock = new SystemClock();
    this.#asked = new Promise((resolve) => {
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
  }

  /**
   * Waits until the process is asked to stop, then stops it.
   *
   * @param onStop told before the stop begins
   */
  async untilStopped(running: Stoppable, onStop: () => void): Promise<number> {
    await this.#asked;
    onStop();
    await running.stop();
    return 0;
  }
}
