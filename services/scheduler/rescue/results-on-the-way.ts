/**
 * Rule 15: loss waits for what is already on its way. A lost executor that
 * produced to Kafka may have results there that nobody stored yet: the end
 * offsets are read once it is lost, and its attempts end only when the stored
 * offsets have reached them.
 */
import type { ExecutorRecord } from "../../common/domain/executor.ts";
import type { SchedulerBus } from "../../common/port/bus.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";

type Awaited = {
  /** End offset and generation of each partition that has results not yet stored. */
  readonly ends: Map<number, { readonly endOffset: number; readonly generation: number }>;
};

/** Says when all results that a lost executor had produced are stored. */
export class ResultsOnTheWay {
  readonly #deps: { readonly store: Store; readonly bus: SchedulerBus | null; readonly clock: Clock };
  readonly #busWaitMs: number;
  readonly #awaited = new Map<string, Awaited>();
  readonly #since = new Map<string, number>();

  /** @param busWaitMs how long a bus that is away is waited for; then what it holds is given up */
  constructor(deps: { store: Store; bus: SchedulerBus | null; clock: Clock }, busWaitMs: number) {
    this.#deps = deps;
    this.#busWaitMs = busWaitMs;
  }

  /** True when nothing is on its way any more; else ask again. */
  async stored(record: ExecutorRecord): Promise<boolean> {
    const { bus, store, clock } = this.#deps;
    // A result by session counts when it is stored, and nothing is awaited for it.
    if (record.lane === null || bus === null) return true;
    const name = `${record.executorId}/${record.incarnation}`;
    const rows = await store.offsets.read(bus.resultPartitions);
    const awaited = this.#awaited.get(name) ?? (await this.#ends(bus, rows).catch(() => null));
    if (awaited === null) {
      const sinceMs = this.#since.get(name) ?? clock.monotonicMs();
      this.#since.set(name, sinceMs);
      return clock.monotonicMs() - sinceMs >= this.#busWaitMs;
    }
    this.#awaited.set(name, awaited);
    for (const row of rows) {
      const end = awaited.ends.get(row.partition);
      if (end === undefined) continue;
      // A partition of another generation lost what it had: its end is read anew.
      if (row.generation !== end.generation) {
        this.#awaited.delete(name);
        return false;
      }
      if (row.nextOffset >= end.endOffset) awaited.ends.delete(row.partition);
    }
    if (awaited.ends.size > 0) return false;
    this.#awaited.delete(name);
    this.#since.delete(name);
    return true;
  }

  async #ends(
    bus: SchedulerBus,
    rows: readonly { readonly partition: number; readonly generation: number; readonly nextOffset: number }[],
  ): Promise<Awaited> {
    const ends: Awaited["ends"] = new Map();
    for (const { partition, endOffset } of await bus.resultBounds()) {
      const row = rows.find((candidate) => candidate.partition === partition);
      if (row !== undefined && endOffset > row.nextOffset)
        ends.set(partition, { endOffset, generation: row.generation });
    }
    return { ends };
  }
}
