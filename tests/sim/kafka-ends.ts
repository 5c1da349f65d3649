/** Each process's end of a simulated Kafka: the bus that schedulers and executors are handed. */
import type { AttemptResult } from "../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../services/common/domain/dispatch.ts";
import { keyText } from "../../services/common/domain/identifier.ts";
import {
  BusUnavailable,
  type ExecutionChange,
  type ExecutorBus,
  type Health,
  type PartitionBounds,
  type ResultPosition,
  type ResultRecord,
  type SchedulerBus,
} from "../../services/common/port/bus.ts";
import { decodeResult } from "../../services/common/wire/result-event.ts";
import { KAFKA, type LaneReader, type SimKafka, type Stored } from "./kafka.ts";
import type { Place } from "./stream.ts";

/** After this a send that was not acknowledged rejects. */
const SEND_TIMEOUT_MS = 1_000;
/** Before records that the handler rejected are handed over again. */
const REDELIVER_MS = 250;
/** Records handed over at once. */
const MAX_DELIVERED = 200;

/** What both ends share. */
class SimBusEnd {
  readonly kind = "kafka";
  protected readonly kafka: SimKafka;
  protected readonly place: Place;
  protected isRunning = false;
  #lastFailed = false;

  constructor(kafka: SimKafka, place: Place) {
    this.kafka = kafka;
    this.place = place;
  }

  get resultPartitions(): number {
    return this.kafka.resultPartitions;
  }

  health(): Health {
    if (!this.isRunning) return { healthy: false, message: "the bus is not started" };
    return { healthy: !this.#lastFailed, message: this.#lastFailed ? "Kafka did not answer" : "" };
  }

  /** A call that the broker answers. */
  protected ask<T>(answer: () => T): Promise<T> {
    const { kafka, place } = this;
    const { network } = kafka;
    return new Promise((resolve, reject) => {
      const late = place.process.setTimer(SEND_TIMEOUT_MS, () => {
        this.#lastFailed = true;
        reject(new BusUnavailable("Kafka did not answer in time"));
      });
      if (network.isBlocked(place.machine, KAFKA)) return;
      network.later(() => {
        if (kafka.isAway) return;
        const value = answer();
        if (network.isBlocked(KAFKA, place.machine)) return;
        place.process.deliver(network.latencyMs(), () => {
          late.cancel();
          this.#lastFailed = false;
          resolve(value);
        });
      });
    });
  }

  /** Writes a record; gives what `write` gave, unless the sender is to be deceived. */
  protected async produce<T>(write: () => T): Promise<T> {
    if (!this.isRunning) throw new BusUnavailable("the bus is not started");
    const { random, faults } = this.kafka;
    const isTwice = random.chance(faults.twiceShare);
    const isDenied = random.chance(faults.deniedShare);
    const value = await this.ask(() => {
      const first = write();
      return isTwice ? write() : first;
    });
    if (isDenied) throw new BusUnavailable("the acknowledgement was lost");
    return value;
  }
}

/** An executor's end. */
export class SimExecutorBus extends SimBusEnd implements ExecutorBus {
  #onOrder: (order: DispatchOrder) => void = () => {};
  #reader: LaneReader | null = null;
  #lastArrivalMs = 0;

  async start(lane: number): Promise<void> {
    if (this.isRunning) return;
    await this.ask(() => {
      const reader: LaneReader = { lane, take: (order) => this.#receive(order) };
      this.#reader = reader;
      this.kafka.laneReaders.add(reader);
      this.kafka.stood.add(`${this.place.process.name} ${lane}`);
      this.place.process.onDeath(() => void this.kafka.laneReaders.delete(reader));
    });
    this.isRunning = true;
  }

  async stop(): Promise<void> {
    this.isRunning = false;
    if (this.#reader !== null) this.kafka.laneReaders.delete(this.#reader);
  }

  onOrder(handler: (order: DispatchOrder) => void): void {
    this.#onOrder = handler;
  }

  sendResult(partition: number, result: AttemptResult): Promise<ResultPosition> {
    return this.produce(() => {
      const timeMs = Math.floor(this.place.process.wallUs() / 1_000);
      return { partition, offset: this.kafka.addResult(partition, result, timeMs) };
    });
  }

  /** A lane keeps its order; what cannot come through waits. */
  #receive(order: () => DispatchOrder): void {
    const { network, random, faults } = this.kafka;
    const go = (): void => {
      if (network.isBlocked(KAFKA, this.place.machine)) {
        const forget = network.onHealed(() => {
          forget();
          go();
        });
        return;
      }
      const lateMs = faults.lateMs > 0 ? random.unit() * faults.lateMs : 0;
      this.#lastArrivalMs = Math.max(this.#lastArrivalMs, network.nowMs + network.latencyMs() + lateMs);
      this.place.process.deliver(this.#lastArrivalMs - network.nowMs, () => {
        if (this.isRunning) this.#onOrder(order());
      });
    };
    go();
  }
}

type Cursor = { offset: number };

/** A scheduler's end. */
export class SimSchedulerBus extends SimBusEnd implements SchedulerBus {
  #handler: (partition: number, records: readonly ResultRecord[]) => Promise<void> = async () => {};
  readonly #cursors = new Map<number, Cursor>();
  readonly #busy = new Set<number>();
  readonly #wake = (): void => this.#look();
  #isLooking = false;

