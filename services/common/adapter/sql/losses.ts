import type { ExecutionId, ExecutorId, Incarnation } from "../../domain/identifier.ts";
import type { Random } from "../../port/random.ts";
import type { ResultOutcome } from "../../port/store-executions.ts";
import { endAttempts } from "./attempt-ends.ts";
import type { Ending } from "./execution-end.ts";
import { fenceOf } from "./execution-row.ts";
import { int, text } from "./row-reader.ts";
import type { Row, SqlDatabase } from "./session.ts";

/**
 * Rules 15, 16 and 26: current attempts of an incarnation that is lost, or has
 * left, end as LOST, and by policy their executions run again. Any rescuer may
 * do it at any time: a key that has ended meanwhile changes nothing.
 */

/** Ends at most `limit` current attempts; nothing while the incarnation is alive. */
export function endLost(
  db: SqlDatabase,
  random: Random,
  executorId: ExecutorId,
  incarnation: Incarnation,
  limit: number,
): Promise<ResultOutcome[]> {
  return db.transact("end_lost", async (session) => {
    const gone = await session.query(
      `SELECT 1 FROM executors WHERE executor_id = ? AND incarnation = ?
        AND (lost_us IS NOT NULL OR left_us IS NOT NULL)`,
      [executorId, incarnation],
    );
    if (gone.length === 0) return [];
    const rows = await session.query(
      `SELECT execution_id, attempt, fence FROM executions WHERE active_executor = ? AND incarnation = ?
        ORDER BY dispatch_us LIMIT ?`,
      [executorId, incarnation, limit],
    );
    return await endAttempts(
      session,
      random,
      rows.map((row) => lostEnding(row, executorId)),
    );
  });
}

function lostEnding(row: Row, executorId: ExecutorId): Ending {
  return {
    key: {
      executionId: text(row, "execution_id") as ExecutionId,
      attempt: int(row, "attempt"),
      fence: fenceOf(text(row, "fence")),
    },
    end: { kind: "lost", message: `executor ${executorId} was lost while it had the attempt` },
    startUs: null,
    endUs: null,
    exitCode: null,
    output: "",
    errorOutput: "",
    outputPieceCount: 0,
    failedReason: null,
  };
}
