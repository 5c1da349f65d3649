/**
 * Rule 27: topics can vanish. The record before the stored offset has to be
 * the one whose key was stored with it, and what is read has to begin at the
 * stored offset. A batch that says nothing either way (it was on its way when
 * the partition was asked for from elsewhere) proves nothing: it is judged by
 * where the log begins and ends, and by what is read when asked for again.
 */
import type { PartitionBounds, ResultRecord, SchedulerBus } from "../../common/port/bus.ts";
import type { StoredPartition } from "../../common/port/store-offsets.ts";

/** A topic that lost records is read on from this long before the last store: results are stored once all the same. */
const REREAD_MS = 600_000;

/** What a batch is taken for. */
export type BatchJudgement =
  /** These are next. None when all of them are stored already. */
  | { readonly kind: "take"; readonly records: readonly ResultRecord[] }
  /** The topic is not the one that was read. */
  | { readonly kind: "lost" }
  /** The bounds have to say. */
  | { readonly kind: "unsure" };

/** What is to be done about a partition whose batch said nothing. */
export type BoundsJudgement =
  | { readonly kind: "lost" }
  /** The record before is gone by retention, and nothing after it: there is nothing to compare. */
  | { readonly kind: "nothing_before" }
  /** Read from here. */
  | { readonly kind: "read"; readonly offset: number };

/** Where reading begins: at the record before the stored offset where its key is known. */
export function firstOffsetToRead(stored: StoredPartition): number {
  return hasKeyBefore(stored) ? stored.nextOffset - 1 : stored.nextOffset;
}

/**
 * Judges a batch by its records alone.
 *
 * @param unchecked true when the record before has to be seen first
 */
export function judgeBatch(
  stored: StoredPartition,
  unchecked: boolean,
  records: readonly ResultRecord[],
): BatchJudgement {
  const [first] = records;
  if (first === undefined) return { kind: "take", records };
  const { nextOffset, lastKey } = stored;
  const before = records.find(({ offset }) => offset === nextOffset - 1);
  if (before !== undefined && hasKeyBefore(stored) && before.keyText !== lastKey) return { kind: "lost" };
  const fits = before !== undefined || (first.offset === nextOffset && !(unchecked && hasKeyBefore(stored)));
  return fits ? { kind: "take", records: records.filter(({ offset }) => offset >= nextOffset) } : { kind: "unsure" };
}

/** Judges a partition by where its log begins and ends now. */
export function judgeBounds(stored: StoredPartition, bounds: PartitionBounds): BoundsJudgement {
  const { nextOffset } = stored;
  if (bounds.endOffset < nextOffset || bounds.lowOffset > nextOffset) return { kind: "lost" };
  if (bounds.lowOffset === nextOffset) return { kind: "nothing_before" };
  return { kind: "read", offset: firstOffsetToRead(stored) };
}

/** Where a partition that lost records is read from: the first record not older than the last store less ten minutes. */
export function firstOffsetAfterLoss(bus: SchedulerBus, stored: StoredPartition): Promise<number> {
  return bus.offsetSince(stored.partition, Math.max(Math.floor(stored.storedUs / 1000) - REREAD_MS, 0));
}

/** After a raise of the generation the key before the new offset is not known. */
function hasKeyBefore({ nextOffset, lastKey }: StoredPartition): boolean {
  return nextOffset > 0 && lastKey !== "";
}
