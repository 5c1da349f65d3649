import type { Fence, RouteId } from "../../common/domain/identifier.ts";
import type { Route } from "../../common/domain/route.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Random } from "../../common/port/random.ts";
import type { Store } from "../../common/port/store.ts";
import type { ClaimedSlot } from "../../common/port/store-executions.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import type { Roster } from "../sessions/roster.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import type { Pinner } from "./pinner.ts";
import type { RouteBook } from "./route-book.ts";
import type { Sender } from "./sender.ts";
import type { WaitingView } from "./waiting.ts";

/** What a dispatcher needs. */
export type DispatcherDeps = {
  readonly store: Pick<Store, "executions">;
  readonly roster: Roster;
  readonly routes: RouteBook;
  readonly waiting: WaitingView;
  readonly sender: Sender;
  readonly pinner: Pinner;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
};

/** Settings of a dispatcher. */
export type DispatcherConfig = {
  /** While there is no room, hints make it look no more often than this: the sweep does. */
  readonly sweepIntervalMs: number;
  /** Rows in one claim. */
  readonly maxClaim: number;
};

/** Defaults of DispatcherConfig. */
export const dispatcherDefaults: DispatcherConfig = { sweepIntervalMs: 250, maxClaim: 500 };

/** What one pass did. */
export type DispatchPass = {
  readonly claimed: number;
  /** True when both waiting rows and room may be left. */
  readonly more: boolean;
};

const NOTHING: DispatchPass = { claimed: 0, more: false };

/**
 * Dispatcher claims READY rows for the free slots of the executors homed here
 * (rule 6): one look at the best rank of each waiting route, then one claim a
 * route, best head first, for those that have room. It looks when told that
 * work waits or room grew, and when the sweep finds what nobody told of, or
 * nothing where something was known to wait. A slot is reserved before its
 * claim, so that direct dispatch never takes it as well.
 */
export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #config: DispatcherConfig;
  readonly #loop: WakeableLoop;
  #unsubscribe: (() => void)[] = [];
  #sweptMs = Number.NEGATIVE_INFINITY;

  constructor(deps: DispatcherDeps, config: DispatcherConfig = dispatcherDefaults) {
    this.#deps = deps;
    this.#config = config;
    this.#loop = new WakeableLoop(deps.clock, deps.log, {
      name: "dispatcher",
      intervalMs: null,
      run: async (signal) => (await this.runOnce(signal)).more,
    });
  }

  start(): void {
    if (this.#unsubscribe.length > 0) return;
    const { hints, waiting } = this.#deps;
    this.#unsubscribe = [
      hints.on("ready", ({ routeId, bestRank }) => {
        waiting.note(routeId, bestRank);
        this.#loop.wake();
      }),
      hints.on("pending", ({ work }) => {
        if (!work.claims && waiting.size === 0) return;
        this.#sweptMs = Number.NEGATIVE_INFINITY;
        this.#loop.wake();
      }),
      // A peer's room is the peer's to fill. Room for nothing that is known to wait needs no look: what no hint told
      // of is found by the next sweep, and a busy executor says hundreds of times a second that it has room.
      hints.on("free", (_hint, origin) => {
        if (origin === "local" && waiting.size > 0) this.#loop.wake();
      }),
    ];
    this.#loop.start();
  }

  /** Ends after the pass under way. */
  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
    await this.#loop.stop();
  }

  /** One pass: at most one claim for each waiting route. */
  async runOnce(signal: AbortSignal): Promise<DispatchPass> {
    const { store, roster, routes, waiting, clock } = this.#deps;
    if (roster.size === 0) return NOTHING;
    // Without room the sweep is for direct dispatch only, which must know what waits (rule 31).
    const nowMs = clock.monotonicMs();
    if (!roster.anyRoom() && nowMs - this.#sweptMs < this.#config.sweepIntervalMs) return NOTHING;
    this.#sweptMs = nowMs;
    const mark = waiting.mark();
    const heads = await store.executions.waitingRoutes();
    waiting.swept(mark, heads);
    const known = await routes.resolve(heads.map((head) => head.routeId));
    this.#deps.pinner.look(known);
    let claimed = 0;
    let more = false;
    for (const { routeId } of heads) {
      if (signal.aborted || !roster.anyRoom()) break;
      const route = known.get(routeId);
      if (route === undefined) continue;
      const pass = await this.#claim(routeId, route);
      claimed += pass.claimed;
      more ||= pass.more;
    }
    if (claimed > 0) this.#deps.log.debug({ claimed, routes: heads.length }, "claimed waiting executions");
    return { claimed, more };
  }

  async #claim(routeId: RouteId, route: Route): Promise<DispatchPass> {
    const { store, roster, waiting, random, sender } = this.#deps;
    const placements = roster.reserveMany(route, this.#config.maxClaim);
    if (placements.length === 0) return NOTHING;
    const slots = placements.map((placement): ClaimedSlot => ({ ...placement, fence: random.fence() as Fence }));
    const unused = new Map(slots.map((slot) => [slot.fence, slot]));
    const mark = waiting.mark();
    try {
      const executions = await store.executions.claim({ routeId, slots });
      for (const execution of executions) {
        const slot = execution.fence === null ? undefined : unused.get(execution.fence);
        if (slot === undefined) continue;
        unused.delete(slot.fence);
        sender.send(execution, slot.sessionNumber);
      }
      const all = executions.length >= slots.length;
      if (!all) waiting.emptied(mark, routeId);
      return { claimed: executions.length, more: all && roster.room(route) > 0 };
    } finally {
      // Also after an unknown outcome: what was claimed after all is sent again by rule 19.
      for (const slot of unused.values()) roster.release(slot, route);
    }
  }
}
