import { BusUnavailable, type PartitionBounds, type ResultRecord, type SchedulerBus } from "../../common/port/bus.ts";
import type { Clock } from "../../common/port/clock.ts";
import { type Store, StoreUnavailable } from "../../common/port/store.ts";
import type { BatchOffsets } from "../../common/port/store-executions.ts";
import type { StoredPartition } from "../../common/port/store-offsets.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import { batchLength, resultBytes, unstorable } from "./batch-bounds.ts";
import { firstOffsetAfterLoss, judgeBatch, judgeBounds } from "./partition-check.ts";
import { type PartitionReading, PartitionReadings } from "./partition-readings.ts";
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

/** What a ResultReader is given. */
export type ResultReaderDeps = {
  readonly store: Store;
  readonly bus: SchedulerBus;
  readonly owners: PartitionOwners;
  readonly hints: Hints;
  readonly spans: ResultSpans;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Between two looks at who owns what and who stands still. */
const ROUND_MS = 1_000;
/** Between two tries while store or bus is away. */
const RETRY_MS = 250;
/** Times that a position is asked for; what does not begin there then is not there. */
const MAX_SEEKS = 2;
/** Tries to store one result that the store refuses, before its attempt ends without it (rule 4). */
const MAX_TRIES = 3;

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
  readonly #deps: ResultReaderDeps;
  readonly #config: ResultReaderConfig;
  readonly #readings: PartitionReadings;
  readonly #handling = new Set<Promise<void>>();
  readonly #loop: WakeableLoop;
  #abort = new AbortController();
  #unlisten: (() => void) | null = null;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #wasHealthy = true;
  #onStored: (partition: StoredPartition) => void = () => {};

  constructor(deps: ResultReaderDeps, config: ResultReaderConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#readings = new PartitionReadings(deps.bus, config.backstopMs);
    const work = { name: "result reader", intervalMs: ROUND_MS, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  /** Calls back after each batch that was stored here: executors may forget what is stored. */
  onStored(callback: (partition: StoredPartition) => void): void {
    this.#onStored = callback;
  }

  /** Does nothing while it runs. */
  start(): void {
    if (this.#unlisten !== null) return;
    this.#abort = new AbortController();
    this.#deps.bus.onResults((partition, records) => this.#handle(partition, records));
    this.#unlisten = this.#deps.owners.onChange(() => this.#loop.wake());
    this.#loop.start();
  }

  /** Ends after the batches that are being stored. */
  async stop(): Promise<void> {
    if (this.#unlisten === null) return;
    this.#unlisten();
    this.#unlisten = null;
    this.#abort.abort();
    await this.#loop.stop();
    await Promise.all(this.#handling);
    this.#readings.clear();
  }

  /** Takes what is owned and not read, drops what is no longer owned, and checks what is due. */
  async runOnce(): Promise<boolean> {
    const { bus, store, owners, clock } = this.#deps;
    const rows = await store.offsets.read(bus.resultPartitions);
    const bounds = once(() => bus.resultBounds());
    try {
      const isCheckDue = this.#isCheckDue();
      const changed = this.#readings.takeOwned(rows, (partition) => owners.ownsPartition(partition));
      if (isCheckDue) this.#readings.goBack();
      if (changed || isCheckDue) this.#readings.name();
      const isHelping = await this.#readings.takeStanding(rows, clock.monotonicMs(), bounds);
      if (isHelping) this.#readings.name();
      if (isCheckDue || isHelping) await this.#checkEnds(rows, await bounds());
    } catch (error) {
      // What could not be asked is asked once the bus is back.
      if (!(error instanceof BusUnavailable)) throw error;
      this.#wasHealthy = false;
    }
    return false;
  }

  /** True after a reconnect, and each minute. */
  #isCheckDue(): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    const { healthy } = this.#deps.bus.health();
    const isBack = healthy && !this.#wasHealthy;
    this.#wasHealthy = healthy;
    if (!isBack && nowMs - this.#checkedMs < this.#config.checkIntervalMs) return false;
    this.#checkedMs = nowMs;
    return true;
  }

  /** Rule 27: a topic that ends below what was stored of it was made anew, even before a record comes. */
  async #checkEnds(rows: readonly StoredPartition[], bounds: readonly PartitionBounds[]): Promise<void> {
    for (const { partition, endOffset } of bounds) {
      const reading = this.#readings.get(partition);
      // What had been stored before the end was asked for: it may have gone on since.
      const stored = rows.find((row) => row.partition === partition);
      if (reading !== undefined && stored !== undefined && endOffset < stored.nextOffset) await this.#raise(reading);
    }
  }

  #handle(partition: number, records: readonly ResultRecord[]): Promise<void> {
    const handling = this.#store(partition, records).finally(() => this.#handling.delete(handling));
    this.#handling.add(handling);
    return handling;
  }

  /** One batch of the bus. It returns when all of it is stored, or when the partition is to be read from elsewhere. */
  async #store(partition: number, records: readonly ResultRecord[]): Promise<void> {
    const handed = this.#readings.get(partition);
    const last = records.at(-1);
    if (handed !== undefined && last !== undefined) handed.position = last.offset + 1;
    let left = records;
    let limit = this.#config.maxBatchRows;
    let tries = 0;
    while (left.length > 0 && !this.#abort.signal.aborted) {
      const reading = this.#readings.get(partition);
      if (reading === undefined) return;
      try {
        const fresh = await this.#fresh(reading, left);
        if (fresh === null || fresh.length === 0) return;
        const batch = fresh.slice(
          0,
          batchLength(fresh, limit, ({ result }) => (result === null ? 0 : resultBytes(result))),
        );
        const outcome = await this.#storeBatch(reading, batch, tries);
        if (outcome === "conflict") return;
        left = outcome === "stored" ? fresh.slice(batch.length) : fresh;
        limit = outcome === "stored" ? Math.min(limit * 2, this.#config.maxBatchRows) : Math.ceil(batch.length / 2);
        tries = outcome === "refused" && batch.length === 1 ? tries + 1 : 0;
      } catch (error) {
        if (!(error instanceof StoreUnavailable || error instanceof BusUnavailable))
          this.#deps.log.error({ err: error, partition }, "results could not be stored");
        await this.#deps.clock.sleep(RETRY_MS, this.#abort.signal);
      }
    }
  }

  /** Rule 27. Answers the records that are next, or null when the partition is read anew from elsewhere. */
  async #fresh(reading: PartitionReading, records: readonly ResultRecord[]): Promise<readonly ResultRecord[] | null> {
    const { stored } = reading;
    let judgement = judgeBatch(stored, reading.unchecked, records);
    if (judgement.kind === "unsure") {
      const bounds = (await this.#deps.bus.resultBounds()).find(({ partition }) => partition === stored.partition);
      if (bounds === undefined) throw new BusUnavailable("the bus does not know the partition");
      const verdict = judgeBounds(stored, bounds);
      const first = records[0]?.offset ?? 0;
      if (verdict.kind === "nothing_before") judgement = judgeBatch(stored, false, records);
      const offset = verdict.kind === "read" ? verdict.offset : stored.nextOffset;
      // What was asked for is not there: something between is gone.
      if (verdict.kind === "lost" || (reading.sought >= MAX_SEEKS && first > offset)) judgement = { kind: "lost" };
      else if (judgement.kind === "unsure") await this.#seek(reading, offset);
    }
    if (judgement.kind === "lost") await this.#raise(reading);
    if (judgement.kind !== "take") return null;
    reading.unchecked = false;
    reading.sought = 0;
    return judgement.records;
  }

  /** Asks for a partition from an offset on, from inside the handler. */
  async #seek(reading: PartitionReading, offset: number): Promise<void> {
    // The bus gave something else than it was asked for: it is asked again, a little later.
    if (reading.sought > 0) await this.#deps.clock.sleep(RETRY_MS, this.#abort.signal);
    reading.position = offset;
    reading.sought += 1;
    this.#readings.name();
  }

  /** Raises the generation, by which executors know to produce again, and reads from where records may be new. */
  async #raise(reading: PartitionReading): Promise<void> {
    const { store, bus, log } = this.#deps;
    const { partition, generation, nextOffset } = reading.stored;
    const row = await this.#rowOf(partition);
    // Judged by what another owner has moved since: it is read and judged anew.
    if (row !== undefined && row.generation === generation && row.nextOffset === nextOffset) {
      const fromOffset = await firstOffsetAfterLoss(bus, row);
      if (await store.offsets.raiseGeneration(partition, generation, fromOffset)) {
        log.warn({ partition, generation, fromOffset }, "the result topic lost records; its generation was raised");
      }
    }
    await this.#readAnew(reading);
  }

  /** "refused" when the store does not take it as it is, "conflict" when the partition is read from what is stored. */
  async #storeBatch(
    reading: PartitionReading,
    batch: readonly ResultRecord[],
    tries: number,
  ): Promise<StoreBatchOutcome> {
    const { stored } = reading;
    const last = batch.at(-1);
    if (last === undefined) return "stored";
    const offsets: BatchOffsets = {
      partition: stored.partition,
      generation: stored.generation,
      firstOffset: stored.nextOffset,
      nextOffset: last.offset + 1,
      lastKey: last.keyText,
    };
    const outcome = await this.#tryBatch(batch, offsets, tries);
    if (outcome === null) return "refused";
    if (outcome.kind === "offset_conflict") {
      if (reading.backstop) this.#readings.drop(reading);
      await this.#readAnew(reading);
      return "conflict";
    }
    const { nextOffset, lastKey } = offsets;
    if (reading.stored === stored) reading.stored = { ...stored, nextOffset, lastKey };
    tellOutcomes(this.#deps.hints, outcome.results);
    this.#onStored(reading.stored);
    return "stored";
  }

  /** Rule 4: one result that nothing helps does not stop its partition. Null when the store refuses the batch. */
  async #tryBatch(batch: readonly ResultRecord[], offsets: BatchOffsets, tries: number) {
    const { store, log } = this.#deps;
    const whole = batch.flatMap(({ result }) => (result === null ? [] : [result]));
    const results = tries < MAX_TRIES ? whole : tries === MAX_TRIES ? whole.map(unstorable) : [];
    const spans = this.#deps.spans.start(results);
    try {
      const outcome = await store.executions.storeResults(results, offsets);
      spans.end(null);
      return outcome;
    } catch (error) {
      spans.end(error);
      if (error instanceof StoreUnavailable || tries > MAX_TRIES) throw error;
      const { partition, firstOffset } = offsets;
      log.error({ err: error, partition, firstOffset, count: batch.length }, "the store refuses results");
      if (batch.length === 1) await this.#deps.clock.sleep(RETRY_MS, this.#abort.signal);
      return null;
    }
  }

  async #readAnew(reading: PartitionReading): Promise<void> {
    const row = await this.#rowOf(reading.stored.partition);
    if (row !== undefined) this.#readings.goTo(reading, row);
    this.#readings.name();
  }

  async #rowOf(partition: number): Promise<StoredPartition | undefined> {
    const rows = await this.#deps.store.offsets.read(this.#deps.bus.resultPartitions);
    return rows.find((row) => row.partition === partition);
  }
}

type StoreBatchOutcome = "stored" | "conflict" | "refused";

/** Asks at most once. */
function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null;
  return () => (asked ??= ask());
}
