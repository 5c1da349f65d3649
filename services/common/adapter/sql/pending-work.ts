import type { SchedulerId } from "../../domain/identifier.ts";
import type { PendingWork } from "../../port/store-executions.ts";
import { WAITING_STATES } from "./execution-row.ts";
import { int, intOrNull } from "./row-reader.ts";
import type { SqlDatabase } from "./session.ts";

/**
 * One statement for all that a scheduler sweeps (rules 7, 24, 25, 31): each part
 * is the head of an index, so a store in which nothing waits answers at once,
 * and the loops read only what is there. Times are compared here, with the
 * store's clock of the same round trip.
 */
const PENDING_SQL = `SELECT
  EXISTS (SELECT 1 FROM executions WHERE claim_route >= 0) AS claims,
  (SELECT try_us FROM gates WHERE try_us >= 0 ORDER BY try_us LIMIT 1) AS try_us,
  EXISTS (SELECT 1 FROM executors x
    JOIN executions e ON e.active_executor = x.executor_id AND e.incarnation = x.incarnation
    WHERE x.home = ? AND x.lost_us IS NULL AND x.left_us IS NULL AND e.stop_reason > 0) AS stops,
  (SELECT start_deadline_us FROM executions WHERE start_deadline_us >= 0 AND state IN ${WAITING_STATES}
    ORDER BY start_deadline_us LIMIT 1) AS deadline_us`;

/** What there is to do for the scheduler that is called `home`. */
export function pendingWork(db: SqlDatabase, home: SchedulerId): Promise<PendingWork> {
  return db.read("pending", async (session) => {
    const [row = {}] = await session.queryWithNow(PENDING_SQL, [home]);
    const nowUs = await session.nowUs();
    const tryUs = intOrNull(row, "try_us");
    const deadlineUs = intOrNull(row, "deadline_us");
    return {
      claims: int(row, "claims") > 0,
      gates: tryUs !== null && tryUs <= nowUs,
      stops: int(row, "stops") > 0,
      expiries: deadlineUs !== null && deadlineUs < nowUs,
    };
  });
}
