import type { Clock } from "../common/port/clock.ts";

/** How far two clocks may drift apart, as a part of the time that passes: 100 ppm, a bad crystal. */
const DRIFT = 1e-4;

/**
 * Rule 12, the executor's part: mesh time is the store's clock, taken from the
 * heartbeat with the shortest round trip and carried on the monotonic clock. A
 * measurement ages by the drift that may have come since, so that a worse but
 * newer one replaces it in the end; one that both cannot be right with replaces
 * it at once: the store's clock has stepped, or the machine slept.
 */
export class MeshTime {
  readonly #clock: Clock;
  #offsetUs: number | null = null;
  #roundTripMs = Number.POSITIVE_INFINITY;
  #takenMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Mesh time in microseconds; the machine's own clock until a home has told it. */
  nowUs(): number {
    if (this.#offsetUs === null) return this.#clock.wallUs();
    return Math.round(this.#clock.monotonicMs() * 1000 + this.#offsetUs);
  }

  /** How wrong it may be in milliseconds; infinite until a home has told it. */
  get uncertaintyMs(): number {
    return this.#offsetUs === null ? Number.POSITIVE_INFINITY : this.#agedRoundTripMs() / 2;
  }

  /** Takes the time that a home answered to a beat sent at `sentMs`, by the monotonic clock. */
  observe(sentMs: number, meshUs: number): void {
    const nowMs = this.#clock.monotonicMs();
    const roundTripMs = nowMs - sentMs;
    const offsetUs = meshUs - (sentMs + roundTripMs / 2) * 1000;
    const agedMs = this.#agedRoundTripMs();
    const agrees =
      this.#offsetUs === null || Math.abs(offsetUs - this.#offsetUs) <= ((roundTripMs + agedMs) / 2) * 1000;
    if (meshUs <= 0 || (agrees && roundTripMs > agedMs)) return;
    this.#offsetUs = offsetUs;
    this.#roundTripMs = roundTripMs;
    this.#takenMs = nowMs;
  }

  #agedRoundTripMs(): number {
    return this.#roundTripMs + (this.#clock.monotonicMs() - this.#takenMs) * DRIFT * 2;
  }
}
