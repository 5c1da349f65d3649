import type { Dialect } from "./dialect.ts";

/**
 * Executions that have not ended, each found by one of four indexes whose
 * leading column is NULL once the row is not to be found by it: those that wait
 * for their time, for a claim, for a gate, and those that are active. History
 * is never read; the indexes are named, as MySQL would rather read the table
 * when many are live.
 */
const LIVE_PARTS = [
  { column: "timer_shard", index: "ix_executions_timer" },
  { column: "claim_route", index: "ix_executions_claim" },
  { column: "waiting_gate", index: "ix_executions_waiting" },
  { column: "active_executor", index: "ix_executions_active" },
];

/** How often a parameter of the condition stands in the query. */
export const LIVE_PART_COUNT = LIVE_PARTS.length;

/** A query over live executions, as one statement and so one state of the store. `condition` is on their columns. */
export function liveExecutions({ kind }: Dialect, columns: string, condition: string): string {
  return LIVE_PARTS.map(({ column, index }) => {
    const hint = kind === "mysql" ? `FORCE INDEX (${index})` : `INDEXED BY ${index}`;
    return `SELECT ${columns} FROM executions ${hint} WHERE ${column} IS NOT NULL AND ${condition}`;
  }).join(" UNION ALL ");
}
