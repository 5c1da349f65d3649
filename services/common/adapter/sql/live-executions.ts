import type { ExecutionState } from "../../domain/execution.ts";
import type { Dialect } from "./dialect.ts";

/**
 * Executions that have not ended, each found by one of four indexes whose
 * leading column is NULL once the row is not to be found by it: those that wait
 * for their time, for a claim, for a gate, and those that are active. History
 * is never read; the indexes are named, as MySQL would rather read the table
 * when many are live. Who makes a row that has not ended and is in none of them
 * makes lists leave it out: tests/support/store-invariants.ts forbids it.
 */
const LIVE_PARTS: readonly LivePart[] = [
  { column: "timer_shard", index: "ix_executions_timer", states: ["SCHEDULED"] },
  { column: "claim_route", index: "ix_executions_claim", states: ["READY"] },
  { column: "waiting_gate", index: "ix_executions_waiting", states: ["READY"] },
  { column: "active_executor", index: "ix_executions_active", states: ["DISPATCHED", "RUNNING"] },
];

/** An index, the column that it begins with, and the states of what is in it. */
type LivePart = { readonly column: string; readonly index: string; readonly states: readonly ExecutionState[] };

/** How often a parameter of the condition stands in the query. */
export const LIVE_PART_COUNT = LIVE_PARTS.length;

/** A query over live executions, as one statement and so one state of the store. `condition` is on their columns. */
export function liveExecutions({ kind }: Dialect, columns: string, condition: string): string {
  return LIVE_PARTS.map((part) => `SELECT ${columns} FROM ${tableOf(part, kind)} AND ${condition}`).join(" UNION ALL ");
}

/**
 * A query over the execution_ids of those that may be in one of these states, at most `limit` of each index, in no
 * order: by indexes alone. As one statement it sees each of them, whichever of the states it changes to meanwhile.
 */
export function liveIds({ kind }: Dialect, states: readonly ExecutionState[], limit: number): string {
  return LIVE_PARTS.filter((part) => part.states.some((state) => states.includes(state)))
    .map((part) => `SELECT execution_id FROM (SELECT execution_id FROM ${tableOf(part, kind)} LIMIT ${limit}) AS part`)
    .join(" UNION ALL ");
}

function tableOf({ column, index }: LivePart, kind: Dialect["kind"]): string {
  const hint = kind === "mysql" ? `FORCE INDEX (${index})` : `INDEXED BY ${index}`;
  return `executions ${hint} WHERE ${column} IS NOT NULL`;
}
