import type { RouteId } from "../../domain/identifier.ts";
import { routeIdOf } from "../../domain/route.ts";
import type { RouteStore } from "../../port/store-routes.ts";
import { insertRows } from "./many-rows.ts";
import { big, text } from "./row-reader.ts";
import type { SqlDatabase, SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/** Writes texts of routes, in the order of their identifiers (rule 1); those that are there stay. */
export async function insertRoutes(session: SqlSession, texts: readonly string[]): Promise<void> {
  const rows = texts.map((routeText) => [routeIdOf(routeText), routeText] as const);
  const sorted = rows.toSorted(([a], [b]) => (a < b ? -1 : 1));
  await insertRows(session, "routes", ["route_id", "text"], sorted, "route_id");
}

/** Texts of routes on SQL (rule 6). They never change, so nothing is ever updated. */
export class SqlRouteStore implements RouteStore {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  async ensure(texts: readonly string[]): Promise<void> {
    if (texts.length === 0) return;
    await this.#database.transact("route.ensure", (session) => insertRoutes(session, texts));
  }

  async texts(routeIds: readonly RouteId[]): Promise<ReadonlyMap<RouteId, string>> {
    const texts = new Map<RouteId, string>();
    if (routeIds.length === 0) return texts;
    await this.#database.read("route.texts", async (session) => {
      for (const list of valueLists(routeIds)) {
        const sql = `SELECT CAST(route_id AS CHAR) AS route_id, text FROM routes WHERE route_id IN (${list.sql})`;
        for (const row of await session.query(sql, list.values))
          texts.set(big(row, "route_id") as RouteId, text(row, "text"));
      }
    });
    return texts;
  }
}
