import type { Execution } from "../../common/domain/execution.ts";
import type { Fence } from "../../common/domain/identifier.ts";
import type { Job } from "../../common/domain/job.ts";
import { type Route, routeIdOf, routeOf, routeText } from "../../common/domain/route.ts";
import type { Random } from "../../common/port/random.ts";
import type { ClaimedSlot } from "../../common/port/store-executions.ts";
import type { MeshClock } from "../mesh-clock.ts";
import type { Roster } from "../sessions/roster.ts";
import type { RouteBook } from "./route-book.ts";
import type { Sender } from "./sender.ts";
import type { WaitingView } from "./waiting.ts";

/** What AheadSlots needs. */
export type AheadSlotsDeps = {
  readonly roster: Roster;
  readonly routes: RouteBook;
  readonly waiting: WaitingView;
  readonly sender: Sender;
  readonly meshClock: MeshClock;
  readonly random: Random;
};

/** Rule 12: nothing is sent ahead of a time that is known worse than this, microseconds. */
const MAX_UNCERTAINTY_US = 100_000;
/** Below every rank: whatever waits comes first. */
const AFTER_ALL = Number.POSITIVE_INFINITY;

/** A slot that is reserved for a fire, and the route that it was reserved for. */
export type AheadSlot = { readonly slot: ClaimedSlot; readonly route: Route };

/**
 * Rule 11: slots for fires that are sent ahead of their time, of executors
 * homed here. What is READY needs them more: while anything is known to wait
 * that could use the room, whatever its priority, nothing goes ahead.
 */
export class AheadSlots {
  readonly #deps: AheadSlotsDeps;

  constructor(deps: AheadSlotsDeps) {
    this.#deps = deps;
  }

  /**
   * Reserves a slot; null when none is free beyond what READY work needs, mesh time is uncertain, or the executor is to
   * be chosen when it becomes ready (rule 32).
   */
  reserve(job: Pick<Job, "target" | "namespace" | "policy">): AheadSlot | null {
    const { meshClock, waiting, roster, routes, random } = this.#deps;
    if (meshClock.uncertaintyUs() > MAX_UNCERTAINTY_US || job.policy.routingStrategy !== "LEAST_LOADED") return null;
    const routeId = routeIdOf(routeText(routeOf(job)));
    const route = routes.of({ ...job, routeId });
    if (waiting.blocks(routeId, route, AFTER_ALL)) return null;
    const placement = roster.reserve(route);
    return placement === null ? null : { slot: { ...placement, fence: random.fence() as Fence }, route };
  }

  /** Sends what was stored for the slot, to be held; gives the slot back when nothing was. */
  follow({ slot, route }: AheadSlot, dispatched: Execution | null): void {
    const { sender, roster } = this.#deps;
    if (dispatched?.fence === slot.fence) sender.send(dispatched, slot.sessionNumber);
    else roster.release(slot, route);
  }
}
