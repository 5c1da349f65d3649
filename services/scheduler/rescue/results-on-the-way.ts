/**
 * Rule 15: loss waits for what is already on its way. A lost executor that
 * produced to Kafka may have results there that nobody stored yet: the end
 * offsets are read once it is lost, and its attempts end only when the stored
 * offsets have reached them. While the bus is away nobody knows what is there:
 * attempts under LOST_POLICY_FAIL wait for it, those under RETRY for a while.
 */
import type { ExecutorRecord } from "../../common/domain/executor.ts";
import type { SchedulerBus } from "../../common/port/bus.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { StoredPartition } from "../../common/port/store-offsets.ts";

/** Which attempts of a lost executor may end now. */
export type MayEnd = "all" | "under_retry" | "none";

/** End offset and generation of each partition that has results not yet stored. */
type Ends = Map<number, { readonly endOffset: number; readonly generation: number }>;

type Awaited = {
  /** null until they could be asked for; empty when all is stored. */
  ends: Ends | null;
  /** Since when the bus has been away, by the monotonic clock; null while it is there. */
  awaySinceMs: number | null;
};

/** Says when the results that a lost executor had produced are stored. */
export class ResultsOnTheWay {
  readonly #deps: { readonly store: Store; readonly bus: SchedulerBus | null; readonly clock: Clock };
  readonly #busWaitMs: number;
  readonly #awaited = new Map<string, Awaited>();

  /** @param busWaitMs how long attempts under LOST_POLICY_RETRY wait for a bus that is away */
  constructor(deps: { store: Store; bus: SchedulerBus | null; clock: Clock }, busWaitMs: number) {
    this.#deps = deps;
    this.#busWaitMs = busWaitMs;
  }

  /** Asked again each beat until it says "all". */
  async mayEnd(record: ExecutorRecord): Promise<MayEnd> {
    const { bus, store } = this.#deps;
    // A result by session counts when it is stored, and nothing is awaited for it.
    if (record.lane === null || bus === null) return "all";
    const awaited = this.#awaitedOf(record);
    // It is lost, so nothing of it was produced since.
    if (awaited.ends?.size === 0) return "all";
    const rows = await store.offsets.read(bus.resultPartitions);
    awaited.ends ??= await endsAbove(bus, rows);
    const isBusThere = awaited.ends !== null && bus.health().healthy;
    if (awaited.ends !== null) this.#takeStored(awaited, awaited.ends, rows);
    if (awaited.ends?.size === 0) return "all";
    return this.#isGivenUp(awaited, isBusThere) ? "under_retry" : "none";
  }

  /** Forgets all but these: others have no attempts any more. */
  retain(records: readonly ExecutorRecord[]): void {
    const names = new Set(records.map(nameOf));
    for (const name of this.#awaited.keys()) if (!names.has(name)) this.#awaited.delete(name);
  }

  #awaitedOf(record: ExecutorRecord): Awaited {
    const name = nameOf(record);
    const known = this.#awaited.get(name);
    if (known !== undefined) return known;
    const awaited: Awaited = { ends: null, awaySinceMs: null };
    this.#awaited.set(name, awaited);
    return awaited;
  }

  #takeStored(awaited: Awaited, ends: Ends, rows: readonly StoredPartition[]): void {
    for (const { partition, generation, nextOffset } of rows) {
      const end = ends.get(partition);
      // A partition of another generation lost what it had: the ends are read anew.
      if (end !== undefined && end.generation !== generation) awaited.ends = null;
      else if (end !== undefined && nextOffset >= end.endOffset) ends.delete(partition);
    }
  }

  #isGivenUp(awaited: Awaited, isBusThere: boolean): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    awaited.awaySinceMs = isBusThere ? null : (awaited.awaySinceMs ?? nowMs);
    return awaited.awaySinceMs !== null && nowMs - awaited.awaySinceMs >= this.#busWaitMs;
  }
}

function nameOf({ executorId, incarnation }: ExecutorRecord): string {
  return `${executorId}/${incarnation}`;
}

/** Partitions with records that are not stored; null when the bus could not be asked. */
async function endsAbove(bus: SchedulerBus, rows: readonly StoredPartition[]): Promise<Ends | null> {
  const bounds = await bus.resultBounds().catch(() => null);
  if (bounds === null) return null;
  const ends: Ends = new Map();
  for (const { partition, endOffset } of bounds) {
    const row = rows.find((candidate) => candidate.partition === partition);
    if (row === undefined || endOffset === row.nextOffset) continue;
    // One that ends below what was stored of it was made anew, and nobody has noticed yet (rule 27): what its new log
    // holds is on the way too, and is read once its generation was raised.
    const awaitedOffset = endOffset < row.nextOffset ? Number.POSITIVE_INFINITY : endOffset;
    ends.set(partition, { endOffset: awaitedOffset, generation: row.generation });
  }
  return ends;
}
