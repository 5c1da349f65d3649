import type { ExecutionId, ExecutorId, Incarnation } from "../../domain/identifier.ts";
import type { LostPolicy } from "../../domain/policy.ts";
import type { Random } from "../../port/random.ts";
import type { ResultOutcome } from "../../port/store-executions.ts";
import { endAttempts } from "./attempt-ends.ts";
import type { Ending } from "./execution-end.ts";
import { fenceOf } from "./execution-row.ts";
import { parsePolicy } from "./execution-text.ts";
import { int, text } from "./row-reader.ts";
import type { Row, SqlDatabase } from "./session.ts";

/**
 * Rules 15, 16 and 26: current attempts of an incarnation that is lost, or has
 * left, end as LOST, and by policy their executions run again. Any rescuer may
 * do it at any time: a key that has ended meanwhile changes nothing.
 */

/** Whose attempts end, and how many at most; `policy` null ends those under any. */
export type LostAttempts = {
  readonly executorId: ExecutorId;
  readonly incarnation: Incarnation;
  readonly limit: number;
  readonly policy: LostPolicy | null;
};

/** Ends at most `limit` current attempts; nothing while the incarnation is alive. */
export function endLost(db: SqlDatabase, random: Random, lost: LostAttempts): Promise<ResultOutcome[]> {
  const { executorId, incarnation, limit, policy } = lost;
  return db.transact("end_lost", async (session) => {
    const gone = await session.query(
      `SELECT 1 FROM executors WHERE executor_id = ? AND incarnation = ?
        AND (lost_us IS NOT NULL OR left_us IS NOT NULL)`,
      [executorId, incarnation],
    );
    if (gone.length === 0) return [];
    // A policy is read from each row's text: an incarnation has no more current attempts than slots.
    const rows = await session.query(
      `SELECT execution_id, attempt, fence${policy === null ? "" : ", policy, claim_rank, timeout_ms"} FROM executions
        WHERE active_executor = ? AND incarnation = ? ORDER BY dispatch_us${policy === null ? " LIMIT ?" : ""}`,
      policy === null ? [executorId, incarnation, limit] : [executorId, incarnation],
    );
    const ending = policy === null ? rows : rows.filter((row) => lostPolicyOf(row) === policy).slice(0, limit);
    return await endAttempts(
      session,
      random,
      ending.map((row) => lostEnding(row, executorId)),
    );
  });
}

function lostPolicyOf(row: Row): LostPolicy {
  return parsePolicy(text(row, "policy"), int(row, "claim_rank"), int(row, "timeout_ms")).lostPolicy;
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
