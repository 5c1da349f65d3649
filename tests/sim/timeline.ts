/**
 * Virtual time. All that happens in a simulated mesh is an event on one
 * timeline: a timer, a message that arrives, a fault. Events run one after the
 * other, in order of their time and then of their making, and after each one
 * everything settles that needs no time to pass. So one seed gives one history.
 */

/** An event that has not happened yet. */
export type Pending = { readonly atMs: number; readonly order: number; readonly run: () => void; isOff: boolean };

/** Events of one turn of Node's loop: the turn itself costs little among so many. */
const BURST_EVENTS = 64;

/** Timeline is the order of all events of a simulation. */
export class Timeline {
  #nowMs = 0;
  #order = 0;
  #events = 0;
  #isUnsettled = false;
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
    while (await this.#burst(atMs, over));
    if (!over()) this.#nowMs = Math.max(this.#nowMs, atMs);
  }

  /**
   * Some events in one turn of Node's loop, as a turn costs more than most
   * events. Each is an immediate: between two of them every promise that can go
   * on does. False when there is nothing left up to that time.
   */
  #burst(atMs: number, over: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      let goesOn = true;
      for (let count = 1; count <= BURST_EVENTS; count++) {
        setImmediate(() => {
          if (!goesOn) return;
          try {
            goesOn = this.#next(atMs, over);
            if (!goesOn || count === BURST_EVENTS) resolve(goesOn);
          } catch (error) {
            goesOn = false;
            reject(error);
          }
        });
      }
    });
  }

  /** What happened last has settled; the next event happens. False when there is none. */
  #next(atMs: number, over: () => boolean): boolean {
    if (this.#isUnsettled) {
      this.#isUnsettled = false;
      this.#afterEvent();
    }
    if (over()) return false;
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= atMs; next = this.#heap[0]) {
      this.#pop();
      if (next.isOff) continue;
      this.#nowMs = next.atMs;
      this.#events++;
      this.#isUnsettled = true;
      next.run();
      return true;
    }
    return false;
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
