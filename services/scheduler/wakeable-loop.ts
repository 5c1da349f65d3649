import { BusUnavailable } from "../common/port/bus.ts";
import type { Clock, Timer } from "../common/port/clock.ts";
import { StoreUnavailable } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";

/** What a loop does and how often. */
export type LoopWork = {
  /** For the log. */
  readonly name: string;
  /** Longest wait between two rounds, milliseconds; null when it only goes by being woken. */
  readonly intervalMs: number | null;
  /** One bounded round; true asks for the next one at once. */
  readonly run: (signal: AbortSignal) => Promise<boolean>;
};

/**
 * Runs a round at an interval, and at once when woken; one at a time. A round
 * that fails is logged and the next one comes at the interval, or when woken: an
 * outage of a backend is told once when it begins and once when it is over.
 */
export class WakeableLoop {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #work: LoopWork;
  #abort: AbortController | null = null;
  #running: Promise<void> | null = null;
  #woken = false;
  #wakeWaiter: (() => void) | null = null;
  /** The backend that the last round missed. */
  #away: "store" | "bus" | null = null;

  constructor(clock: Clock, log: Logger, work: LoopWork) {
    this.#clock = clock;
    this.#log = log;
    this.#work = work;
  }

  /** Begins with a round at once. Does nothing while it runs. */
  start(): void {
    if (this.#running !== null) return;
    this.#abort = new AbortController();
    this.#running = this.#loop(this.#abort.signal);
  }

  /** Ends after the round under way. */
  async stop(): Promise<void> {
    this.#abort?.abort();
    this.#wakeWaiter?.();
    await this.#running;
    this.#running = null;
    this.#abort = null;
  }

  /** Asks for a round at once; several asks before it begins are one. */
  wake(): void {
    this.#woken = true;
    this.#wakeWaiter?.();
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#woken = false;
      const again = await this.#round(signal);
      if (signal.aborted) return;
      // Even a busy loop lets the event loop turn: its store may answer without ever leaving this turn.
      if (again) await this.#clock.sleep(0, signal);
      else await this.#pause(this.#work.intervalMs);
    }
  }

  async #round(signal: AbortSignal): Promise<boolean> {
    try {
      const again = await this.#work.run(signal);
      if (this.#away !== null) this.#log.info({ loop: this.#work.name }, `the ${this.#away} is back`);
      this.#away = null;
      return again;
    } catch (thrown) {
      this.#failed(thrown);
      return false;
    }
  }

  #failed(thrown: unknown): void {
    const away = thrown instanceof StoreUnavailable ? "store" : thrown instanceof BusUnavailable ? "bus" : null;
    if (away === null) {
      this.#log.error({ loop: this.#work.name, err: thrown }, "a round failed");
      return;
    }
    if (this.#away !== away) this.#log.warn({ loop: this.#work.name, err: thrown }, `the ${away} is away`);
    this.#away = away;
    this.#woken = false;
  }

  #pause(delayMs: number | null): Promise<void> {
    if (this.#woken) return this.#clock.sleep(0);
    return new Promise((resolve) => {
      const done = (): void => {
        timer?.cancel();
        this.#wakeWaiter = null;
        resolve();
      };
      const timer: Timer | null = delayMs === null ? null : this.#clock.setTimer(delayMs, done);
      this.#wakeWaiter = done;
    });
  }
}
