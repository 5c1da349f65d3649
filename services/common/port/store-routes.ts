import type { RouteId } from "../domain/identifier.ts";

/** Texts of routes by their ids (rule 6). */
export interface RouteStore {
  /** Inserts texts that are not there. A process does it once for each route, before its first use. */
  ensure(texts: readonly string[]): Promise<void>;
  /** Texts of these routes; unknown ids are left out. */
  texts(routeIds: readonly RouteId[]): Promise<ReadonlyMap<RouteId, string>>;
}
