import type { ExecutionId } from "../../common/domain/identifier.ts";
import type { EndedPlace } from "../../common/port/store-retention.ts";

/** Ends that are remembered: twenty seconds of 25,000 a second. */
const MAX_SEEN = 500_000;
const SECOND_US = 1_000_000;

/**
 * The ends that were passed on and may be read again, by the second in which
 * they ended, so that those of a time are forgotten together. At the bound the
 * oldest are forgotten, and told twice.
 */
export class SeenEnds {
  readonly #maxSeen: number;
  readonly #seconds = new Map<number, Set<ExecutionId>>();
  #count = 0;

  /** @param maxSeen ends remembered; default 500,000 */
  constructor(maxSeen: number = MAX_SEEN) {
    this.#maxSeen = maxSeen;
  }

  /** Ends that are remembered. */
  get count(): number {
    return this.#count;
  }

  has({ endedUs, executionId }: EndedPlace): boolean {
    return this.#seconds.get(secondOf(endedUs))?.has(executionId) ?? false;
  }

  /** Remembers it; false when it was known. */
  add({ endedUs, executionId }: EndedPlace): boolean {
    const second = secondOf(endedUs);
    const ids = this.#seconds.get(second) ?? new Set<ExecutionId>();
    if (ids.has(executionId)) return false;
    this.#seconds.set(second, ids.add(executionId));
    this.#count += 1;
    if (this.#count > this.#maxSeen) this.#forget(Math.min(...this.#seconds.keys()));
    return true;
  }

  /** Forgets what ended in a second before this time: it is not read any more. */
  forgetBefore(timeUs: number): void {
    const first = secondOf(timeUs);
    for (const second of [...this.#seconds.keys()]) if (second < first) this.#forget(second);
  }

  #forget(second: number): void {
    this.#count -= this.#seconds.get(second)?.size ?? 0;
    this.#seconds.delete(second);
  }
}

function secondOf(timeUs: number): number {
  return Math.floor(timeUs / SECOND_US);
}
