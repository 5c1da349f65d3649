import type { PartitionBounds, SchedulerBus } from "../../common/port/bus.ts";
import type { StoredPartition } from "../../common/port/store-offsets.ts";
import { firstOffsetToRead } from "./partition-check.ts";
import { StandingPartitions } from "./standing-partitions.ts";

/** What is needed to read a partition on. */
export type PartitionReading = {
  stored: StoredPartition;
  /** True until the record before the offset was compared with the stored key (rule 27). */
  unchecked: boolean;
  /** Where the bus goes on: what it was asked for, or the offset after what it handed over. */
  position: number;
  /** Times in a row that the handler itself asked for the position: what is handed over next begins there. */
  sought: number;
  /** True when it is another's that stood still. */
  backstop: boolean;
};

/** The partitions that are read here: the owned ones, and others that stand still (rule 30). */
export class PartitionReadings {
  readonly #bus: SchedulerBus;
  readonly #readings = new Map<number, PartitionReading>();
  readonly #standing: StandingPartitions;

  constructor(bus: SchedulerBus, backstopMs: number) {
    this.#bus = bus;
    this.#standing = new StandingPartitions(backstopMs);
  }

  get(partition: number): PartitionReading | undefined {
    return this.#readings.get(partition);
  }

  /** Reads what is owned, and no more what is another's who moves it. True when it reads other partitions than before. */
  takeOwned(rows: readonly StoredPartition[], isOwned: (partition: number) => boolean): boolean {
    let changed = false;
    for (const row of rows) {
      const reading = this.#readings.get(row.partition);
      if (isOwned(row.partition)) {
        if (reading === undefined) this.#read(row, false);
        else reading.backstop = false;
        changed ||= reading === undefined;
      } else if (reading !== undefined && !(reading.backstop && row.nextOffset <= reading.stored.nextOffset)) {
        changed = this.#readings.delete(row.partition);
      }
    }
    return changed;
  }

  /**
   * Reads others' that stand still, as long as they have more. True when it
   * reads other partitions than before.
   */
  async takeStanding(
    rows: readonly StoredPartition[],
    nowMs: number,
    bounds: () => Promise<readonly PartitionBounds[]>,
  ): Promise<boolean> {
    const left = await this.#leaveRead(bounds);
    const others = rows.filter(({ partition }) => !this.#readings.has(partition));
    const standing = await this.#standing.find(others, nowMs, bounds);
    for (const row of standing) this.#read(row, true);
    return left || standing.length > 0;
  }

  /** Others' of which all is read: should they have more, their owner may take it. */
  async #leaveRead(bounds: () => Promise<readonly PartitionBounds[]>): Promise<boolean> {
    const helped = [...this.#readings.values()].filter(({ backstop }) => backstop);
    if (helped.length === 0) return false;
    const ends = new Map((await bounds()).map(({ partition, endOffset }) => [partition, endOffset]));
    const read = helped.filter(({ stored }) => (ends.get(stored.partition) ?? 0) === stored.nextOffset);
    for (const reading of read) this.drop(reading);
    return read.length > 0;
  }

  /** Reads each partition from the record before on. */
  goBack(): void {
    for (const reading of this.#readings.values()) startAnew(reading, reading.stored);
  }

  /** Reads one from what the store has of it. */
  goTo(reading: PartitionReading, stored: StoredPartition): void {
    if (this.#readings.get(stored.partition) === reading) startAnew(reading, stored);
  }

  /** Reads a partition no more. */
  drop(reading: PartitionReading): void {
    if (this.#readings.get(reading.stored.partition) === reading) this.#readings.delete(reading.stored.partition);
  }

  /** Says to the bus what is read; a partition whose position it has anyway goes on. */
  name(): void {
    this.#bus.readResults([...this.#readings].map(([partition, { position }]) => ({ partition, offset: position })));
  }

  clear(): void {
    this.#readings.clear();
    this.name();
  }

  #read(stored: StoredPartition, backstop: boolean): void {
    const position = firstOffsetToRead(stored);
    this.#readings.set(stored.partition, { stored, unchecked: true, position, sought: 0, backstop });
  }
}

function startAnew(reading: PartitionReading, stored: StoredPartition): void {
  reading.stored = stored;
  reading.unchecked = true;
  reading.sought = 0;
  reading.position = firstOffsetToRead(stored);
}
