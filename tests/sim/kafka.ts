/**
 * The Kafka of a simulated mesh: the broker with both topics. Records are late,
 * come twice, are read again or never; a partition loses its tail; a topic is
 * made anew. What a sender was told is not always what stands.
 */
import type { AttemptResult } from "../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../services/common/domain/dispatch.ts";
import { keyText } from "../../services/common/domain/identifier.ts";
import { decodeOrder, encodeOrder } from "../../services/common/wire/dispatch-event.ts";
import { encodeResult } from "../../services/common/wire/result-event.ts";
import { ExecutionTopic } from "./execution-topic.ts";
import type { Network } from "./network.ts";
import type { SeededRandom } from "./random.ts";

/** Machine name. */
export const KAFKA = "kafka";

/** How badly Kafka behaves. */
export type KafkaFaults = {
  /** Records are read up to this much later. */
  lateMs: number;
  /** Part of records that are written twice. */
  twiceShare: number;
  /** Part of records that are written although their sender is told that they are not. */
  deniedShare: number;
  /** Part of orders that are taken and never read: the topic was made anew before. */
  lostShare: number;
  /** Part of reads that begin some records before the consumer's position. */
  rereadShare: number;
};

/** A record of the result topic. */
export type Stored = {
  readonly keyText: string;
  /** True time, and by the producer's clock. */
  readonly writtenMs: number;
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  readonly trace: Trace;
};
type Trace = { readonly traceparent: string; readonly tracestate: string };
type Partition = { lowOffset: number; records: Stored[] };
/** Who reads a lane. */
export type LaneReader = { readonly lane: number; readonly take: (order: () => DispatchOrder) => void };

/** SimKafka is the broker. */
export class SimKafka {
  readonly faults: KafkaFaults = { lateMs: 0, twiceShare: 0, deniedShare: 0, lostShare: 0, rereadShare: 0 };
  readonly resultPartitions: number;
  /** True when it has ever lost records. */
  hasForgotten = false;
  readonly network: Network;
  readonly random: SeededRandom;
  readonly laneReaders = new Set<LaneReader>();
  readonly resultReaders = new Set<() => void>();
  /** What schedulers tell of executions. */
  readonly executions = new ExecutionTopic();
  /** Who has stood at a lane: "PROCESS LANE". */
  readonly stood = new Set<string>();
  /**
   * Keys of results that were lost here, and of those that took the offset of a lost one: where the loss is not noticed
   * yet, what is stored up to an offset cannot be told from what is not (docs/simulator.md).
   */
  readonly lost = new Set<string>();
  /** The highest end that each partition ever had. */
  readonly #highestEnds: number[] = [];
  /** The same as each incarnation has seen it, by its own records. */
  readonly #ownEnds = new Map<string, number>();
  /** Keys of results at an offset that another record had before: who has not noticed yet takes them for stored. */
  readonly #reused = new Set<string>();
  /** How often each order was sent here, by its key. */
  readonly sent = new Map<string, number>();
  #partitions: Partition[];
  /** Orders are acknowledged, and no lane has them: the dispatch topic was made anew. */
  losesOrders = false;
  #isAway = false;

  constructor(network: Network, random: SeededRandom, resultPartitions: number) {
    this.network = network;
    this.random = random;
    this.resultPartitions = resultPartitions;
    this.#partitions = this.#empty();
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  /** While true nothing is taken or read. */
  set isAway(isAway: boolean) {
    this.#isAway = isAway;
    if (!isAway) this.#wakeReaders();
  }

  partition(partition: number): Partition {
    const kept = this.#partitions[partition];
    if (kept === undefined) throw new RangeError(`partition ${partition}`);
    return kept;
  }

  addOrder(lane: number, order: DispatchOrder): void {
    if (this.losesOrders || this.random.chance(this.faults.lostShare)) return;
    const bytes = encodeOrder(order).finish();
    const { traceparent, tracestate } = order;
    for (const reader of [...this.laneReaders]) {
      if (reader.lane === lane) reader.take(() => decodeOrder(bytes, { traceparent, tracestate }));
    }
  }

  addResult(partition: number, result: AttemptResult, timeMs: number): number {
    const kept = this.partition(partition);
    const trace = { traceparent: result.traceparent, tracestate: result.tracestate ?? "" };
    const writtenMs = this.network.nowMs;
    const key = keyText(result.key);
    kept.records.push({ keyText: key, writtenMs, timeMs, bytes: encodeResult(result), trace });
    this.#wakeReaders();
    const endOffset = kept.lowOffset + kept.records.length;
    const producer = `${partition} ${result.incarnation}`;
    const ownEnd = this.#ownEnds.get(producer) ?? 0;
    const isTaken = endOffset <= (this.#highestEnds[partition] ?? 0);
    // An executor that wrote there before sees that offsets fall.
    if (isTaken && ownEnd < endOffset) this.lost.add(key);
    if (isTaken) this.#reused.add(key);
    else this.#highestEnds[partition] = endOffset;
    this.#ownEnds.set(producer, Math.max(ownEnd, endOffset));
    return endOffset - 1;
  }

  /** When a result was written that is here; null when none is. */
  writtenMs(key: string): number | null {
    const records = this.#partitions.flatMap((partition) => partition.records);
    return records.find((record) => record.keyText === key)?.writtenMs ?? null;
  }

  /** Whether a result took the place of a lost one in a partition that has grown again to what was stored of it. */
  seemsStored(key: string, nextOffsets: ReadonlyMap<number, number>): boolean {
    return (
      this.#reused.has(key) &&
      this.#partitions.some(({ lowOffset, records }, partition) => {
        const nextOffset = nextOffsets.get(partition) ?? 0;
        const at = records.findIndex((record) => record.keyText === key);
        return at >= 0 && lowOffset + at < nextOffset && nextOffset <= lowOffset + records.length;
      })
    );
  }

  /** Whether the result of an attempt was lost, or took the offset of one that was. */
  hasLost(executionId: string, attempt: number): boolean {
    const head = `${executionId}/${attempt}/`;
    return [...this.lost].some((key) => key.startsWith(head));
  }

  /** Rule 27: the newest records of a partition are gone, as after an unclean election. */
  truncate(partition: number, count: number): number {
    this.hasForgotten = true;
    const gone = this.partition(partition).records.splice(-count);
    for (const record of gone) this.lost.add(record.keyText);
    this.#wakeReaders();
    return gone.length;
  }

  /** Rule 27: the result topic is made anew, and begins at 0. */
  remake(): void {
    this.hasForgotten = true;
    for (const { records } of this.#partitions) for (const record of records) this.lost.add(record.keyText);
    this.#partitions = this.#empty();
    this.#wakeReaders();
  }

  #wakeReaders(): void {
    for (const wake of [...this.resultReaders]) wake();
  }

  #empty(): Partition[] {
    return Array.from({ length: this.resultPartitions }, () => ({ lowOffset: 0, records: [] }));
  }
}
