import type { StoredOffset } from "../../common/domain/session.ts";
import type { OffsetStore, StoredPartition } from "../../common/port/store-offsets.ts";

/**
 * How far the partitions of the result topic are stored, for heartbeats' answers
 * (rule 18): read anew each beat, and told at once by the loop here that
 * stores results. It may be behind, which only makes executors keep results
 * longer; it is never ahead of the store.
 */
export class StoredOffsetsView {
  readonly #store: OffsetStore;
  readonly #partitionCount: number;
  readonly #partitions = new Map<number, StoredOffset>();
  #all: readonly StoredOffset[] = [];
  #version = 0;

  /** @param partitionCount partitions of the result topic; 0 where there is no bus. */
  constructor(store: OffsetStore, partitionCount: number) {
    this.#store = store;
    this.#partitionCount = partitionCount;
  }

  /** Rises with each change. */
  get version(): number {
    return this.#version;
  }

  /** All partitions that are known. */
  all(): readonly StoredOffset[] {
    return this.#all;
  }

  /** Reads all partitions. */
  async refresh(): Promise<void> {
    if (this.#partitionCount === 0) return;
    for (const partition of await this.#store.read(this.#partitionCount)) this.#take(partition);
    this.#all = [...this.#partitions.values()];
  }

  /** A batch was stored here: its partition moved. */
  stored(partition: Pick<StoredPartition, "partition" | "generation" | "nextOffset">): void {
    this.#take(partition);
    this.#all = [...this.#partitions.values()];
  }

  /** A reading that was overtaken by a later one changes nothing. */
  #take({ partition, generation, nextOffset }: StoredOffset): void {
    const known = this.#partitions.get(partition);
    if (known !== undefined) {
      if (generation < known.generation) return;
      if (generation === known.generation && nextOffset <= known.nextOffset) return;
    }
    this.#partitions.set(partition, { partition, generation, nextOffset });
    this.#version += 1;
  }
}
