import { type ExecutorProfile, matchesRoute } from "../../domain/executor.ts";
import type { ExecutionId, ExecutorId, RouteId } from "../../domain/identifier.ts";
import { parseRoute, type Route, routeIdOf, routeText, TO_BE_PINNED, withoutPin } from "../../domain/route.ts";
import type { PinnedGroup } from "../../port/store-executions.ts";
import { insertRows, updateRows } from "./many-rows.ts";
import { insertRoutes } from "./routes.ts";
import { big, int, text } from "./row-reader.ts";
import type { SqlDatabase, SqlSession, SqlValue } from "./session.ts";
import { valueLists } from "./value-list.ts";

/**
 * Rule 32: pins of ROUND_ROBIN. What becomes claimable under it stands on the
 * route of TO_BE_PINNED, whatever made it so: a submission, a fire, a retry, a
 * wait that is over, the admitter. From there one transaction moves a group to
 * the routes of the matching executors, each in turn, and the turn of that
 * route once for the group. The same transaction chooses anew for what is
 * pinned to one that was lost, has left, drains or matches no more; with nobody
 * to choose, it goes back to TO_BE_PINNED and waits.
 *
 * The turn is no lock that submissions and results could wait for: those know
 * nothing of it. Order of locks (rule 1): executors are read, executions by
 * SKIP LOCKED, then the turn, then texts of routes.
 */

/** The head of a route, passed over where a claim or a stop has it. */
export const pinnableSql = `SELECT execution_id FROM executions WHERE claim_route = ?
  ORDER BY claim_rank, ready_us, execution_id LIMIT ?`;

const NOTHING: PinnedGroup = { routeIds: [], count: 0 };
const PIN_UPDATE = { table: "executions", keys: ["execution_id"], set: ["claim_route"] } as const;

/** Chooses executors for at most `limit` that wait on the route. */
export function pin(db: SqlDatabase, routeId: RouteId, limit: number): Promise<PinnedGroup> {
  return db.transact("pin", (session) => pinGroup(session, routeId, limit));
}

async function pinGroup(session: SqlSession, routeId: RouteId, limit: number): Promise<PinnedGroup> {
  const route = await routeOfId(session, routeId);
  if (route === null || route.pin === null) return NOTHING;
  const chosen = await choices(session, withoutPin(route));
  if (chosen.includes(route.pin) || (chosen.length === 0 && route.pin === TO_BE_PINNED)) return NOTHING;
  const rows = await session.query(`${pinnableSql}${session.dialect.skipLocked}`, [routeId, limit]);
  if (rows.length === 0) return NOTHING;
  const open = { ...route, pin: TO_BE_PINNED };
  const first = chosen.length === 0 ? 0 : await takeTurns(session, routeIdOf(routeText(open)), rows.length);
  const pins = rows.map((_, at) => chosen[(first + at) % chosen.length] ?? TO_BE_PINNED);
  const texts = new Map([...new Set(pins)].map((executorId) => [executorId, routeText({ ...route, pin: executorId })]));
  const ids = new Map([...texts].map(([executorId, pinned]) => [executorId, routeIdOf(pinned)]));
  await insertRoutes(session, [...texts.values()]);
  const moved = rows.map((row, at): SqlValue[] => [
    text(row, "execution_id"),
    ids.get(pins[at] ?? TO_BE_PINNED) ?? routeId,
  ]);
  await updateRows(session, PIN_UPDATE, moved);
  return { routeIds: [...ids.values()], count: rows.length };
}

async function routeOfId(session: SqlSession, routeId: RouteId): Promise<Route | null> {
  const [row] = await session.query("SELECT text FROM routes WHERE route_id = ?", [routeId]);
  return row === undefined ? null : parseRoute(text(row, "text"));
}

/** Who can run the route and takes work, in the order of the turns. */
async function choices(session: SqlSession, route: Route): Promise<ExecutorId[]> {
  const rows = await session.query(
    `SELECT executor_id, profile FROM executors WHERE lost_us IS NULL AND left_us IS NULL AND draining = 0
      AND drain_us IS NULL ORDER BY executor_id`,
  );
  return rows
    .filter((row) => matchesRoute(JSON.parse(text(row, "profile")) as ExecutorProfile, route))
    .map((row) => text(row, "executor_id") as ExecutorId);
}

/** Takes so many turns of a route, and answers the first of them. Others that pin on it wait for the commit. */
async function takeTurns(session: SqlSession, routeId: RouteId, count: number): Promise<number> {
  await insertRows(session, "pin_turns", ["route_id", "taken"], [[routeId, 0]], "route_id");
  await session.execute("UPDATE pin_turns SET taken = taken + ? WHERE route_id = ?", [count, routeId]);
  const [row] = await session.query("SELECT taken FROM pin_turns WHERE route_id = ?", [routeId]);
  return row === undefined ? 0 : int(row, "taken") - count;
}

/** The routes on which these wait to be claimed; those that do not are left out. */
export function claimRoutes(db: SqlDatabase, ids: readonly ExecutionId[]): Promise<ReadonlyMap<ExecutionId, RouteId>> {
  return db.read("claim_routes", async (session) => {
    const routes = new Map<ExecutionId, RouteId>();
    for (const list of valueLists(ids)) {
      const rows = await session.query(
        `SELECT execution_id, CAST(claim_route AS CHAR) AS claim_route FROM executions
          WHERE execution_id IN (${list.sql}) AND claim_route IS NOT NULL`,
        list.values,
      );
      for (const row of rows) routes.set(text(row, "execution_id") as ExecutionId, big(row, "claim_route") as RouteId);
    }
    return routes;
  });
}
