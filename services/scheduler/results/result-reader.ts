import type { ResultRecord, SchedulerBus } from "../../common/port/bus.ts";
import type { Clock } from "../../common/port/clock.ts";
import { type Store, StoreUnavailable } from "../../common/port/store.ts";
import type { BatchOffsets } from "../../common/port/store-executions.ts";
import type { StoredPartition } from "../../common/port/store-offsets.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { WakeableLoop } from "../dispatch/wakeable-loop.ts";
import type { Hints } from "../hints.ts";
import { firstOffsetAfterLoss, judgeRecordBefore } from "./partition-check.ts";
import { tellOutcomes } from "./result-effects.ts";
import type { ResultSpans } from "./result-spans.ts";

/** Who owns a partition now. */
export interface PartitionOwners {
  ownsPartition(partition: number): boolean;
  onChange(listener: () => void): () => void;
}

/** Limits and times of the reader. */
export type ResultReaderConfig = {
  /** Results stored in one transaction. */
  readonly maxBatchRows: number;
  /** A partition that stands still this long with records waiting is taken by anyone (rule 30). */
  readonly backstopMs: number;
  /** Time between two checks that the topic is the one that was read (rule 27). */
  readonly checkIntervalMs: number;
};

/** What is needed to read a partition on. */
type Reading = {
  stored: StoredPartition;
  /** True until the record before the offset was compared with the stored key (rule 27). */
  unchecked: boolean;
};

/** Between two looks at who owns what and who stands still. */
const ROUND_MS = 1_000;
/** Between two tries to store a batch while the store is away. */
const RETRY_MS = 250;

/**
 * Rules 3, 4, 27 and 30: reads the result partitions that this scheduler owns
 * and stores their results with their offset, compared and moved in the same
 * transaction. The offset lives in the store alone. At take-over, after a
 * reconnect and each minute the reader goes back by one record and compares
 * its key with the one stored: a topic that was made anew, truncated or
 * swapped is noticed, and then the partition's generation is raised, by which
 * executors know to produce again what they keep.
 */
