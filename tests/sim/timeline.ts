/**
 * Virtual time. All that happens in a simulated mesh is an event on one
 * timeline: a timer, a message that arrives, a fault. Events run one after the
 * other, in order of their time and then of their making, and after each one
 * everything settles that needs no time to pass. So one seed gives one history.
 */

/** An event that has not happened yet. */
export type Pending = { readonly atMs: number; readonly order: number; readonly run: () => void; isOff: boolean };

/** Timeline is the order of all events of a simulation. */
export class Timeline {
  #nowMs = 0;
  #order = 0;
  #events = 0;
  readonly #heap: Pending[] = [];
  #afterEvent: () => void = () => {};

  /** Milliseconds since the simulation began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that happened. */
  get events(): number {
    return this.#events;
  }

  /** Calls back after each event, when it has settled. */
  onSettled(callback: () => void): void {
    this.#afterEvent = callback;
  }

  /** Lets something happen after a while, never at once. */
  after(delayMs: number, run: () => void): Pending {
    const pending: Pending = { atMs: this.#nowMs + Math.max(delayMs, 0), order: this.#order++, run, isOff: false };
    this.#push(pending);
    return pending;
  }

  /** Lets everything happen up to a time; stops early once `over` says so. */
  async runUntil(atMs: number, over: () => boolean): Promise<void> {
    await settled();
    while (!over()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > atMs) break;
      this.#pop();
      if (next.isOff) continue;
      this.#nowMs = next.atMs;
      this.#events++;
      next.run();
      await settled();
      this.#afterEvent();
    }
    if (!over()) this.#nowMs = Math.max(this.#nowMs, atMs);
  }

  #push(pending: Pending): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(pending);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(pending, heap[above] as Pending)) break;
      heap[at] = heap[above] as Pending;
      at = above;
    }
    heap[at] = pending;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Pending;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Pending, heap[below] as Pending)) below++;
      if (!isBefore(heap[below] as Pending, last)) break;
      heap[at] = heap[below] as Pending;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(one: Pending, other: Pending): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

/** Resolves when every promise that could go on has: immediates run after all of them. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
