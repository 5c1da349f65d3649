import { matchesRoute } from "../../common/domain/executor.ts";
import type { RouteId } from "../../common/domain/identifier.ts";
import { type Route, TO_BE_PINNED, withoutPin } from "../../common/domain/route.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import type { Roster } from "../sessions/roster.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import type { RouteBook } from "./route-book.ts";

/** What a pinner needs. */
export type PinnerDeps = {
  readonly store: Pick<Store, "executions" | "executors">;
  readonly roster: Roster;
  readonly routes: RouteBook;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Rows in one group. */
const MAX_PINNED_ROWS = 500;
/** Routes that one round pins, and that hints may leave for it; the next round, or sweep, brings the rest. */
const MAX_DUE_ROUTES = 1_000;
/** What is found to wait unpinned is looked at this often, and no more: a busy dispatcher sweeps hundreds of times a second. */
const OPEN_INTERVAL_MS = 250;
/** Pins to executors of other homes are looked at this often; a loss takes seconds. */
const LOOK_INTERVAL_MS = 1_000;

/**
 * Rule 32: sees to it that what waits under ROUND_ROBIN is pinned, and pinned
 * anew when its executor was lost, has left or drains. What became ready here
 * is pinned at once, by the hint that it is ready; what no hint told of is
 * handed over by the dispatcher's sweep. Several schedulers may do it at once:
 * the store's transaction decides.
 */
export class Pinner {
  readonly #deps: PinnerDeps;
  readonly #loop: WakeableLoop;
  /** By hints. */
  readonly #due = new Set<RouteId>();
  /** By sweeps: no more than the latest of them found. */
  #found = new Map<RouteId, Route>();
  #lookedMs = Number.NEGATIVE_INFINITY;
  #lookedOpenMs = Number.NEGATIVE_INFINITY;
  #unsubscribe: () => void = () => {};

  constructor(deps: PinnerDeps) {
    this.#deps = deps;
    this.#loop = new WakeableLoop(deps.clock, deps.log, {
      name: "pins",
      intervalMs: LOOK_INTERVAL_MS,
      run: () => this.runOnce(),
    });
  }

  start(): void {
    this.#unsubscribe();
    this.#unsubscribe = this.#deps.hints.on("ready", ({ routeId }, origin) => {
      if (origin !== "local") return;
      const route = this.#deps.routes.known(routeId);
      if (route === undefined || route.pin === TO_BE_PINNED) this.#note(routeId);
    });
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#unsubscribe = () => {};
    await this.#loop.stop();
  }

  /** Takes what a sweep of the store found to wait. */
  look(waiting: ReadonlyMap<RouteId, Route>): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const looksOpen = nowMs - this.#lookedOpenMs >= OPEN_INTERVAL_MS;
    const looksPinned = nowMs - this.#lookedMs >= LOOK_INTERVAL_MS;
    if (!looksOpen && !looksPinned) return;
    const found = new Map<RouteId, Route>();
    for (const [routeId, route] of waiting) {
      if (route.pin === null) continue;
      if (route.pin === TO_BE_PINNED) {
        if (looksOpen) found.set(routeId, route);
      } else if (looksPinned && !this.#isHere(route)) {
        found.set(routeId, route);
        this.#lookedMs = nowMs;
      }
    }
    if (found.size === 0) return;
    if (looksOpen) this.#lookedOpenMs = nowMs;
    this.#found = found;
    this.#loop.wake();
  }

  /** A home knows first of what it has; whether others' executors live is asked of the store. */
  #isHere(route: Route): boolean {
    const executor = route.pin === null ? undefined : this.#deps.roster.get(route.pin);
    return executor !== undefined && !executor.draining && matchesRoute(executor.profile, route);
  }

  /** Pins what is due, a group of each route; true when more may be left. */
  async runOnce(): Promise<boolean> {
    const { store, routes, hints, log } = this.#deps;
    if (this.#due.size === 0 && this.#found.size === 0) return false;
    const due = new Map([...this.#found, ...(await routes.resolve([...this.#due]))]);
    this.#due.clear();
    this.#found = new Map();
    let left = MAX_DUE_ROUTES;
    for (const [routeId, route] of await this.#pinnable(due)) {
      if (left-- <= 0) {
        this.#found.set(routeId, route);
        continue;
      }
      const { routeIds, count } = await store.executions.pin(routeId, MAX_PINNED_ROWS);
      if (count === 0) continue;
      if (route.pin !== TO_BE_PINNED) log.info({ executorId: route.pin, count }, "pinned work goes elsewhere");
      // Known, they are told to peers at once, and are not looked at again here.
      await routes.resolve(routeIds);
      for (const found of routeIds) hints.tell({ kind: "ready", routeId: found, bestRank: 0, count });
      if (count >= MAX_PINNED_ROWS) this.#note(routeId);
    }
    return this.#due.size > 0 || this.#found.size > 0;
  }

  /** Those that wait unpinned though one matches, and those that are pinned to nobody who lives, matches and stays. */
  async #pinnable(due: ReadonlyMap<RouteId, Route>): Promise<readonly [RouteId, Route][]> {
    const ours = [...due].filter(([, { pin }]) => pin !== null);
    if (ours.length === 0) return [];
    const live = (await this.#deps.store.executors.live()).filter(({ draining }) => !draining);
    return ours.filter(([, route]) => {
      const isOpen = route.pin === TO_BE_PINNED;
      const wanted = isOpen ? withoutPin(route) : route;
      return live.some((record) => matchesRoute(record, wanted)) === isOpen;
    });
  }

  #note(routeId: RouteId): void {
    if (this.#due.size >= MAX_DUE_ROUTES) return;
    this.#due.add(routeId);
    this.#loop.wake();
  }
}
