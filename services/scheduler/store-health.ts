import type { Health } from "../common/port/bus.ts";
import type { Clock, Timer } from "../common/port/clock.ts";
import type { Store } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";
import { WakeableLoop } from "./wakeable-loop.ts";

/** Between two looks at the store. */
const PROBE_INTERVAL_MS = 250;
/** A scheduler without its store for this long says so (rule 30). */
const MAX_SILENCE_MS = 1_000;
/** A store that answered another so lately is not asked. */
const LATELY_MS = 2 * PROBE_INTERVAL_MS;
/** A timer that comes this late says that the process stood still, which tells nothing of the store. */
const STOOD_STILL_MS = 250;

const SILENT = "the store does not answer";

/**
 * Knows whether the store answers, also when it hangs, and tells when that changes. It asks only where no sweep has had
 * an answer lately.
 */
export class StoreHealth {
  readonly #store: Pick<Store, "nowUs">;
  readonly #clock: Clock;
  readonly #onChange: (healthy: boolean) => void;
  readonly #loop: WakeableLoop;
  #silence: Timer | null = null;
  #running = false;
  #sparedMs = Number.NEGATIVE_INFINITY;
  #answeredMs = Number.NEGATIVE_INFINITY;
  #healthy = true;
  #message = SILENT;

  constructor(deps: { store: Pick<Store, "nowUs">; clock: Clock; log: Logger }, onChange: (healthy: boolean) => void) {
    this.#store = deps.store;
    this.#clock = deps.clock;
    this.#onChange = onChange;
    const work = { name: "store health", intervalMs: PROBE_INTERVAL_MS, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  /** Does nothing while it runs. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#armSilence();
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#silence?.cancel();
    this.#silence = null;
    await this.#loop.stop();
  }

  health(): Health {
    return { healthy: this.#healthy, message: this.#healthy ? "" : this.#message };
  }

  /** The store has answered somebody else: it need not be asked for a while. */
  heard(): void {
    this.#sparedMs = this.#clock.monotonicMs();
    this.#answered();
  }

  /** One look, where nothing was heard lately. */
  async runOnce(): Promise<boolean> {
    if (this.#clock.monotonicMs() - this.#sparedMs < LATELY_MS) return false;
    try {
      await this.#store.nowUs();
    } catch (error) {
      this.#message = error instanceof Error ? error.message : String(error);
      return false;
    }
    this.#answered();
    return false;
  }

  #answered(): void {
    this.#message = SILENT;
    this.#answeredMs = this.#clock.monotonicMs();
    if (this.#running && this.#silence === null) this.#armSilence();
    this.#set(true);
  }

  /** Looks after a while since when nothing was answered. */
  #armSilence(waitMs = MAX_SILENCE_MS): void {
    const dueMs = this.#clock.monotonicMs() + waitMs;
    this.#silence = this.#clock.setTimer(waitMs, () => {
      this.#silence = null;
      const nowMs = this.#clock.monotonicMs();
      const leftMs = this.#answeredMs + MAX_SILENCE_MS - nowMs;
      if (leftMs > 0) this.#armSilence(leftMs);
      // After a pause of the process the answer may be waiting to be read.
      else if (nowMs - dueMs > STOOD_STILL_MS) this.#armSilence(STOOD_STILL_MS);
      else this.#set(false);
    });
  }

  #set(healthy: boolean): void {
    if (healthy === this.#healthy) return;
    this.#healthy = healthy;
    this.#onChange(healthy);
  }
}
