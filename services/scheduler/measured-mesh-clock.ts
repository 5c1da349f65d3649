import type { Clock } from "../common/port/clock.ts";
import type { Store } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";
import type { MeshClock } from "./mesh-clock.ts";
import { WakeableLoop } from "./wakeable-loop.ts";

/** Between two measurements. */
const MEASURE_INTERVAL_MS = 10_000;
/** Round trips of one measurement; the shortest counts. */
const ROUND_TRIPS = 5;
/** Above it the uncertainty is reported (rule 12). */
const MAX_UNCERTAINTY_US = 100_000;
/** Drift that is reckoned with: 500 parts in a million, by which Linux slews a clock at most (adjtimex(2)). */
const DRIFT_US_PER_MS = 0.5;
/** A new measurement that is earlier by no more than this holds mesh time still until it is reached. */
const MAX_HELD_US = 1_000_000;

/** Mesh time at a moment of the monotonic clock, and how far it may be off. */
type Measurement = { readonly atMs: number; readonly meshUs: number; readonly halfTripUs: number };

/**
 * Rule 12: mesh time is the store's clock. It is measured every 10 s by the
 * shortest of a few round trips, and carried on the monotonic clock, so that
 * a step of this machine's clock does not move it. A measurement that is worse
 * than what is carried, and agrees with it, is left out. Mesh time never goes
 * back by the error of a measurement: it stands still until it is reached;
 * where the store's clock itself was set back further, it follows.
 */
export class MeasuredMeshClock implements MeshClock {
  readonly #clock: Clock;
  readonly #store: Pick<Store, "nowUs">;
  readonly #log: Logger;
  readonly #loop: WakeableLoop;
  #measured: Measurement;
  #lastUs = Number.NEGATIVE_INFINITY;
  #isUncertain = false;

  constructor(deps: { clock: Clock; store: Pick<Store, "nowUs">; log: Logger }) {
    this.#clock = deps.clock;
    this.#store = deps.store;
    this.#log = deps.log;
    // Nothing is known yet.
    this.#measured = {
      atMs: deps.clock.monotonicMs(),
      meshUs: deps.clock.wallUs(),
      halfTripUs: Number.POSITIVE_INFINITY,
    };
    const work = { name: "mesh clock", intervalMs: MEASURE_INTERVAL_MS, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  /** Measures once, then every 10 s. Rejects with StoreUnavailable when the store is away. */
  async start(): Promise<void> {
    await this.runOnce();
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  nowUs(): number {
    const nowUs = carried(this.#measured, this.#clock.monotonicMs());
    const isHeld = nowUs < this.#lastUs && this.#lastUs - nowUs <= MAX_HELD_US;
    if (!isHeld) this.#lastUs = nowUs;
    return this.#lastUs;
  }

  uncertaintyUs(): number {
    return uncertaintyOf(this.#measured, this.#clock.monotonicMs());
  }

  /** One measurement. */
  async runOnce(): Promise<boolean> {
    try {
      this.#take(await this.#measure());
    } finally {
      this.#report();
    }
    return false;
  }

  async #measure(): Promise<Measurement> {
    let best = await this.#roundTrip();
    for (let trip = 1; trip < ROUND_TRIPS; trip += 1) {
      const next = await this.#roundTrip();
      if (next.halfTripUs < best.halfTripUs) best = next;
    }
    return best;
  }

  async #roundTrip(): Promise<Measurement> {
    const sentMs = this.#clock.monotonicMs();
    const meshUs = await this.#store.nowUs();
    const tripMs = this.#clock.monotonicMs() - sentMs;
    return { atMs: sentMs + tripMs / 2, meshUs, halfTripUs: (tripMs * 1000) / 2 };
  }

  #take(measurement: Measurement): void {
    const { atMs, meshUs, halfTripUs } = measurement;
    const knownUs = uncertaintyOf(this.#measured, atMs);
    const differenceUs = Math.abs(carried(this.#measured, atMs) - meshUs);
    // The store answered slowly just now, and says nothing else than what is known better.
    if (halfTripUs > knownUs && differenceUs <= halfTripUs + knownUs) return;
    // What was told before the first measurement was this machine's time.
    if (!Number.isFinite(knownUs)) this.#lastUs = Number.NEGATIVE_INFINITY;
    this.#measured = measurement;
  }

  #report(): void {
    const uncertaintyUs = this.uncertaintyUs();
    const isUncertain = uncertaintyUs > MAX_UNCERTAINTY_US;
    if (isUncertain === this.#isUncertain) return;
    this.#isUncertain = isUncertain;
    const known = Number.isFinite(uncertaintyUs) ? { uncertaintyUs: Math.round(uncertaintyUs) } : {};
    if (isUncertain) this.#log.warn(known, "mesh time is uncertain: the store answers slowly, or not at all");
    else this.#log.info(known, "mesh time is certain again");
  }
}

function carried({ atMs, meshUs }: Measurement, nowMs: number): number {
  return meshUs + Math.round((nowMs - atMs) * 1000);
}

function uncertaintyOf({ atMs, halfTripUs }: Measurement, nowMs: number): number {
  return halfTripUs + Math.max(nowMs - atMs, 0) * DRIFT_US_PER_MS;
}
