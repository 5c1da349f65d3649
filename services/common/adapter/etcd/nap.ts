import type { Clock } from "../../port/clock.ts";

/** Nap is a loop's sleep that can be cut short. A wake that comes while the loop works ends its next sleep at once. */
export class Nap {
  readonly #clock: Clock;
  #woken = false;
  #sleeping: AbortController | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the sleep. */
  wake(): void {
    this.#woken = true;
    this.#sleeping?.abort();
  }

  /** Resolves after the time, at a wake, or when the signal aborts. */
  async sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#woken && !signal.aborted) {
      this.#sleeping = new AbortController();
      await this.#clock.sleep(delayMs, AbortSignal.any([this.#sleeping.signal, signal]));
      this.#sleeping = null;
    }
    this.#woken = false;
  }
}
