import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { Clock } from "../common/port/clock.ts";

/** Between two tries while no scheduler answers. */
const TRY_AGAIN_MS = 250;
/** How long no scheduler may answer before a command gives up; what it follows goes on without it. */
const MAX_AWAY_MS = 60_000;
/** A call that failed after so long had been answered before. */
const ANSWERED_MS = 2_000;

/** OutageWait lets a command go on over schedulers that come and go. */
export class OutageWait {
  readonly #clock: Clock;
  #sinceMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Does the work, again and again while no scheduler answers. Rejects with every other error, and after a minute. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      const startMs = this.#clock.monotonicMs();
      try {
        const answer = await work();
        this.#sinceMs = null;
        return answer;
      } catch (error) {
        await this.#wait(error, startMs);
      }
    }
  }

  async #wait(error: unknown, startMs: number): Promise<void> {
    if (JobmeshError.from(error).code !== "UNAVAILABLE") throw error;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - startMs > ANSWERED_MS) this.#sinceMs = null;
    if (this.#sinceMs === null) process.stderr.write("jobmesh: no scheduler answers now, waiting for one\n");
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs > MAX_AWAY_MS) throw error;
    await this.#clock.sleep(TRY_AGAIN_MS);
  }
}
