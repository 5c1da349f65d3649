import { assert } from "../../domain/assert.ts";
import type { AttemptResult } from "../../domain/attempt.ts";
import type { DispatchOrder } from "../../domain/dispatch.ts";
import { keyText } from "../../domain/identifier.ts";
import {
  BusUnavailable,
  type ExecutorBus,
  type Health,
  type PartitionBounds,
  type ResultPosition,
  type ResultRecord,
  type SchedulerBus,
} from "../../port/bus.ts";
import type { Clock, Timer } from "../../port/clock.ts";

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
  /** Results kept of each partition; older ones are dropped, as retention does. */
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
type Partition = { lowOffset: number; records: ResultRecord[] };

type OrderListener = { readonly lane: number; readonly onOrder: (order: DispatchOrder) => void };

/**
 * MemoryBus is both topics inside one process, for the simulator and for tests:
 * `scheduler()` and `executor()` give each process of a simulated mesh its own
 * end. `away` cuts everybody off, `remakeResults` loses the result topic.
 */
export class MemoryBus {
  readonly config: MemoryBusConfig;
  readonly #clock: Clock;
  readonly #lanes = new Set<OrderListener>();
  readonly #readers = new Set<() => void>();
  #partitions: Partition[];
  #away = false;

  constructor(clock: Clock, config: Partial<MemoryBusConfig> = {}) {
    this.#clock = clock;
    this.config = { ...memoryBusDefaults, ...config };
    this.#partitions = this.#empty();
  }

