import type { AttemptProgress } from "../../domain/attempt.ts";
import { ACTIVE_STATES, fenceText } from "./execution-row.ts";
import { progressText } from "./execution-text.ts";
import { updateRows } from "./many-rows.ts";
import type { SqlDatabase, SqlValue } from "./session.ts";

/**
 * How far an attempt says it is stands in its execution's row with the number
 * of the attempt, and is shown for that attempt alone: no claim has to forget
 * what an earlier one said, so that the hot path knows nothing of it.
 */

/** Rule 2: only a current attempt says how far it is. */
const PROGRESS_UPDATE = {
  table: "executions",
  keys: ["execution_id", "attempt", "fence"],
  set: ["progress"],
  also: "change_number = t.change_number + 1",
  where: `t.state IN ${ACTIVE_STATES}`,
} as const;

/** Stores how far attempts are; those that are not current change nothing. */
export async function storeProgress(db: SqlDatabase, reports: readonly AttemptProgress[]): Promise<void> {
  const rows = reports
    .toSorted((a, b) => (a.key.executionId < b.key.executionId ? -1 : 1))
    .map((report): SqlValue[] => {
      const { executionId, attempt, fence } = report.key;
      return [executionId, attempt, fenceText(fence), progressText(report)];
    });
  if (rows.length === 0) return;
  await db.transact("progress", (session) => updateRows(session, PROGRESS_UPDATE, rows));
}
