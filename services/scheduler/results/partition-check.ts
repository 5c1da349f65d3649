/**
 * Rule 27: topics can vanish. The record before the stored offset has to be
 * the one whose key was stored with it.
 */
import type { PartitionBounds, ResultRecord, SchedulerBus } from "../../common/port/bus.ts";
import type { StoredPartition } from "../../common/port/store-offsets.ts";

/** A topic that lost records is read on from this long before the last store: results are stored once all the same. */
const REREAD_MS = 600_000;

/**
 * Judges a partition by the first records read from one before its stored
 * offset on. "lost" when the record there has another key, when the log ends
 * below the stored offset, or when it begins elsewhere than it should. The
 * comparison is left out where the record before lies below the log's start
 * (retention took it) and the end is not below the stored offset.
 */
export async function judgeRecordBefore(
  stored: StoredPartition,
  records: readonly ResultRecord[],
  bounds: () => Promise<PartitionBounds | null>,
): Promise<"same" | "lost"> {
  const first = records[0];
  if (first === undefined) return "same";
  if (stored.nextOffset === 0) return first.offset === 0 || (await keptFrom(stored, first, bounds)) ? "same" : "lost";
  if (first.offset === stored.nextOffset - 1) return first.keyText === stored.lastKey ? "same" : "lost";
  return (await keptFrom(stored, first, bounds)) ? "same" : "lost";
}

/** True when the log begins past the record before, as retention leaves it, and reaches the stored offset. */
async function keptFrom(
  stored: StoredPartition,
  first: ResultRecord,
  bounds: () => Promise<PartitionBounds | null>,
): Promise<boolean> {
  const bound = await bounds();
  if (bound === null) return false;
  return (
    bound.lowOffset >= stored.nextOffset && first.offset >= bound.lowOffset && bound.endOffset >= stored.nextOffset
  );
}

/** Where a partition that lost records is read from: the first record not older than the last store less ten minutes. */
export function firstOffsetAfterLoss(bus: SchedulerBus, stored: StoredPartition): Promise<number> {
  return bus.offsetSince(stored.partition, Math.max(Math.floor(stored.storedUs / 1000) - REREAD_MS, 0));
}
