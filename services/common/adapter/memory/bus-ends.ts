import type { AttemptResult } from "../../domain/attempt.ts";
import type { DispatchOrder } from "../../domain/dispatch.ts";
import { JobmeshError } from "../../error/jobmesh-error.ts";
import {
  BusUnavailable,
  type ExecutionChange,
  type ExecutorBus,
  type Health,
  type PartitionBounds,
  type ResultPosition,
  type ResultRecord,
  type SchedulerBus,
} from "../../port/bus.ts";
import type { Clock, Timer } from "../../port/clock.ts";
import { encodeExecutionChange } from "../../wire/execution-event.ts";
import type { MemoryTopics } from "./bus-topics.ts";

/** Rule 28: payload that a record may have, as Kafka's topics take it. */
const MAX_PAYLOAD_BYTES = 2 * 1024 * 1024 - 1_024;

/** What both ends share: whether it runs, health, and sends that end in time. */
class MemoryEnd {
  readonly kind = "memory";
  protected readonly topics: MemoryTopics;
  protected readonly clock: Clock;
  protected running = false;
  readonly #sends = new Set<(error: Error) => void>();

  constructor(topics: MemoryTopics, clock: Clock) {
    this.topics = topics;
    this.clock = clock;
  }

  get resultPartitions(): number {
    return this.topics.config.resultPartitions;
  }

  health(): Health {
    if (!this.running) return { healthy: false, message: "the bus is not started" };
    return this.topics.away ? { healthy: false, message: "the bus is away" } : { healthy: true, message: "" };
  }

  protected unavailable(): BusUnavailable {
    return new BusUnavailable(this.health().message);
  }

  /** Takes what is sent at the next turn; while the bus is away it rejects after the timeout. */
  protected send<T>(payloadBytes: number, take: () => T): Promise<T> {
    if (!this.running) return Promise.reject(this.unavailable());
    if (payloadBytes > MAX_PAYLOAD_BYTES) return Promise.reject(new JobmeshError("MESSAGE_TOO_LARGE"));
    return new Promise<T>((resolve, reject) => {
      const settle = (outcome: () => void): void => {
        timer.cancel();
        this.#sends.delete(refuse);
        outcome();
      };
      const refuse = (error: Error): void => settle(() => reject(error));
      const timer: Timer = this.clock.setTimer(this.topics.away ? this.topics.config.sendTimeoutMs : 0, () =>
        this.topics.away ? refuse(this.unavailable()) : settle(() => resolve(take())),
      );
      this.#sends.add(refuse);
    });
  }

  protected end(): void {
    this.running = false;
    for (const refuse of [...this.#sends]) refuse(this.unavailable());
  }
}

/** An executor's end of a memory bus. */
export class MemoryExecutorBus extends MemoryEnd implements ExecutorBus {
  #onOrder: (order: DispatchOrder) => void = () => {};
  #unlisten: () => void = () => {};

  async start(lane: number): Promise<void> {
    if (this.running) return;
    if (this.topics.away) throw new BusUnavailable("the bus is away");
    this.#unlisten = this.topics.listen(lane, (order) => this.#onOrder(order));
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
    const { outcome, output, errorOutput } = result;
    const answerBytes = outcome.kind === "succeeded" ? outcome.result.length : 0;
    const payloadBytes = answerBytes + output.length + errorOutput.length;
    return this.send(payloadBytes, () => ({ partition, offset: this.topics.addResult(partition, result) }));
  }
}

/** Before results that the handler rejected are handed over again. */
const REDELIVER_MS = 250;

/** One partition that is read, and where. */
type Cursor = { offset: number };

/** A scheduler's end of a memory bus. */
export class MemorySchedulerBus extends MemoryEnd implements SchedulerBus {
  #handler: (partition: number, records: readonly ResultRecord[]) => Promise<void> = async () => {};
  readonly #cursors = new Map<number, Cursor>();
  /** Partitions of which the handler has a batch. */
  readonly #busy = new Set<number>();
  #unwatch: () => void = () => {};
  #round: Timer | null = null;
  #stopping = new AbortController();

  async start(): Promise<void> {
    if (this.running) return;
    if (this.topics.away) throw new BusUnavailable("the bus is away");
    this.#stopping = new AbortController();
    this.running = true;
    this.#unwatch = this.topics.watch(() => this.#wake());
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#unwatch();
    this.#stopping.abort();
    this.#round?.cancel();
    this.#round = null;
    this.end();
  }

  sendOrder(lane: number, order: DispatchOrder): Promise<void> {
    return this.send(order.target.bytes.length, () => this.topics.addOrder(lane, order));
  }

  sendExecution(change: ExecutionChange): Promise<void> {
    return this.send(encodeExecutionChange(change).length, () => this.topics.addChange(change));
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
      const { lowOffset, records } = this.topics.partition(partition);
      return { partition, lowOffset, endOffset: lowOffset + records.length };
    });
  }

  async offsetSince(partition: number, timeMs: number): Promise<number> {
    if (!this.health().healthy) throw this.unavailable();
    const { lowOffset, records } = this.topics.partition(partition);
    return records.find((record) => record.timeMs >= timeMs)?.offset ?? lowOffset + records.length;
  }

  #wake(): void {
    if (!this.running || this.#round !== null) return;
    this.#round = this.clock.setTimer(0, () => {
      this.#round = null;
      if (this.topics.away) return;
      for (const [partition, cursor] of this.#cursors) if (!this.#busy.has(partition)) this.#deliver(partition, cursor);
    });
  }

  #deliver(partition: number, cursor: Cursor): void {
    const { lowOffset, records } = this.topics.partition(partition);
    // Like a consumer that finds its offset out of range: it reads what there is from the beginning.
    if (cursor.offset < lowOffset || cursor.offset > lowOffset + records.length) cursor.offset = lowOffset;
    const from = cursor.offset - lowOffset;
    const batch = records.slice(from, from + this.topics.config.maxDelivered);
    if (batch.length === 0) return;
    this.#busy.add(partition);
    cursor.offset += batch.length;
    void this.#handOver(partition, batch, cursor, lowOffset + from).then(() => {
      this.#busy.delete(partition);
      this.#wake();
    });
  }

  /** What the handler did not take is handed over again, unless the partition is read from elsewhere by then. */
  async #handOver(partition: number, batch: readonly ResultRecord[], cursor: Cursor, from: number): Promise<void> {
    try {
      await this.#handler(partition, batch);
    } catch {
      await this.clock.sleep(REDELIVER_MS, this.#stopping.signal);
      if (cursor.offset === from + batch.length) cursor.offset = from;
    }
  }
}
