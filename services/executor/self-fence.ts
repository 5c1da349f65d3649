import type { Clock, Timer } from "../common/port/clock.ts";
import type { Lease } from "../common/port/registry.ts";

/**
 * Rule 16: an executor with neither a stored beat nor its lease for the lease
 * less a margin ends its work before anyone may run that elsewhere. Both count
 * from when the beat, or the keep-alive, was sent, by the monotonic clock. The
 * spawner is told the same instant, so that commands die in time also when this
 * process hangs.
 */

/** What a SelfFence needs. */
export interface SelfFenceDeps {
  readonly clock: Clock;
  /** The registry's lease; null without one. */
  lease(): Lease | null;
  /** The instant has moved; null when nothing is to be fenced. */
  onMoved(fenceMs: number | null): void;
  /** The instant has passed. */
  onPassed(): void;
}

/** Looks in one lease: a keep-alive of the registry moves the instant without a word. */
const LOOKS = 5;

/** Signs of life that move the instant by less than this are not passed on. */
const STEP_MS = 100;

/** SelfFence counts down to the end of an incarnation. */
export class SelfFence {
  readonly #deps: SelfFenceDeps;
  readonly #marginMs: number;
  #leaseMs = 0;
  #signMs: number | null = null;
  #toldMs: number | null = null;
  #timer: Timer | null = null;

  constructor(deps: SelfFenceDeps, config: { readonly marginMs: number }) {
    this.#deps = deps;
    this.#marginMs = config.marginMs;
  }

  /** A home gave the lease, and has stored that the executor was heard at `sentMs`. */
  heard(sentMs: number, leaseMs: number): void {
    this.#leaseMs = leaseMs;
    this.#signMs = Math.max(this.#signMs ?? sentMs, sentMs);
    this.#move();
  }

  /** Fences at once when the instant has passed; true then. To be asked before work is taken. */
  check(): boolean {
    const limitMs = this.#limitMs();
    if (limitMs === null || this.#deps.clock.monotonicMs() < limitMs) return false;
    this.stop();
    this.#deps.onPassed();
    return true;
  }

  /** Nothing is fenced until a home is heard of again. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#signMs = null;
    this.#toldMs = null;
  }

  #limitMs(): number | null {
    if (this.#signMs === null) return null;
    const keptAliveMs = this.#deps.lease()?.lastKeptAliveMs() ?? Number.NEGATIVE_INFINITY;
    return Math.max(this.#signMs, keptAliveMs) + this.#leaseMs - this.#marginMs;
  }

  #move(): void {
    const limitMs = this.#limitMs();
    if (limitMs === null) return;
    if (this.#toldMs === null || limitMs - this.#toldMs >= STEP_MS) {
      this.#toldMs = limitMs;
      this.#deps.onMoved(limitMs);
    }
    if (this.#timer !== null) return;
    const leftMs = limitMs - this.#deps.clock.monotonicMs();
    const waitMs = Math.max(Math.min(leftMs, this.#leaseMs / LOOKS), 0);
    this.#timer = this.#deps.clock.setTimer(waitMs, () => {
      this.#timer = null;
      if (!this.check()) this.#move();
    });
  }
}
