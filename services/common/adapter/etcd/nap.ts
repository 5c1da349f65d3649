import type { Clock } from "../../port/clock.ts";

/** Nap is a loop's sleep that can be cut short. A wake that comes while the loop works ends its next sleep at once. */
export class Nap {
  readonly #clock: Clock;
  #woken = false;
  /** Ends the sleep under way. */
  #end: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the sleep. */
  wake(): void {
    this.#woken = true;
    this.#end?.();
  }

  /** Resolves after the time, at a wake, or when the signal aborts. */
  async sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#woken && !signal.aborted) await this.#pause(delayMs, signal);
    this.#woken = false;
  }

  /** Without a composed signal: a loop sleeps each second for as long as its process lives. */
  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        signal.removeEventListener("abort", end);
        this.#end = null;
        resolve();
      };
      const timer = this.#clock.setTimer(delayMs, end);
      signal.addEventListener("abort", end);
      this.#end = end;
    });
  }
}
