import type { Clock } from "../common/port/clock.ts";
import type { Store } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";
import { WakeableLoop } from "./dispatch/wakeable-loop.ts";
import type { MeshClock } from "./mesh-clock.ts";

/** Between two measurements. */
const MEASURE_INTERVAL_MS = 10_000;
/** Round trips of one measurement; the shortest counts. */
const ROUND_TRIPS = 5;
/** Above it the uncertainty is reported (rule 12). */
const MAX_UNCERTAINTY_US = 100_000;
/** Drift of a monotonic clock that is reckoned with: 100 parts in a million. */
const DRIFT_US_PER_MS = 0.1;

/**
 * Rule 12: mesh time is the store's clock. It is measured every 10 s by the
 * shortest of a few round trips, and carried on the monotonic clock, so that
 * a step of this machine's clock does not move it.
 */
export class MeasuredMeshClock implements MeshClock {
  readonly #clock: Clock;
  readonly #store: Pick<Store, "nowUs">;
  readonly #log: Logger;
  readonly #loop: WakeableLoop;
  #atMs: number;
  #meshUs: number;
  #halfTripUs = Number.POSITIVE_INFINITY;

  constructor(deps: { clock: Clock; store: Pick<Store, "nowUs">; log: Logger }) {
    this.#clock = deps.clock;
    this.#store = deps.store;
    this.#log = deps.log;
    this.#atMs = deps.clock.monotonicMs();
    this.#meshUs = deps.clock.wallUs();
    const work = { name: "mesh clock", intervalMs: MEASURE_INTERVAL_MS, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  /** Measures once, then every 10 s. */
  async start(): Promise<void> {
    await this.runOnce();
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  nowUs(): number {
    return this.#meshUs + Math.round((this.#clock.monotonicMs() - this.#atMs) * 1000);
  }

  uncertaintyUs(): number {
    return this.#halfTripUs + (this.#clock.monotonicMs() - this.#atMs) * DRIFT_US_PER_MS;
  }

  /** One measurement. */
  async runOnce(): Promise<boolean> {
    let best: { atMs: number; meshUs: number; halfTripUs: number } | null = null;
    for (let trip = 0; trip < ROUND_TRIPS; trip += 1) {
      const sentMs = this.#clock.monotonicMs();
      const meshUs = await this.#store.nowUs();
      const tripMs = this.#clock.monotonicMs() - sentMs;
      const halfTripUs = (tripMs * 1000) / 2;
      if (best === null || halfTripUs < best.halfTripUs) best = { atMs: sentMs + tripMs / 2, meshUs, halfTripUs };
    }
    if (best === null) return false;
    this.#atMs = best.atMs;
    this.#meshUs = best.meshUs;
    this.#halfTripUs = best.halfTripUs;
    if (best.halfTripUs > MAX_UNCERTAINTY_US) {
      this.#log.warn(
        { uncertaintyUs: Math.round(best.halfTripUs) },
        "mesh time is uncertain: the store answers slowly",
      );
    }
    return false;
  }
}
