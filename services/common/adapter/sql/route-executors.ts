import { type ExecutorProfile, matchesRoute } from "../../domain/executor.ts";
import type { RouteId } from "../../domain/identifier.ts";
import { parseRoute, withoutPin } from "../../domain/route.ts";
import { big, text } from "./row-reader.ts";
import type { SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/** Of these routes those that an executor can run which is neither lost, gone nor draining. A route without text counts as one. */
export async function runnableRoutes(session: SqlSession, routeIds: readonly RouteId[]): Promise<ReadonlySet<RouteId>> {
  if (routeIds.length === 0) return new Set();
  const profiles = await session.query(
    "SELECT profile FROM executors WHERE lost_us IS NULL AND left_us IS NULL AND draining = 0 AND drain_us IS NULL",
  );
  const executors = profiles.map((row) => JSON.parse(text(row, "profile")) as ExecutorProfile);
  const runnable = new Set(routeIds);
  for (const list of valueLists(routeIds)) {
    const rows = await session.query(
      `SELECT CAST(route_id AS CHAR) AS route_id, text FROM routes WHERE route_id IN (${list.sql})`,
      list.values,
    );
    for (const row of rows) {
      const route = withoutPin(parseRoute(text(row, "text")));
      if (!executors.some((profile) => matchesRoute(profile, route))) runnable.delete(big(row, "route_id") as RouteId);
    }
  }
  return runnable;
}
