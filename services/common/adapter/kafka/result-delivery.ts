import type { KafkaMessage } from "kafkajs";
import type { ResultRecord } from "../../port/bus.ts";
import type { Clock } from "../../port/clock.ts";
import type { Logger } from "../../runtime/log.ts";
import type { PartitionSink } from "./partition-consumer.ts";
import { readResult } from "./records.ts";
import { ResultQueue } from "./result-queue.ts";

/** The consumer as the delivery steers it. */
export type FetchControl = {
  seek(partition: number, offset: number): void;
  pause(partition: number): void;
  resume(partition: number): void;
};

/** What a delivery needs. */
export type ResultDeliveryDeps = { readonly clock: Clock; readonly log: Logger; readonly fetch: () => FetchControl };

/** Its limits. */
export type ResultDeliveryConfig = {
  readonly resultPartitions: number;
  readonly maxDelivered: number;
  readonly maxWaitingBytes: number;
};

/** Takes results of one partition; what it rejects is handed to it again. */
export type ResultHandler = (partition: number, records: readonly ResultRecord[]) => Promise<void>;

/** Before results that the handler rejected are handed over again. */
const REDELIVER_MS = 250;

/**
 * ResultDelivery stands between the fetcher and the handler. The fetcher waits
 * for everything that one fetch brought, so it only leaves records here; each
 * partition is handed over at its handler's pace, one batch at a time, and is
 * fetched no further while enough of it waits.
 */
export class ResultDelivery implements PartitionSink {
  readonly #deps: ResultDeliveryDeps;
  readonly #config: ResultDeliveryConfig;
  readonly #queues: readonly ResultQueue[];
  #handler: ResultHandler = async () => {};
  #stopping = new AbortController();

  constructor(deps: ResultDeliveryDeps, config: ResultDeliveryConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#queues = Array.from({ length: config.resultPartitions }, (_, partition) => new ResultQueue(partition));
  }

  /** Who takes the results. */
  set handler(handler: ResultHandler) {
    this.#handler = handler;
  }

  /** SchedulerBus.readResults. */
  read(positions: readonly { readonly partition: number; readonly offset: number }[]): void {
    const named = new Map(positions.map(({ partition, offset }) => [partition, offset]));
    for (const queue of this.#queues) {
      const offset = named.get(queue.partition);
      if (offset === undefined) {
        if (!queue.reading) continue;
        queue.drop();
        this.#deps.fetch().pause(queue.partition);
      } else if (!queue.reading || offset !== queue.nextOffset) {
        queue.seek(offset);
        this.#deps.fetch().seek(queue.partition, offset);
      }
    }
  }

  fetchOffset(partition: number): number | null {
    const queue = this.#queues[partition];
    if (queue === undefined || !queue.reading) return null;
    queue.paused = false;
    return queue.fetchOffset;
  }

  take(partition: number, messages: readonly KafkaMessage[]): void {
    const queue = this.#queues[partition];
    if (queue === undefined || !queue.reading) return;
    queue.push(messages);
    if (queue.bytes > this.#config.maxWaitingBytes && !queue.paused) {
      queue.paused = true;
      this.#deps.fetch().pause(partition);
    }
    this.#deliver(queue);
  }

  /** Hands over nothing more until `open`. */
  close(): void {
    this.#stopping.abort();
    for (const queue of this.#queues) if (queue.reading) queue.seek(queue.nextOffset);
  }

  /** Hands over again. */
  open(): void {
    this.#stopping = new AbortController();
  }

  #deliver(queue: ResultQueue): void {
    if (queue.busy || !queue.reading || this.#stopping.signal.aborted) return;
    const messages = queue.take(this.#config.maxDelivered);
    if (messages.length === 0) return;
    queue.busy = true;
    if (queue.paused && queue.bytes < this.#config.maxWaitingBytes / 2) {
      queue.paused = false;
      this.#deps.fetch().resume(queue.partition);
    }
    void this.#handOver(queue, messages.map(readResult)).then(() => {
      queue.busy = false;
      this.#deliver(queue);
    });
  }

  async #handOver(queue: ResultQueue, records: readonly ResultRecord[]): Promise<void> {
    const { epoch } = queue;
    const { signal } = this.#stopping;
    for (;;) {
      try {
        return await this.#handler(queue.partition, records);
      } catch (err) {
        this.#deps.log.error({ err, partition: queue.partition }, "results were not taken; handing them over again");
        await this.#deps.clock.sleep(REDELIVER_MS, signal);
        if (signal.aborted || queue.epoch !== epoch) return;
      }
    }
  }
}
