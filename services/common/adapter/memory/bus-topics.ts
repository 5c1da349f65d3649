import { assert } from "../../domain/assert.ts";
import type { AttemptResult } from "../../domain/attempt.ts";
import type { DispatchOrder } from "../../domain/dispatch.ts";
import { keyText } from "../../domain/identifier.ts";
import type { ExecutionChange, ResultRecord } from "../../port/bus.ts";
import type { Clock } from "../../port/clock.ts";

/** Settings of a MemoryBus. */
export type MemoryBusConfig = {
  /** Lanes of the dispatch topic. */
  readonly lanes: number;
  /** Partitions of the result topic. */
  readonly resultPartitions: number;
  /** After this a send that was not taken rejects, milliseconds. */
  readonly sendTimeoutMs: number;
  /** Results handed to a scheduler's handler at once. */
  readonly maxDelivered: number;
  /** Results kept of each partition, and changes of executions; older ones are dropped, as retention does. */
  readonly maxKeptResults: number;
};

/** Defaults of MemoryBusConfig; the first two are the topics' own. */
export const memoryBusDefaults: MemoryBusConfig = {
  lanes: 256,
  resultPartitions: 16,
  sendTimeoutMs: 1_000,
  maxDelivered: 1_000,
  maxKeptResults: 100_000,
};

/** The records of one result partition that are still kept. */
export type KeptPartition = { lowOffset: number; records: ResultRecord[] };

type OrderListener = { readonly lane: number; readonly onOrder: (order: DispatchOrder) => void };

/** MemoryTopics holds both topics of a memory bus. */
export class MemoryTopics {
  readonly config: MemoryBusConfig;
  readonly #clock: Clock;
  readonly #lanes = new Set<OrderListener>();
  readonly #readers = new Set<() => void>();
  readonly #changes: ExecutionChange[] = [];
  #partitions: KeptPartition[];
  #away = false;

  constructor(clock: Clock, config: Partial<MemoryBusConfig> = {}) {
    this.#clock = clock;
    this.config = { ...memoryBusDefaults, ...config };
    this.#partitions = this.#empty();
  }

  /** While true no send is taken and nothing is read. */
  get away(): boolean {
    return this.#away;
  }

  set away(away: boolean) {
    this.#away = away;
    if (!away) this.#tellReaders();
  }

  /** Rule 27: the result topic is deleted and made anew; its offsets begin at 0. */
  remakeResults(): void {
    this.#partitions = this.#empty();
    this.#tellReaders();
  }

  /** Adds an order to a lane. Executors that do not listen yet never see it. */
  addOrder(lane: number, order: DispatchOrder): void {
    assert(lane >= 0 && lane < this.config.lanes, "the lane is one of the topic's");
    for (const listener of [...this.#lanes]) if (listener.lane === lane) listener.onOrder(order);
  }

  /** Adds a result; gives its offset. */
  addResult(partition: number, result: AttemptResult): number {
    const kept = this.partition(partition);
    const offset = kept.lowOffset + kept.records.length;
    const timeMs = Math.floor(this.#clock.wallUs() / 1000);
    kept.records.push({ offset, keyText: keyText(result.key), timeMs, result });
    if (kept.records.length > this.config.maxKeptResults) {
      const dropped = Math.ceil(this.config.maxKeptResults / 10);
      kept.records.splice(0, dropped);
      kept.lowOffset += dropped;
    }
    this.#tellReaders();
    return offset;
  }

  /** Changes of executions that are kept, oldest first. */
  get changes(): readonly ExecutionChange[] {
    return this.#changes;
  }

  /** Adds a change of an execution. */
  addChange(change: ExecutionChange): void {
    const { maxKeptResults } = this.config;
    this.#changes.push(change);
    if (this.#changes.length > maxKeptResults) this.#changes.splice(0, Math.ceil(maxKeptResults / 10));
  }

  /** The records of a partition that are kept. */
  partition(partition: number): KeptPartition {
    const kept = this.#partitions[partition];
    assert(kept !== undefined, "the partition is one of the topic's");
    return kept;
  }

  /** Calls back with each order of a lane from now on; gives what ends that. */
  listen(lane: number, onOrder: (order: DispatchOrder) => void): () => void {
    const listener = { lane, onOrder };
    this.#lanes.add(listener);
    return () => this.#lanes.delete(listener);
  }

  /** Calls back when there may be more to read; gives what ends that. */
  watch(reader: () => void): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  #tellReaders(): void {
    for (const reader of [...this.#readers]) reader();
  }

  #empty(): KeptPartition[] {
    return Array.from({ length: this.config.resultPartitions }, () => ({ lowOffset: 0, records: [] }));
  }
}
