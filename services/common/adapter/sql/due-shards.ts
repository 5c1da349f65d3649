import { type GroupIndex, groupHeadsSql } from "./group-heads.ts";
import { int } from "./row-reader.ts";
import type { SqlSession } from "./session.ts";

/** SCHEDULED executions, by the time at which they become ready. */
export const executionTimers: GroupIndex = { table: "executions", group: "timer_shard", order: "ready_us" };
/** Jobs, by their next fire. */
export const jobTimers: GroupIndex = { table: "jobs", group: "due_shard", order: "next_fire_us" };

/**
 * Those of the shards that have a row due by a time, found by one look at the head of each shard that has rows at all:
 * timers are looked at each second, mostly for nothing, and an IN list of 256 shards is 256 searches of an index.
 */
export async function dueShards(
  session: SqlSession,
  index: GroupIndex,
  shards: readonly number[],
  untilUs: number,
): Promise<number[]> {
  const heads = await session.query(groupHeadsSql(session, index));
  const due = new Set(heads.filter((row) => int(row, "head") <= untilUs).map((row) => int(row, "group_id")));
  return shards.filter((shard) => due.has(shard));
}
