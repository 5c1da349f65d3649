import type { Health } from "../common/port/bus.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Store } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";
import { WakeableLoop } from "./dispatch/wakeable-loop.ts";

/** Between two looks at the store; without it for a second a scheduler says so (rule 30). */
const PROBE_INTERVAL_MS = 500;
/** Looks in a row that fail before the store counts as away. */
const MAX_FAILED_PROBES = 2;

/** Knows whether the store answers, and tells when that changes. */
export class StoreHealth {
  readonly #store: Pick<Store, "nowUs">;
  readonly #onChange: (healthy: boolean) => void;
  readonly #loop: WakeableLoop;
  #failed = 0;
  #message = "";

  constructor(deps: { store: Pick<Store, "nowUs">; clock: Clock; log: Logger }, onChange: (healthy: boolean) => void) {
    this.#store = deps.store;
    this.#onChange = onChange;
    const work = { name: "store health", intervalMs: PROBE_INTERVAL_MS, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  health(): Health {
    return { healthy: this.#failed < MAX_FAILED_PROBES, message: this.#message };
  }

  /** One look. */
  async runOnce(): Promise<boolean> {
    const before = this.health().healthy;
    try {
      await this.#store.nowUs();
      this.#failed = 0;
      this.#message = "";
    } catch (error) {
      this.#failed += 1;
      this.#message = error instanceof Error ? error.message : String(error);
    }
    const { healthy } = this.health();
    if (healthy !== before) this.#onChange(healthy);
    return false;
  }
}
