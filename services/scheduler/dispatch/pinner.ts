import { matchesRoute } from "../../common/domain/executor.ts";
import type { RouteId } from "../../common/domain/identifier.ts";
import { type Route, TO_BE_PINNED } from "../../common/domain/route.ts";
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
/** Routes that wait to be looked at; the next sweep goes on with the rest, as the first may have no executor. */
const MAX_DUE_ROUTES = 1_000;
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
  readonly #due = new Set<RouteId>();
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** Of what a sweep found, how many the sweeps before have looked at. */
  #from = 0;
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
    const { clock } = this.#deps;
    const looks = clock.monotonicMs() - this.#lookedMs >= LOOK_INTERVAL_MS;
    let pinned = false;
    const found: RouteId[] = [];
    for (const [routeId, route] of waiting) {
      const { pin } = route;
      if (pin === null || (pin !== TO_BE_PINNED && (!looks || this.#isHere(route)))) continue;
      pinned ||= pin !== TO_BE_PINNED;
      found.push(routeId);
    }
    const from = found.length > MAX_DUE_ROUTES ? this.#from % found.length : 0;
    const next = [...found.slice(from), ...found.slice(0, from)];
    const left = next.findIndex((routeId) => !this.#note(routeId));
    this.#from = left === -1 ? 0 : from + left;
    if (pinned) this.#lookedMs = clock.monotonicMs();
  }

  /** A home knows first of what it has; whether others' executors live is asked of the store. */
  #isHere(route: Route): boolean {
    const executor = route.pin === null ? undefined : this.#deps.roster.get(route.pin);
    return executor !== undefined && !executor.draining && matchesRoute(executor.profile, route);
  }

  /** Pins what is due, a group of each route; true when more may be left. */
  async runOnce(): Promise<boolean> {
    const { store, routes, hints, log } = this.#deps;
    if (this.#due.size === 0) return false;
    const due = [...this.#due];
    this.#due.clear();
    const known = await routes.resolve(due);
    const stale = await this.#withoutExecutor(known);
    for (const [routeId, { pin }] of known) {
      if (pin === null || (pin !== TO_BE_PINNED && !stale.has(routeId))) continue;
      const { routeIds, count } = await store.executions.pin(routeId, MAX_PINNED_ROWS);
      if (count === 0) continue;
      if (pin !== TO_BE_PINNED) log.info({ executorId: pin, count }, "pinned work goes elsewhere");
      // Known, they are told to peers at once, and are not looked at again here.
      await routes.resolve(routeIds);
      for (const found of routeIds) hints.tell({ kind: "ready", routeId: found, bestRank: 0, count });
      if (count >= MAX_PINNED_ROWS) this.#note(routeId);
    }
    return this.#due.size > 0;
  }

  /** Of these the routes that are pinned to nobody who lives, matches and stays. */
  async #withoutExecutor(known: ReadonlyMap<RouteId, Route>): Promise<ReadonlySet<RouteId>> {
    const pinned = [...known].filter(([, { pin }]) => pin !== null && pin !== TO_BE_PINNED);
    if (pinned.length === 0) return new Set();
    const live = (await this.#deps.store.executors.live()).filter(({ draining }) => !draining);
    const stale = pinned.filter(([, route]) => !live.some((record) => matchesRoute(record, route)));
    return new Set(stale.map(([routeId]) => routeId));
  }

  /** False when there is no room for it. */
  #note(routeId: RouteId): boolean {
    if (this.#due.size >= MAX_DUE_ROUTES && !this.#due.has(routeId)) return false;
    this.#due.add(routeId);
    this.#loop.wake();
    return true;
  }
}
