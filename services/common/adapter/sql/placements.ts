import type { Placement } from "../../port/store-executions.ts";
import { int, text } from "./row-reader.ts";
import type { SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/**
 * Rules 16 and 20: an attempt is claimed for an executor only while its
 * session is the store's and it is neither lost nor gone nor asked to drain. The rows are read
 * without a lock (rule 1): what changes right after is as if the claim had come
 * first, and a sweep finds attempts of lost incarnations whenever they came.
 */
export async function standingPlacements<P extends Placement>(
  session: SqlSession,
  placements: readonly P[],
): Promise<ReadonlySet<P>> {
  if (placements.length === 0) return new Set();
  const sessions = new Map<string, number>();
  for (const list of valueLists([...new Set(placements.map(({ executorId }) => executorId))])) {
    const rows = await session.queryWithNow(
      `SELECT executor_id, incarnation, session_number FROM executors
        WHERE executor_id IN (${list.sql}) AND lost_us IS NULL AND left_us IS NULL AND drain_us IS NULL`,
      list.values,
    );
    for (const row of rows) {
      sessions.set(`${text(row, "executor_id")}\n${text(row, "incarnation")}`, int(row, "session_number"));
    }
  }
  const stands = ({ executorId, incarnation, sessionNumber }: P): boolean =>
    sessions.get(`${executorId}\n${incarnation}`) === sessionNumber;
  return new Set(placements.filter(stands));
}
