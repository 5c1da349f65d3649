import { assert } from "../../common/domain/assert.ts";
import type { NewExecution } from "../../common/domain/execution.ts";
import type { RouteId } from "../../common/domain/identifier.ts";
import { parseRoute, type Route, routeIdOf, routeOf, routeText } from "../../common/domain/route.ts";
import type { RouteStore } from "../../common/port/store-routes.ts";

/** Routes that a process remembers; the ones longest unused are read again. */
const MAX_ROUTES = 10_000;

type Entry = {
  readonly route: Route;
  readonly text: string;
  /** True when the store is known to have its text. */
  stored: boolean;
};

/** RouteBook keeps routes by their ids (rule 6), each as one object, and sees to it that the store has their texts. */
export class RouteBook {
  readonly #store: RouteStore;
  readonly #entries = new Map<RouteId, Entry>();

  constructor(store: RouteStore) {
    this.#store = store;
  }

  /** The route of an execution that was made here and is not pinned. */
  of(execution: Pick<NewExecution, "routeId" | "target" | "namespace" | "policy">): Route {
    const known = this.#entries.get(execution.routeId);
    if (known !== undefined) return known.route;
    const route = routeOf(execution);
    const text = routeText(route);
    assert(routeIdOf(text) === execution.routeId, "an execution's route_id is that of its route");
    this.#keep(execution.routeId, { route, text, stored: false });
    return route;
  }

  /** Stores the texts of these routes, once for each route in this process. Each came through `of` or `resolve`. */
  async ensure(routeIds: Iterable<RouteId>): Promise<void> {
    const fresh: Entry[] = [];
    for (const routeId of routeIds) {
      const entry = this.#entries.get(routeId);
      if (entry !== undefined && !entry.stored) fresh.push(entry);
    }
    if (fresh.length === 0) return;
    await this.#store.ensure(fresh.map((entry) => entry.text));
    for (const entry of fresh) entry.stored = true;
  }

  /** Routes of these ids; an id whose text the store does not have yet is left out. */
  async resolve(routeIds: readonly RouteId[]): Promise<ReadonlyMap<RouteId, Route>> {
    const unknown = routeIds.filter((routeId) => !this.#entries.has(routeId));
    if (unknown.length > 0) {
      for (const [routeId, text] of await this.#store.texts(unknown)) {
        this.#keep(routeId, { route: parseRoute(text), text, stored: true });
      }
    }
    const routes = new Map<RouteId, Route>();
    for (const routeId of routeIds) {
      const entry = this.#entries.get(routeId);
      if (entry !== undefined) routes.set(routeId, entry.route);
    }
    return routes;
  }

  /** The route of an id, if it is remembered. */
  known(routeId: RouteId): Route | undefined {
    return this.#entries.get(routeId)?.route;
  }

  #keep(routeId: RouteId, entry: Entry): void {
    this.#entries.set(routeId, entry);
    if (this.#entries.size <= MAX_ROUTES) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }
}
