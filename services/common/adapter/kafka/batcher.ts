/**
 * Rule 28: records are sent in batches, one in flight while the next one
 * collects, cut at 900 KiB a partition. Where the broker refuses records for
 * what they are, the batch is halved until only the one at fault fails. A
 * record that is not known to be there after its time rejects; it may be there
 * all the same, which whoever sent it must stand.
 */
import { JobmeshError } from "../../error/jobmesh-error.ts";
import { BusUnavailable } from "../../port/bus.ts";
import type { Clock, Timer } from "../../port/clock.ts";
import { MAX_PARTITION_BATCH_BYTES, MAX_RECORD_BYTES } from "./config.ts";
import { faultText } from "./fault.ts";
import { type OutgoingRecord, recordBytes } from "./records.ts";

/** The broker refused records for what they are: sent again they would be refused again. */
export class RecordsRefused extends Error {
  override readonly name = "RecordsRefused";
}

/** Sends a batch. Gives each record's offset, in their order; throws RecordsRefused, or anything when it is not known. */
export type SendBatch = (records: readonly OutgoingRecord[]) => Promise<readonly number[]>;

/** Limits and times of a Batcher. */
export type BatcherConfig = {
  readonly sendTimeoutMs: number;
  readonly maxQueuedRecords: number;
  readonly maxQueuedBytes: number;
  readonly maxBatchRecords: number;
  readonly maxBatchBytes: number;
};

type Entry = {
  readonly record: OutgoingRecord;
  readonly bytes: number;
  readonly dueMs: number;
  readonly resolve: (offset: number) => void;
  readonly reject: (error: Error) => void;
  settled: boolean;
};

/** Batcher sends single records together. */
export class Batcher {
  readonly #clock: Clock;
  readonly #send: SendBatch;
  readonly #config: BatcherConfig;
  /** Not sent yet, oldest first. */
  #queue: Entry[] = [];
  #inFlight: readonly Entry[] = [];
  #queuedBytes = 0;
  #flush: Timer | null = null;
  #patience: Timer | null = null;
  #sendingSinceMs: number | null = null;
  #fault: { readonly text: string; readonly atMs: number } | null = null;
  #closed = false;
  readonly #closing: (() => void)[] = [];

  constructor(clock: Clock, send: SendBatch, config: BatcherConfig) {
    this.#clock = clock;
    this.#send = send;
    this.#config = config;
  }

  /** Why what is sent now would not arrive, as far as the last batches tell; "" when nothing says so. */
  get trouble(): string {
    const nowMs = this.#clock.monotonicMs();
    const { sendTimeoutMs } = this.#config;
    if (this.#sendingSinceMs !== null && nowMs - this.#sendingSinceMs > sendTimeoutMs) return "it takes no records";
    // After a batch that failed another try is worth it soon: nothing else tells that it is over.
    return this.#fault !== null && nowMs - this.#fault.atMs < sendTimeoutMs ? this.#fault.text : "";
  }

  /** Resolves with the record's offset; rejects with BusUnavailable, or MESSAGE_TOO_LARGE for this record alone. */
  add(record: OutgoingRecord): Promise<number> {
    const bytes = recordBytes(record);
    if (this.#closed) return Promise.reject(new BusUnavailable("the bus is stopped"));
    if (bytes > MAX_RECORD_BYTES) return Promise.reject(tooLarge(record, `${bytes} of ${MAX_RECORD_BYTES} bytes`));
    const count = this.#queue.length + this.#inFlight.length;
    if (count >= this.#config.maxQueuedRecords || this.#queuedBytes + bytes > this.#config.maxQueuedBytes) {
      return Promise.reject(new BusUnavailable("too much waits to be sent"));
    }
    return new Promise((resolve, reject) => {
      const dueMs = this.#clock.monotonicMs() + this.#config.sendTimeoutMs;
      this.#queue.push({ record, bytes, dueMs, resolve, reject, settled: false });
      this.#queuedBytes += bytes;
      this.#armFlush();
      this.#armPatience();
    });
  }

  /** Takes no more; waits for what is on its way, which ends by its timeouts. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#open() > 0) await new Promise<void>((resolve) => this.#closing.push(resolve));
    this.#flush?.cancel();
    this.#patience?.cancel();
  }

  /** Records whose senders wait. */
  #open(): number {
    let open = this.#queue.length;
    for (const entry of this.#inFlight) if (!entry.settled) open++;
    return open;
  }

  /** What is sent in this turn travels together. */
  #armFlush(): void {
    if (this.#flush !== null || this.#inFlight.length > 0 || this.#queue.length === 0) return;
    this.#flush = this.#clock.setTimer(0, () => {
      this.#flush = null;
      void this.#sendNext();
    });
  }

