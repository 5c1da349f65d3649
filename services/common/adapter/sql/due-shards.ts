import { int } from "./row-reader.ts";
import type { SqlSession } from "./session.ts";

/** A table's index of timers: its shard, then its time; rows without a timer are not in it. */
export type TimerIndex = { readonly table: "executions" | "jobs"; readonly shard: string; readonly time: string };

/** SCHEDULED executions, by the time at which they become ready. */
export const executionTimers: TimerIndex = { table: "executions", shard: "timer_shard", time: "ready_us" };
/** Jobs, by their next fire. */
export const jobTimers: TimerIndex = { table: "jobs", shard: "due_shard", time: "next_fire_us" };

/**
 * Those of the shards that have a row due by a time, found by one look at the head of each shard that has rows at all:
 * timers are looked at each second, mostly for nothing, and an IN list of 256 shards is 256 searches of an index.
 */
export async function dueShards(
  session: SqlSession,
  index: TimerIndex,
  shards: readonly number[],
  untilUs: number,
): Promise<number[]> {
  const heads = await session.query(session.dialect.kind === "sqlite" ? sqliteHeads(index) : mysqlHeads(index));
  const due = new Set(heads.filter((row) => int(row, "head_us") <= untilUs).map((row) => int(row, "shard_id")));
  return shards.filter((shard) => due.has(shard));
}

/** Jumps from shard to shard: SQLite has no loose index scan of its own. */
function sqliteHeads({ table, shard, time }: TimerIndex): string {
  return `WITH RECURSIVE head(id) AS (
      SELECT MIN(${shard}) FROM ${table} WHERE ${shard} IS NOT NULL
      UNION ALL
      SELECT (SELECT MIN(${shard}) FROM ${table} WHERE ${shard} > id) FROM head WHERE id IS NOT NULL
    )
    SELECT id AS shard_id, (SELECT MIN(${time}) FROM ${table} WHERE ${shard} = id) AS head_us
    FROM head WHERE id IS NOT NULL`;
}

/** One loose index scan, "Using index for group-by". */
function mysqlHeads({ table, shard, time }: TimerIndex): string {
  return `SELECT ${shard} AS shard_id, MIN(${time}) AS head_us FROM ${table} WHERE ${shard} >= 0 GROUP BY ${shard}`;
}
