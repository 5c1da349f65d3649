import type { Clock } from "../../common/port/clock.ts";
import { StoreUnavailable } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { type GroupLimits, GroupQueue } from "../group-queue.ts";
import { untilStored } from "./until-stored.ts";

/** What an intake stores. */
export type IntakeWork<Item> = {
  /** For the log. */
  readonly name: string;
  readonly limits: GroupLimits;
  readonly sizeOf: (item: Item) => number;
  /** Stores many; those that are there stay as they are, so that a second time does no harm. */
  readonly store: (items: readonly Item[]) => Promise<void>;
  /** Called for each item that was stored. */
  readonly onStored?: (item: Item) => void;
};

/** null: stored. Else why it never will be. */
type Refusal = { readonly error: unknown } | null;

/**
 * Takes what executors report and stores it in groups. While the store is away
 * it keeps what it has and tries again: the executor would only send the same
 * once more. What the store refuses for good is its own: the others of its
 * group are stored.
 */
export class IntakeQueue<Item> {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #work: IntakeWork<Item>;
  readonly #queue: GroupQueue<Item, Refusal>;
  readonly #abort = new AbortController();

  constructor(clock: Clock, log: Logger, work: IntakeWork<Item>) {
    this.#clock = clock;
    this.#log = log;
    this.#work = work;
    this.#queue = new GroupQueue(clock, {
      limits: work.limits,
      sizeOf: work.sizeOf,
      commit: (items) => this.#commit(items),
    });
  }

  /** Resolves when the item is stored. Rejects when it never will be, when too much waits, or at stop. */
  async push(item: Item): Promise<void> {
    const refusal = await this.#queue.push(item);
    if (refusal !== null) throw refusal.error;
  }

  /** Stores what waits if the store answers, and gives up the rest. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#queue.stop();
  }

  async #commit(items: readonly Item[]): Promise<readonly Refusal[]> {
    const first = await this.#store(items);
    if (first === null || items.length === 1) return items.map(() => first);
    if (first.error instanceof StoreUnavailable) return items.map(() => first);
    const refusals: Refusal[] = [];
    for (const item of items) refusals.push(await this.#store([item]));
    return refusals;
  }

  async #store(items: readonly Item[]): Promise<Refusal> {
    const { store, onStored, name } = this.#work;
    try {
      await untilStored(this.#clock, this.#abort.signal, () => store(items));
    } catch (thrown) {
      if (!(thrown instanceof StoreUnavailable)) {
        this.#log.warn(
          { intake: name, count: items.length, err: thrown },
          "the store refused what an executor reported",
        );
      }
      return { error: thrown };
    }
    if (onStored !== undefined) for (const item of items) onStored(item);
    return null;
  }
}
