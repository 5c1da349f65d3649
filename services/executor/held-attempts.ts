import type { DispatchOrder } from "../common/domain/dispatch.ts";
import { MAX_AHEAD_US } from "../common/domain/held-fire.ts";
import type { AttemptKey } from "../common/domain/identifier.ts";
import type { Clock, Timer } from "../common/port/clock.ts";
import type { KnownKey } from "./known-keys.ts";
import type { MeshTime } from "./mesh-time.ts";

/**
 * Rule 11: a fire that was sent ahead of its time is held, with a slot, and
 * starts on the millisecond of mesh time. Each has a timer of its own, as they
 * are few and short; mesh time may have moved meanwhile, so that it is asked
 * again when the timer fires.
 */

/** How an order came. */
export type Way = "lane" | "session";

/** An order that waits for its time, with its slot. */
export type HeldAttempt = {
  readonly known: KnownKey;
  readonly order: DispatchOrder;
  /** Place of its capability in the profile. */
  readonly capability: number;
  readonly way: Way;
};

/** Rule 12: nothing is held for a time that is known worse than this, milliseconds. */
const MAX_UNCERTAINTY_MS = 100;
/** A hold looks at mesh time at least so often. */
const LOOK_MS = 50;

/** What HeldAttempts needs. */
export interface HeldAttemptsDeps {
  readonly clock: Clock;
  readonly mesh: MeshTime;
  /** Its time has come. It is held until it is let go. */
  onDue(held: HeldAttempt): void;
}

/** HeldAttempts is what waits for its time here. */
export class HeldAttempts {
  readonly #deps: HeldAttemptsDeps;
  readonly #held = new Map<KnownKey, { readonly attempt: HeldAttempt; timer: Timer }>();

  constructor(deps: HeldAttemptsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#held.size;
  }

  has(known: KnownKey): boolean {
    return this.#held.has(known);
  }

  keys(): AttemptKey[] {
    return [...this.#held.values()].map(({ attempt }) => attempt.order.key);
  }

  /** True when an order is not to be started yet. */
  waits({ holdUntilUs }: DispatchOrder): boolean {
    if (holdUntilUs === null) return false;
    const { mesh } = this.#deps;
    // Before a home has told the time nobody knows whether it has come.
    return !Number.isFinite(mesh.uncertaintyMs) || mesh.nowUs() < holdUntilUs;
  }

  /** Rule 12: why its time cannot be awaited here; null when it can. */
  fault({ holdUntilUs }: DispatchOrder): string | null {
    const leftUs = (holdUntilUs ?? 0) - this.#deps.mesh.nowUs();
    if (leftUs > MAX_AHEAD_US + MAX_UNCERTAINTY_MS * 1_000) return "its time is further off than fires are sent ahead";
    return this.#deps.mesh.uncertaintyMs > MAX_UNCERTAINTY_MS
      ? "it came ahead of its time, which is uncertain here"
      : null;
  }

  hold(attempt: HeldAttempt): void {
    this.#held.set(attempt.known, { attempt, timer: this.#arm(attempt) });
  }

  /** Lets one go; undefined when it is not held. */
  release(known: KnownKey): HeldAttempt | undefined {
    const entry = this.#held.get(known);
    if (entry === undefined) return undefined;
    entry.timer.cancel();
    this.#held.delete(known);
    return entry.attempt;
  }

  /** Lets all go. */
  releaseAll(): HeldAttempt[] {
    return [...this.#held.keys()].flatMap((known) => this.release(known) ?? []);
  }

  #arm(attempt: HeldAttempt): Timer {
    const leftUs = (attempt.order.holdUntilUs ?? 0) - this.#deps.mesh.nowUs();
    // Mesh time may be measured anew meanwhile.
    const waitMs = Math.min(Math.max(Math.ceil(leftUs / 1_000), 0), LOOK_MS);
    return this.#deps.clock.setTimer(waitMs, () => this.#look(attempt));
  }

  #look(attempt: HeldAttempt): void {
    const entry = this.#held.get(attempt.known);
    if (entry === undefined) return;
    if (this.waits(attempt.order)) entry.timer = this.#arm(attempt);
    else this.#deps.onDue(attempt);
  }
}
