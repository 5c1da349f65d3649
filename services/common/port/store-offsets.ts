/** How far a partition of the result topic is stored (rules 3, 27). */
export type StoredPartition = {
  readonly partition: number;
  /** Rises when the partition lost records. From 0. */
  readonly generation: number;
  /** First offset that is not stored. */
  readonly nextOffset: number;
  /** Text of the key of the record before it; empty when nothing was stored yet. */
  readonly lastKey: string;
  readonly storedUs: number;
};

/** Offsets of the result partitions. */
export interface OffsetStore {
  /** All partitions; rows that are not there are made with offset 0 for partitions 0 to `count` - 1. */
  read(count: number): Promise<readonly StoredPartition[]>;
  /** Rule 27: raises the generation by compare-and-set and moves the offset; false when another did. */
  raiseGeneration(partition: number, generation: number, nextOffset: number): Promise<boolean>;
}