export class ResultReader {
  readonly #deps: {
    store: Store;
    bus: SchedulerBus;
    owners: PartitionOwners;
    hints: Hints;
    spans: ResultSpans;
    clock: Clock;
    log: Logger;
  };
  readonly #config: ResultReaderConfig;
  readonly #reading = new Map<number, Reading>();
  /** Partitions of others that stood still: their offset, and since when. */
  readonly #still = new Map<number, { offset: number; sinceMs: number }>();
  readonly #abort = new AbortController();
  readonly #loop: WakeableLoop;
  #unlisten: () => void = () => {};
  #checkedMs = Number.NEGATIVE_INFINITY;
  #onStored: (partition: StoredPartition) => void = () => {};

  constructor(
    deps: {
      store: Store;
      bus: SchedulerBus;
      owners: PartitionOwners;
      hints: Hints;
      spans: ResultSpans;
      clock: Clock;
      log: Logger;
    },
    config: ResultReaderConfig,
  ) {
    this.#deps = deps;
    this.#config = config;
    const work = { name: "result reader", intervalMs: ROUND_MS, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  /** Calls back after each batch that was stored here: executors may forget what is stored. */
  onStored(callback: (partition: StoredPartition) => void): void {
    this.#onStored = callback;
  }

  start(): void {
    this.#deps.bus.onResults((partition, records) => this.#store(partition, records));
    this.#unlisten = this.#deps.owners.onChange(() => this.#loop.wake());
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#unlisten();
    this.#abort.abort();
    await this.#loop.stop();
  }

  /** Takes what is owned and not read, drops what is no longer owned, and checks what is due. */
  async runOnce(): Promise<boolean> {
    const { bus, store, owners, clock } = this.#deps;
    const stored = await store.offsets.read(bus.resultPartitions);
    const nowMs = clock.monotonicMs();
    const checkAll = nowMs - this.#checkedMs >= this.#config.checkIntervalMs;
    if (checkAll) this.#checkedMs = nowMs;
    let changed = false;
    const wanted = new Set(stored.map(({ partition }) => partition).filter((p) => owners.ownsPartition(p)));
    for (const partition of await this.#standing(stored, wanted)) wanted.add(partition);
    for (const partition of [...this.#reading.keys()]) {
      if (wanted.has(partition)) continue;
      this.#reading.delete(partition);
      changed = true;
    }
    for (const row of stored) {
      if (!wanted.has(row.partition) || (this.#reading.has(row.partition) && !checkAll)) continue;
      this.#reading.set(row.partition, { stored: row, unchecked: true });
      changed = true;
    }
    if (changed) this.#seek();
    if (checkAll) await this.#checkEnds();
    return false;
  }

  /** Rule 27: a topic that ends below what was stored of it was made anew, even before a record comes. */
  async #checkEnds(): Promise<void> {
    for (const { partition, endOffset } of await this.#deps.bus.resultBounds()) {
      const reading = this.#reading.get(partition);
      if (reading !== undefined && endOffset < reading.stored.nextOffset) await this.#raise(reading);
    }
  }

  /** Reads on from what each partition's reading says; one record earlier where the record before is to be compared. */
  #seek(): void {
    const positions = [...this.#reading.values()].map(({ stored, unchecked }) => ({
      partition: stored.partition,
      offset: Math.max(unchecked ? stored.nextOffset - 1 : stored.nextOffset, 0),
    }));
    this.#deps.bus.readResults(positions);
  }

  /** Partitions of others that have records and whose stored offset has not moved for the backstop time. */
  async #standing(stored: readonly StoredPartition[], owned: ReadonlySet<number>): Promise<readonly number[]> {
    const nowMs = this.#deps.clock.monotonicMs();
    const suspects = stored.filter(({ partition, nextOffset }) => {
      if (owned.has(partition)) return false;
      const seen = this.#still.get(partition);
      if (seen?.offset !== nextOffset) this.#still.set(partition, { offset: nextOffset, sinceMs: nowMs });
      return seen?.offset === nextOffset && nowMs - seen.sinceMs >= this.#config.backstopMs;
    });
    if (suspects.length === 0) return [];
    const bounds = new Map((await this.#deps.bus.resultBounds()).map((bound) => [bound.partition, bound.endOffset]));
    return suspects
      .filter(({ partition, nextOffset }) => (bounds.get(partition) ?? 0) > nextOffset)
      .map((s) => s.partition);
  }

  /** One batch of the bus. It returns when all of it is stored, or when the partition is to be read from elsewhere. */
  async #store(partition: number, records: readonly ResultRecord[]): Promise<void> {
    let left = records;
    while (left.length > 0 && !this.#abort.signal.aborted) {
      const reading = this.#reading.get(partition);
      if (reading === undefined) return;
      try {
        // A batch that does not begin at the stored offset: something between is gone.
        if ((left[0]?.offset ?? 0) > reading.stored.nextOffset) reading.unchecked = true;
        const checked = reading.unchecked ? await this.#check(reading, left) : left;
        if (checked === null) return;
        left = checked;
        const batch = left
          .filter(({ offset }) => offset >= reading.stored.nextOffset)
          .slice(0, this.#config.maxBatchRows);
        if (batch.length === 0) return;
        if (!(await this.#storeBatch(reading, batch))) return;
        left = left.filter(({ offset }) => offset >= reading.stored.nextOffset);
      } catch (error) {
        if (!(error instanceof StoreUnavailable))
          this.#deps.log.error({ err: error, partition }, "results could not be stored");
        await this.#deps.clock.sleep(RETRY_MS, this.#abort.signal);
      }
    }
  }

  /** Rule 27. Answers the records that are new, or null when the partition is read anew from elsewhere. */
  async #check(reading: Reading, records: readonly ResultRecord[]): Promise<readonly ResultRecord[] | null> {
    const { stored } = reading;
    const verdict = await judgeRecordBefore(stored, records, () => this.#boundsOf(stored.partition));
    if (verdict === "same") {
      reading.unchecked = false;
      return records.filter(({ offset }) => offset >= stored.nextOffset);
    }
    await this.#raise(reading);
    return null;
  }

  /** Raises the generation, by which executors know to produce again, and reads from where records may be new. */
  async #raise({ stored }: Reading): Promise<void> {
    const fromOffset = await firstOffsetAfterLoss(this.#deps.bus, stored);
    const raised = await this.#deps.store.offsets.raiseGeneration(stored.partition, stored.generation, fromOffset);
    const { partition, generation } = stored;
    if (raised)
      this.#deps.log.warn(
        { partition, generation, fromOffset },
        "the result topic lost records; its generation was raised",
      );
    await this.#readAnew(partition);
  }

  async #boundsOf(partition: number) {
    return (await this.#deps.bus.resultBounds()).find((bound) => bound.partition === partition) ?? null;
  }

  /** True when it was stored; false when another owner was first and the partition is read from what is stored. */
  async #storeBatch(reading: Reading, batch: readonly ResultRecord[]): Promise<boolean> {
    const last = batch.at(-1);
    if (last === undefined) return true;
    const { stored } = reading;
    const offsets: BatchOffsets = {
      partition: stored.partition,
      generation: stored.generation,
      firstOffset: stored.nextOffset,
      nextOffset: last.offset + 1,
      lastKey: last.keyText,
    };
    const results = batch.flatMap(({ result }) => (result === null ? [] : [result]));
    const spans = this.#deps.spans.start(results);
    const outcome = await this.#deps.store.executions.storeResults(results, offsets).catch((error: unknown) => {
      spans.end(error);
      throw error;
    });
    spans.end(null);
    if (outcome.kind === "offset_conflict") {
      await this.#readAnew(stored.partition);
      return false;
    }
    reading.stored = { ...stored, nextOffset: offsets.nextOffset, lastKey: offsets.lastKey };
    tellOutcomes(this.#deps.hints, outcome.results);
    this.#onStored(reading.stored);
    return true;
  }

  async #readAnew(partition: number): Promise<void> {
    const rows = await this.#deps.store.offsets.read(this.#deps.bus.resultPartitions);
    const row = rows.find((candidate) => candidate.partition === partition);
    if (row === undefined || !this.#reading.has(partition)) return;
    this.#reading.set(partition, { stored: row, unchecked: true });
    this.#seek();
  }
}
