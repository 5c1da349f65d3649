import type { RouteId } from "../../common/domain/identifier.ts";
import type { Route } from "../../common/domain/route.ts";
import type { WaitingRoute } from "../../common/port/store-executions.ts";
import type { Roster } from "../sessions/roster.ts";
import type { RouteBook } from "./route-book.ts";

/** Routes with waiting rows that are remembered between sweeps; with more, nothing is dispatched directly. */
const MAX_WAITING_ROUTES = 1_000;

type Entry = { rank: number; stamp: number };

/**
 * What this scheduler knows to wait, by route (rule 31): from the sweeps of the
 * store, from READY rows of its own, from hints of others. It may know too
 * much for a moment, which only sends a submission the longer way; the next
 * sweep puts it right. What is noted after a sweep began outlives its answer.
 */
export class WaitingView {
  readonly #roster: Roster;
  readonly #routes: RouteBook;
  readonly #entries = new Map<RouteId, Entry>();
  #stamp = 0;
  #overflown = false;

  constructor(roster: Roster, routes: RouteBook) {
    this.#roster = roster;
    this.#routes = routes;
  }

  /** Routes that are known to have waiting rows. */
  get size(): number {
    return this.#entries.size;
  }

  /** A row of this rank waits, or is about to. */
  note(routeId: RouteId, rank: number): void {
    this.#stamp += 1;
    const entry = this.#entries.get(routeId);
    if (entry !== undefined) {
      entry.rank = Math.min(entry.rank, rank);
      entry.stamp = this.#stamp;
    } else if (this.#entries.size < MAX_WAITING_ROUTES) {
      this.#entries.set(routeId, { rank, stamp: this.#stamp });
    } else {
      this.#overflown = true;
    }
  }

  /** A reading of the store begins; its answer is given with what this returns. */
  mark(): number {
    return this.#stamp;
  }

  /** What a sweep found that began at the mark. */
  swept(mark: number, waiting: readonly WaitingRoute[]): void {
    for (const [routeId, entry] of this.#entries) if (entry.stamp <= mark) this.#entries.delete(routeId);
    this.#overflown = waiting.length > MAX_WAITING_ROUTES;
    for (const { routeId, bestRank } of waiting.slice(0, MAX_WAITING_ROUTES)) {
      const entry = this.#entries.get(routeId);
      if (entry === undefined) this.#entries.set(routeId, { rank: bestRank, stamp: mark });
      else entry.rank = Math.min(entry.rank, bestRank);
    }
  }

  /** A claim that began at the mark took all that waited on the route. */
  emptied(mark: number, routeId: RouteId): void {
    const entry = this.#entries.get(routeId);
    if (entry !== undefined && entry.stamp <= mark) this.#entries.delete(routeId);
  }

  /**
   * True when a submission of this rank must queue: something of the same or a
   * higher priority waits for its route, or for another route that could use
   * the same executor's room now (rule 6: best head first).
   */
  blocks(routeId: RouteId, route: Route, rank: number): boolean {
    if (this.#overflown) return true;
    for (const [waitingId, entry] of this.#entries) {
      if (entry.rank > rank) continue;
      if (waitingId === routeId) return true;
      const waiting = this.#routes.known(waitingId);
      if (waiting !== undefined && this.#roster.shareRoom(route, waiting)) return true;
    }
    return false;
  }
}
