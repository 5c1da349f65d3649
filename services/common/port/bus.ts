import type { AttemptResult } from "../domain/attempt.ts";
import type { DispatchOrder } from "../domain/dispatch.ts";
import type { Execution } from "../domain/execution.ts";

/** Health of an adapter, as it last saw its backend. */
export type Health = { readonly healthy: boolean; readonly message: string };

/** Where a result stands in the result topic. */
export type ResultPosition = { readonly partition: number; readonly offset: number };

/** A result as read from the topic. A record that is no ResultEvent has `result` null and is passed over. */
export type ResultRecord = {
  readonly offset: number;
  /** Text of its key (keyText), for the check of rule 27. */
  readonly keyText: string;
  /** When the record was produced, milliseconds. */
  readonly timeMs: number;
  readonly result: AttemptResult | null;
};

/** An execution after one of its changes, for execution.v1. */
export type ExecutionChange = {
  readonly execution: Execution;
  /** When it changed, microseconds, mesh time. */
  readonly timeUs: number;
};

/** The first offset that is kept and the one after the last record. */
export type PartitionBounds = { readonly partition: number; readonly lowOffset: number; readonly endOffset: number };

/**
 * What a scheduler uses of the bus: dispatch orders out, results in. All sends
 * are batched inside the adapter (one batch in flight, the next one
 * collecting); a send resolves when all replicas have it and rejects with
 * BusUnavailable when it is not known to be there after `sendTimeoutMs`.
 */
export interface SchedulerBus {
  readonly kind: "kafka" | "memory";
  /** Number of result partitions. */
  readonly resultPartitions: number;
  /** Makes missing topics, checks the retention of those that are there, joins. */
  start(): Promise<void>;
  stop(): Promise<void>;
  health(): Health;
  /** Sends an order to its executor's lane. */
  sendOrder(lane: number, order: DispatchOrder): Promise<void>;
  /**
   * Writes a change to execution.v1, where the bus is made with that topic (rule 34). It waits for nothing that orders
   * and results wait for, nor they for it. Rejects with MESSAGE_TOO_LARGE for this change alone.
   */
  sendExecution(change: ExecutionChange): Promise<void>;
  /**
   * Reads these partitions from these offsets on, and no others; a partition
   * that is named again with another offset is read from there. Batches arrive
   * at the handler given to `onResults`, one at a time for each partition; the
   * next one of a partition is delivered when the handler's promise resolved.
   */
  readResults(positions: readonly { readonly partition: number; readonly offset: number }[]): void;
  onResults(handler: (partition: number, records: readonly ResultRecord[]) => Promise<void>): void;
  /** Low and end offsets of all result partitions, asked of the broker now. */
  resultBounds(): Promise<readonly PartitionBounds[]>;
  /** First offset whose record is not older than a time; the end when there is none. */
  offsetSince(partition: number, timeMs: number): Promise<number>;
}

/** What an executor uses of the bus: its lane in, results out. */
export interface ExecutorBus {
  readonly kind: "kafka" | "memory";
  readonly resultPartitions: number;
  /**
   * Rule 29: resolves when the lane's consumer has joined and stands at its
   * position (the end at the time of the first start): said before Hello.
   */
  start(lane: number): Promise<void>;
  /** Leaves, deletes its group. */
  stop(): Promise<void>;
  health(): Health;
  /** Every order of the lane, also those for others. The handler must return at once. */
  onOrder(handler: (order: DispatchOrder) => void): void;
  /** Produces a result with acks from all to a partition that the executor chose; rejects with BusUnavailable. */
  sendResult(partition: number, result: AttemptResult): Promise<ResultPosition>;
}

/** The bus did not take a record in time. It may or may not be there. */
export class BusUnavailable extends Error {
  override readonly name = "BusUnavailable";
}