  async #sendNext(): Promise<void> {
    this.#inFlight = this.#cut();
    this.#sendingSinceMs = this.#clock.monotonicMs();
    await this.#sendAll(this.#inFlight);
    for (const { bytes } of this.#inFlight) this.#queuedBytes -= bytes;
    this.#inFlight = [];
    this.#sendingSinceMs = null;
    this.#tellClosed();
    this.#armFlush();
  }

  /** Takes the next batch: in order, up to the first record that does not fit. */
  #cut(): readonly Entry[] {
    const { maxBatchRecords, maxBatchBytes } = this.#config;
    const partitions = new Map<string, number>();
    let bytes = 0;
    let count = 0;
    for (const { record, bytes: own } of this.#queue) {
      const place = `${record.partition}/${record.topic}`;
      const inPartition = partitions.get(place) ?? 0;
      const fits = inPartition === 0 || inPartition + own <= MAX_PARTITION_BATCH_BYTES;
      if (!fits || count === maxBatchRecords || (count > 0 && bytes + own > maxBatchBytes)) break;
      partitions.set(place, inPartition + own);
      bytes += own;
      count++;
    }
    if (count < this.#queue.length) return this.#queue.splice(0, count);
    const all = this.#queue;
    this.#queue = [];
    return all;
  }

  async #sendAll(entries: readonly Entry[]): Promise<void> {
    try {
      const offsets = await this.#send(entries.map(({ record }) => record));
      this.#fault = null;
      entries.forEach((entry, at) => {
        this.#settle(entry, () => entry.resolve(offsets[at] ?? -1));
      });
    } catch (thrown) {
      if (thrown instanceof RecordsRefused) return this.#halve(entries, thrown);
      this.#fault = { text: faultText(thrown), atMs: this.#clock.monotonicMs() };
      for (const entry of entries) this.#refuse(entry, this.#fault.text);
    }
  }

  async #halve(entries: readonly Entry[], refusal: RecordsRefused): Promise<void> {
    const [first] = entries;
    if (first === undefined) return;
    if (entries.length === 1) return this.#settle(first, () => first.reject(tooLarge(first.record, refusal.message)));
    const middle = Math.ceil(entries.length / 2);
    await this.#sendAll(entries.slice(0, middle));
    await this.#sendAll(entries.slice(middle));
  }

  /** One timer for all: they were added in the order of their times. */
  #armPatience(): void {
    if (this.#patience !== null) return;
    const oldest = this.#inFlight.find((entry) => !entry.settled) ?? this.#queue[0];
    if (oldest === undefined) return;
    this.#patience = this.#clock.setTimer(Math.max(oldest.dueMs - this.#clock.monotonicMs(), 1), () => {
      this.#patience = null;
      this.#losePatience();
      this.#armPatience();
    });
  }

  #losePatience(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const entry of this.#inFlight)
      if (entry.dueMs <= nowMs) this.#refuse(entry, "the bus did not take it in time");
    const kept = this.#queue.findIndex((entry) => entry.dueMs > nowMs);
    const overdue = this.#queue.splice(0, kept < 0 ? this.#queue.length : kept);
    for (const entry of overdue) {
      this.#queuedBytes -= entry.bytes;
      this.#refuse(entry, "the bus did not take it in time");
    }
    this.#tellClosed();
  }

  #refuse(entry: Entry, why: string): void {
    this.#settle(entry, () => entry.reject(new BusUnavailable(why)));
  }

  #settle(entry: Entry, outcome: () => void): void {
    if (entry.settled) return;
    entry.settled = true;
    outcome();
  }

  #tellClosed(): void {
    if (this.#closed && this.#open() === 0) for (const resolve of this.#closing.splice(0)) resolve();
  }
}

function tooLarge({ topic, partition }: OutgoingRecord, detail: string): JobmeshError {
  const message = `a record for partition ${partition} of ${topic} is refused: ${detail}`;
  return new JobmeshError("MESSAGE_TOO_LARGE", { message });
}
