/**
 * Executions that have not ended, each found by one of four indexes whose
 * leading column is NULL once the row is not to be found by it: those that wait
 * for their time, for a claim, for a gate, and those that are active. History
 * is never read.
 */
const LIVE_COLUMNS = ["timer_shard", "claim_route", "waiting_gate", "active_executor"];

/** A query over live executions, as one statement and so one state of the store. `condition` is on their columns. */
export function liveExecutions(columns: string, condition: string): string {
  return LIVE_COLUMNS.map(
    (leading) => `SELECT ${columns} FROM executions WHERE ${leading} IS NOT NULL AND ${condition}`,
  ).join(" UNION ALL ");
}

/** How often a parameter of the condition stands in the query. */
export const LIVE_PARTS = LIVE_COLUMNS.length;
