import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { Clock } from "../common/port/clock.ts";

/** Where a group ends and what may wait for one. */
export type GroupLimits = {
  /** Items in one group. */
  readonly maxItems: number;
  /** Bytes in one group, by `sizeOf`; one item that is larger is a group of its own. */
  readonly maxBytes: number;
  /** Items that wait for a group; one more is refused with OVERLOADED. */
  readonly maxWaiting: number;
  /** Their bytes, by `sizeOf`, likewise; the first one is taken whatever its size. */
  readonly maxWaitingBytes: number;
};

/** Who is refused may come again after this, milliseconds: some groups later. */
const RETRY_DELAY_MS = 1_000;

/** What a queue of groups does with them. */
export type GroupWork<Item, Answer> = {
  readonly limits: GroupLimits;
  /** What no two items of one group may share; null or unset for nothing. */
  readonly keyOf?: (item: Item) => string | null;
  /** About how many bytes an item is. */
  readonly sizeOf: (item: Item) => number;
  /** Stores a group and answers for each item in order. What it throws, every item of the group gets. */
  readonly commit: (items: readonly Item[]) => Promise<readonly Answer[]>;
};

type Entry<Item, Answer> = {
  readonly item: Item;
  readonly bytes: number;
  readonly key: string | null;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
};

/**
 * Group commit (rule 5): what arrives together is stored together. One group
 * is under way while the next one collects, so the busier it is the larger
 * groups get, and an idle caller waits for one turn of the event loop only.
 *
 * Items of one key are never in one group: the second one waits in a line of
 * its key until the first one's group is taken, and only then stands with the
 * others. So a key that comes hundreds of times takes one place in each group,
 * and nobody else waits behind it.
 */
export class GroupQueue<Item, Answer> {
  readonly #clock: Clock;
  readonly #work: GroupWork<Item, Answer>;
  /** What the next groups are taken from; no key is in it twice. */
  #waiting: Entry<Item, Answer>[] = [];
  /** By its key, what waits behind one in `#waiting`. */
  readonly #behind = new Map<string, Entry<Item, Answer>[]>();
  #count = 0;
  #waitingBytes = 0;
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(clock: Clock, work: GroupWork<Item, Answer>) {
    this.#clock = clock;
    this.#work = work;
  }

  /** Items that wait for their group. */
  get waiting(): number {
    return this.#count;
  }

  /** Adds an item to the next group and resolves with its answer. OVERLOADED when too much waits, SHUTTING_DOWN after stop. */
  push(item: Item): Promise<Answer> {
    if (this.#stopped) return Promise.reject(new JobmeshError("SHUTTING_DOWN"));
    const bytes = this.#work.sizeOf(item);
    const { maxWaiting, maxWaitingBytes } = this.#work.limits;
    const isFull = this.#count >= maxWaiting || (this.#count > 0 && this.#waitingBytes + bytes > maxWaitingBytes);
    if (isFull) return Promise.reject(new JobmeshError("OVERLOADED", { retryDelayMs: RETRY_DELAY_MS }));
    return new Promise((resolve, reject) => {
      this.#add({ item, bytes, key: this.#work.keyOf?.(item) ?? null, resolve, reject });
      this.#count += 1;
      this.#waitingBytes += bytes;
      this.#running ??= this.#run();
    });
  }

  /** Takes no more; resolves when what waits has its answer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Between groups the event loop turns once: a store that blocks it (SQLite) would else never see two calls together. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#clock.sleep(0);
      await this.#commit(this.#take());
    }
    this.#running = null;
  }

  #add(entry: Entry<Item, Answer>): void {
    const line = entry.key === null ? undefined : this.#behind.get(entry.key);
    if (line !== undefined) {
      line.push(entry);
      return;
    }
    if (entry.key !== null) this.#behind.set(entry.key, []);
    this.#waiting.push(entry);
  }

  #take(): Entry<Item, Answer>[] {
    const { maxItems, maxBytes } = this.#work.limits;
    let count = 0;
    for (let bytes = 0; count < this.#waiting.length && count < maxItems; count += 1) {
      const entry = this.#waiting[count];
      if (entry === undefined) break;
      bytes += entry.bytes;
      if (count > 0 && bytes > maxBytes) break;
    }
    const group = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    this.#count -= group.length;
    this.#waitingBytes -= group.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { key } of group) if (key !== null) this.#nextOf(key);
    return group;
  }

  /** The next one of a key stands with the others. */
  #nextOf(key: string): void {
    const next = this.#behind.get(key)?.shift();
    if (next === undefined) this.#behind.delete(key);
    else this.#waiting.push(next);
  }

  async #commit(group: readonly Entry<Item, Answer>[]): Promise<void> {
    try {
      const answers = await this.#work.commit(group.map((entry) => entry.item));
      for (const [index, entry] of group.entries()) {
        // A missing answer is the store's mistake; its caller must not wait for ever.
        if (index < answers.length) entry.resolve(answers[index] as Answer);
        else entry.reject(new JobmeshError("INTERNAL", { message: "a group was answered short" }));
      }
    } catch (thrown) {
      for (const entry of group) entry.reject(thrown);
    }
  }
}
