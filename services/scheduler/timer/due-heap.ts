/** What a heap orders by: due time in microseconds. */
type Due = { readonly dueUs: number };

/** A binary heap of entries, earliest first: many timers cost a logarithm each, not a walk over all of them. */
export class DueHeap<E extends Due> {
  readonly #entries: E[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** The earliest one; undefined when there is none. */
  peek(): E | undefined {
    return this.#entries[0];
  }

  push(entry: E): void {
    const entries = this.#entries;
    let place = entries.push(entry) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = entries[above];
      if (parent === undefined || parent.dueUs <= entry.dueUs) break;
      entries[place] = parent;
      place = above;
    }
    entries[place] = entry;
  }

  /** Takes the earliest one out. */
  pop(): E | undefined {
    const entries = this.#entries;
    const first = entries[0];
    const last = entries.pop();
    if (last !== undefined && entries.length > 0) this.#sink(last);
    return first;
  }

  clear(): void {
    this.#entries.length = 0;
  }

  #sink(entry: E): void {
    const entries = this.#entries;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      let child = entries[below];
      const right = entries[below + 1];
      if (child !== undefined && right !== undefined && right.dueUs < child.dueUs) {
        below += 1;
        child = right;
      }
      if (child === undefined || child.dueUs >= entry.dueUs) break;
      entries[place] = child;
      place = below;
    }
    entries[place] = entry;
  }
}
