import type { PartitionBounds } from "../../common/port/bus.ts";
import type { StoredPartition } from "../../common/port/store-offsets.ts";

/**
 * Rule 30: finds result partitions of others that stand still although they
 * have records, or were made anew: their owner is cut off, and anyone may read them.
 */
export class StandingPartitions {
  readonly #backstopMs: number;
  /** Offset of each partition of others, and since when it is that. */
  readonly #seen = new Map<number, { readonly offset: number; readonly sinceMs: number }>();

  /** @param backstopMs how long a partition stands still before it is taken */
  constructor(backstopMs: number) {
    this.#backstopMs = backstopMs;
  }

  /** Of these partitions, none of which is read here, those that stand still. Asks for bounds only where it must. */
  async find(
    stored: readonly StoredPartition[],
    nowMs: number,
    bounds: () => Promise<readonly PartitionBounds[]>,
  ): Promise<readonly StoredPartition[]> {
    const present = new Set(stored.map(({ partition }) => partition));
    for (const partition of this.#seen.keys()) if (!present.has(partition)) this.#seen.delete(partition);
    const suspects = stored.filter((row) => this.#stoodStill(row, nowMs));
    if (suspects.length === 0) return [];
    const ends = new Map((await bounds()).map(({ partition, endOffset }) => [partition, endOffset]));
    // One that ends before what was stored of it was made anew (rule 27): its owner should have noticed that, too.
    return suspects.filter(({ partition, nextOffset }) => (ends.get(partition) ?? nextOffset) !== nextOffset);
  }

  #stoodStill({ partition, nextOffset }: StoredPartition, nowMs: number): boolean {
    const seen = this.#seen.get(partition);
    if (seen?.offset === nextOffset) return nowMs - seen.sinceMs >= this.#backstopMs;
    this.#seen.set(partition, { offset: nextOffset, sinceMs: nowMs });
    return false;
  }
}