  /** A scheduler's end. */
  scheduler(): SchedulerBus {
    return new MemorySchedulerBus(this, this.#clock);
  }

  /** An executor's end. */
  executor(): ExecutorBus {
    return new MemoryExecutorBus(this, this.#clock);
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

  /** The records of a partition that are kept. */
  partition(partition: number): Partition {
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

  #empty(): Partition[] {
    return Array.from({ length: this.config.resultPartitions }, () => ({ lowOffset: 0, records: [] }));
  }
}

/** What both ends share: whether it runs, health, and sends that end in time. */
class MemoryEnd {
  readonly kind = "memory";
  protected readonly bus: MemoryBus;
  protected readonly clock: Clock;
  protected running = false;
  readonly #sends = new Set<(error: Error) => void>();

  constructor(bus: MemoryBus, clock: Clock) {
    this.bus = bus;
    this.clock = clock;
  }

  get resultPartitions(): number {
    return this.bus.config.resultPartitions;
  }

  health(): Health {
    if (!this.running) return { healthy: false, message: "the bus is not started" };
    return this.bus.away ? { healthy: false, message: "the bus is away" } : { healthy: true, message: "" };
  }

  protected unavailable(): BusUnavailable {
    return new BusUnavailable(this.health().message);
  }

  /** Takes what is sent at the next turn; while the bus is away it rejects after the timeout. */
  protected send<T>(take: () => T): Promise<T> {
    if (!this.running) return Promise.reject(this.unavailable());
    return new Promise<T>((resolve, reject) => {
      const settle = (outcome: () => void): void => {
        timer.cancel();
        this.#sends.delete(refuse);
        outcome();
      };
      const refuse = (error: Error): void => settle(() => reject(error));
      const timer: Timer = this.clock.setTimer(this.bus.away ? this.bus.config.sendTimeoutMs : 0, () =>
        this.bus.away ? refuse(this.unavailable()) : settle(() => resolve(take())),
      );
      this.#sends.add(refuse);
    });
  }

  protected end(): void {
    this.running = false;
    for (const refuse of [...this.#sends]) refuse(this.unavailable());
  }
}

class MemoryExecutorBus extends MemoryEnd implements ExecutorBus {
  #onOrder: (order: DispatchOrder) => void = () => {};
  #unlisten: () => void = () => {};

  async start(lane: number): Promise<void> {
    if (this.running) return;
    if (this.bus.away) throw new BusUnavailable("the bus is away");
    this.#unlisten = this.bus.listen(lane, (order) => this.#onOrder(order));
    this.running = true;
  }

  async stop(): Promise<void> {
    this.#unlisten();
    this.end();
  }

  onOrder(handler: (order: DispatchOrder) => void): void {
    this.#onOrder = handler;
  }

  sendResult(partition: number, result: AttemptResult): Promise<ResultPosition> {
    return this.send(() => ({ partition, offset: this.bus.addResult(partition, result) }));
  }
}

/** One partition that is read, and where. */
type Cursor = { offset: number };

class MemorySchedulerBus extends MemoryEnd implements SchedulerBus {
  #handler: (partition: number, records: readonly ResultRecord[]) => Promise<void> = async () => {};
  readonly #cursors = new Map<number, Cursor>();
  /** Partitions of which the handler has a batch. */
  readonly #busy = new Set<number>();
  #unwatch: () => void = () => {};
  #round: Timer | null = null;

  async start(): Promise<void> {
    if (this.running) return;
    if (this.bus.away) throw new BusUnavailable("the bus is away");
    this.running = true;
    this.#unwatch = this.bus.watch(() => this.#wake());
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#unwatch();
    this.#round?.cancel();
    this.#round = null;
    this.end();
  }

  sendOrder(lane: number, order: DispatchOrder): Promise<void> {
    return this.send(() => this.bus.addOrder(lane, order));
  }

  readResults(positions: readonly { readonly partition: number; readonly offset: number }[]): void {
    const named = new Map(positions.map(({ partition, offset }) => [partition, offset]));
    for (const partition of [...this.#cursors.keys()]) if (!named.has(partition)) this.#cursors.delete(partition);
    for (const [partition, offset] of named) {
      const cursor = this.#cursors.get(partition);
      if (cursor === undefined) this.#cursors.set(partition, { offset });
      else cursor.offset = offset;
    }
    this.#wake();
  }

  onResults(handler: (partition: number, records: readonly ResultRecord[]) => Promise<void>): void {
    this.#handler = handler;
  }

  async resultBounds(): Promise<readonly PartitionBounds[]> {
    if (!this.health().healthy) throw this.unavailable();
    return Array.from({ length: this.resultPartitions }, (_, partition) => {
      const { lowOffset, records } = this.bus.partition(partition);
      return { partition, lowOffset, endOffset: lowOffset + records.length };
    });
  }

  async offsetSince(partition: number, timeMs: number): Promise<number> {
    if (!this.health().healthy) throw this.unavailable();
    const { lowOffset, records } = this.bus.partition(partition);
    return records.find((record) => record.timeMs >= timeMs)?.offset ?? lowOffset + records.length;
  }

  #wake(): void {
    if (!this.running || this.#round !== null) return;
    this.#round = this.clock.setTimer(0, () => {
      this.#round = null;
      if (this.bus.away) return;
      for (const [partition, cursor] of this.#cursors) if (!this.#busy.has(partition)) this.#deliver(partition, cursor);
    });
  }

  #deliver(partition: number, cursor: Cursor): void {
    const { lowOffset, records } = this.bus.partition(partition);
    // Like a consumer that finds its offset out of range: it reads what there is from the beginning.
    if (cursor.offset < lowOffset || cursor.offset > lowOffset + records.length) cursor.offset = lowOffset;
    const from = cursor.offset - lowOffset;
    const batch = records.slice(from, from + this.bus.config.maxDelivered);
    if (batch.length === 0) return;
    this.#busy.add(partition);
    cursor.offset += batch.length;
    const after = (): void => {
      this.#busy.delete(partition);
      this.#wake();
    };
    this.#handler(partition, batch).then(after, () => {
      // What the handler did not take is delivered again, unless it is read from elsewhere by now.
      if (cursor.offset === lowOffset + from + batch.length) cursor.offset = lowOffset + from;
      after();
    });
  }
}
