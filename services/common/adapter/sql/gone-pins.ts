import { parseRoute, TO_BE_PINNED } from "../../domain/route.ts";
import type { LeftoverSweep } from "../../port/store-retention.ts";
import { placeAfter, readPage } from "./leftover-page.ts";
import { big, text } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";

/**
 * Deletes routes that are pinned to executors of which no incarnation is left
 * (they stay a day, rule 14), and on which nothing waits. A pinned route stands
 * in claim_route alone, and the transaction that chooses a pin writes its text
 * first (rule 32); so one that is needed again is written again. Routes without
 * a pin are kept: executions name them for as long as they are kept, and
 * schedulers remember that they have written them.
 */
export async function deletePins(db: SqlDatabase, after: string): Promise<LeftoverSweep> {
  const sql = "SELECT CAST(route_id AS CHAR) AS route_id, text FROM routes WHERE route_id > ? ORDER BY route_id";
  const page = await readPage(db, sql, [BigInt(after)]);
  let deleted = 0;
  for (const row of page) {
    const { pin } = parseRoute(text(row, "text"));
    if (pin === null || pin === TO_BE_PINNED) continue;
    deleted += await db.transact("retention.routes", (session) => deletePin(session, row, pin));
  }
  return { deleted, place: placeAfter(page, (row) => String(big(row, "route_id"))) };
}

/** Under the lock of its text nobody pins to it: whoever has done so has committed what waits on it. */
async function deletePin(session: SqlSession, row: Row, executorId: string): Promise<number> {
  const routeId = big(row, "route_id");
  const executors = await session.query("SELECT 1 FROM executors WHERE executor_id = ? LIMIT 1", [executorId]);
  if (executors.length > 0) return 0;
  await session.query(`SELECT 1 FROM routes WHERE route_id = ?${session.dialect.forUpdate}`, [routeId]);
  const waiting = await session.query("SELECT 1 FROM executions WHERE claim_route = ? LIMIT 1", [routeId]);
  if (waiting.length > 0) return 0;
  return await session.execute("DELETE FROM routes WHERE route_id = ?", [routeId]);
}