  async start(): Promise<void> {
    if (this.isRunning) return;
    await this.ask(() => {
      this.kafka.resultReaders.add(this.#wake);
      this.place.process.onDeath(() => void this.kafka.resultReaders.delete(this.#wake));
    });
    this.isRunning = true;
    this.#look();
  }

  async stop(): Promise<void> {
    this.isRunning = false;
    this.kafka.resultReaders.delete(this.#wake);
  }

  sendOrder(lane: number, order: DispatchOrder): Promise<void> {
    const { sent } = this.kafka;
    const key = keyText(order.key);
    sent.set(key, (sent.get(key) ?? 0) + 1);
    return this.produce(() => this.kafka.addOrder(lane, order));
  }

  async sendExecution(change: ExecutionChange): Promise<void> {
    const { executions } = this.kafka;
    const isTaken = await this.produce(() => executions.add(change));
    if (!isTaken) throw new BusUnavailable("the topic has no leader");
  }

  readResults(positions: readonly { readonly partition: number; readonly offset: number }[]): void {
    const named = new Map(positions.map(({ partition, offset }) => [partition, offset]));
    for (const partition of [...this.#cursors.keys()]) if (!named.has(partition)) this.#cursors.delete(partition);
    // A position of its own, so that a batch under way does not move what was sought meanwhile.
    for (const [partition, offset] of named) {
      if (this.#cursors.get(partition)?.offset !== offset) this.#cursors.set(partition, { offset });
    }
    this.#look();
  }

  onResults(handler: (partition: number, records: readonly ResultRecord[]) => Promise<void>): void {
    this.#handler = handler;
  }

  resultBounds(): Promise<readonly PartitionBounds[]> {
    return this.ask(() =>
      Array.from({ length: this.resultPartitions }, (_, partition) => {
        const { lowOffset, records } = this.kafka.partition(partition);
        return { partition, lowOffset, endOffset: lowOffset + records.length };
      }),
    );
  }

  offsetSince(partition: number, timeMs: number): Promise<number> {
    return this.ask(() => {
      const { lowOffset, records } = this.kafka.partition(partition);
      const at = records.findIndex((record) => record.timeMs >= timeMs);
      return lowOffset + (at < 0 ? records.length : at);
    });
  }

  #look(): void {
    if (this.#isLooking || !this.isRunning) return;
    this.#isLooking = true;
    const { network, random, faults } = this.kafka;
    const { process, machine } = this.place;
    process.deliver(network.latencyMs() + random.unit() * faults.lateMs, () => {
      this.#isLooking = false;
      if (!this.isRunning || this.kafka.isAway) return;
      if (network.isBlocked(KAFKA, machine) || network.isBlocked(machine, KAFKA)) {
        const forget = network.onHealed(() => {
          forget();
          this.#look();
        });
        return;
      }
      for (const [partition, cursor] of this.#cursors) if (!this.#busy.has(partition)) this.#deliver(partition, cursor);
    });
  }

  #deliver(partition: number, cursor: Cursor): void {
    const { lowOffset, records } = this.kafka.partition(partition);
    // A consumer whose offset is out of range reads from the beginning (rule 27).
    if (cursor.offset < lowOffset || cursor.offset > lowOffset + records.length) cursor.offset = lowOffset;
    const { random, faults } = this.kafka;
    if (random.chance(faults.rereadShare)) cursor.offset = Math.max(cursor.offset - random.below(5), lowOffset);
    const from = cursor.offset;
    const batch = records.slice(from - lowOffset, from - lowOffset + MAX_DELIVERED);
    if (batch.length === 0) return;
    this.#busy.add(partition);
    cursor.offset += batch.length;
    void this.#handOver(
      partition,
      batch.map((record, at) => resultRecord(record, from + at)),
      cursor,
      from,
    ).then(() => {
      this.#busy.delete(partition);
      this.#look();
    });
  }

  async #handOver(partition: number, batch: readonly ResultRecord[], cursor: Cursor, from: number): Promise<void> {
    try {
      await this.#handler(partition, batch);
    } catch {
      await this.place.process.sleep(REDELIVER_MS);
      cursor.offset = from;
    }
  }
}

function resultRecord({ keyText, timeMs, bytes, trace }: Stored, offset: number): ResultRecord {
  return { offset, keyText, timeMs, result: decodeResult(bytes, trace.traceparent, trace.tracestate) };
}
