import { capabilityIndex, matchesRoute } from "../../common/domain/executor.ts";
import type { ExecutorId } from "../../common/domain/identifier.ts";
import type { Route } from "../../common/domain/route.ts";
import type { SlotCount } from "../../common/domain/session.ts";
import type { Target } from "../../common/domain/target.ts";
import type { Placement } from "../../common/port/store-executions.ts";
import type { HomedExecutor } from "./homed-executor.ts";
import type { SlotLedger } from "./slot-ledger.ts";

/** An executor that can run a route. */
type Candidate = {
  readonly executor: HomedExecutor;
  /** The capability's own slots; null when it has only the executor's. */
  readonly own: SlotLedger | null;
};

type Matched = { readonly version: number; readonly candidates: readonly Candidate[] };

/**
 * Roster is the executors homed here with their room. A slot is reserved
 * before the claim and given back when nothing was claimed for it; rule 20's
 * arithmetic makes the reservation count until the executor has confirmed it.
 */
export class Roster {
  readonly #executors = new Map<ExecutorId, HomedExecutor>();
  /** Which executors can run a route; a route's object is the same each time (RouteBook), so that this is one look-up. */
  readonly #matched = new WeakMap<Route, Matched>();
  readonly #roomListeners = new Set<() => void>();
  /** The last view of the registry; null while there was none yet. */
  #seenKeys: ReadonlySet<string> | null = null;
  #registryAway = false;
  #version = 0;

  /** Executors homed here. */
  get size(): number {
    return this.#executors.size;
  }

  /** The executors homed here, in order of their Hellos. */
  all(): IterableIterator<HomedExecutor> {
    return this.#executors.values();
  }

  get(executorId: ExecutorId): HomedExecutor | undefined {
    return this.#executors.get(executorId);
  }

  /** Takes an executor in after its Hello; an older session of it is replaced. */
  join(executor: HomedExecutor): void {
    this.#version += 1;
    executor.present = this.#registryAway || this.#isPresent(executor);
    this.#executors.delete(executor.profile.executorId);
    this.#executors.set(executor.profile.executorId, executor);
  }

  /** Lets an executor go, unless another session of it has come. */
  remove(executor: HomedExecutor): void {
    if (this.#executors.get(executor.profile.executorId) !== executor) return;
    this.#version += 1;
    this.#executors.delete(executor.profile.executorId);
  }

  /** Calls back when an executor has more room than before; returns how to stop. */
  onRoomGrown(listener: () => void): () => void {
    this.#roomListeners.add(listener);
    return () => void this.#roomListeners.delete(listener);
  }

  /** What a heartbeat says of slots. Counts of capabilities without slots of their own are passed over. */
  beat(executor: HomedExecutor, counts: readonly SlotCount[]): void {
    let grown = executor.full || executor.suspect;
    executor.full = false;
    executor.suspect = false;
    const before = roomsOf(executor);
    for (const { capabilityIndex: index, free, receivedCount } of counts) {
      const ledger = index === null ? executor.slots : executor.limited.get(index);
      ledger?.heard(free, receivedCount);
    }
    for (const ledger of executor.limited.values()) ledger.bound(executor.slots.underWay);
    grown ||= roomsOf(executor).some((room, index) => room > (before[index] ?? 0));
    if (grown && executor.room > 0) this.#tellRoom();
  }

  /** Marks an executor as leaving or as staying. */
  setDraining(executor: HomedExecutor, draining: boolean): void {
    this.#open(executor, () => {
      executor.draining = draining;
    });
  }

  /** Marks an executor as silent, or as heard again. */
  setSuspect(executor: HomedExecutor, suspect: boolean): void {
    this.#open(executor, () => {
      executor.suspect = suspect;
    });
  }

  /**
   * Executors whose key the registry has; null while it is away, when the last
   * view stands and newcomers count as present. Executors without a key are
   * always present.
   */
  setPresent(executorIds: ReadonlySet<string> | null): void {
    this.#registryAway = executorIds === null;
    if (executorIds === null) return;
    this.#seenKeys = executorIds;
    for (const executor of this.#executors.values()) {
      this.#open(executor, () => {
        executor.present = this.#isPresent(executor);
      });
    }
  }

  /** Rule 20: what came back for want of room makes its executor full until the next beat. */
  full(executorId: ExecutorId): void {
    const executor = this.#executors.get(executorId);
    if (executor !== undefined) executor.full = true;
  }

  /** True when some executor homed here can run the route, whether it has room or not. */
  matching(route: Route): boolean {
    return this.#candidates(route).length > 0;
  }

  /** Slots that can be reserved for the route now. */
  room(route: Route): number {
    let room = 0;
    for (const candidate of this.#candidates(route)) room += roomOf(candidate);
    return room;
  }

  /** True when any executor homed here has room for anything. */
  anyRoom(): boolean {
    for (const executor of this.#executors.values()) if (executor.room > 0) return true;
    return false;
  }

  /** True when some executor could be given work of either route now. */
  shareRoom(one: Route, other: Route): boolean {
    const others = this.#candidates(other);
    return this.#candidates(one).some(
      (candidate) =>
        roomOf(candidate) > 0 &&
        others.some((another) => another.executor === candidate.executor && roomOf(another) > 0),
    );
  }

  /** Reserves a slot of the least loaded executor that can run the route; null when none has room. */
  reserve(route: Route): Placement | null {
    let best: Candidate | null = null;
    let bestRoom = 0;
    for (const candidate of this.#candidates(route)) {
      const room = roomOf(candidate);
      if (room <= bestRoom) continue;
      best = candidate;
      bestRoom = room;
    }
    if (best === null) return null;
    best.executor.slots.take();
    best.own?.take();
    const { executorId, incarnation } = best.executor.profile;
    return { executorId, incarnation, sessionNumber: best.executor.sessionNumber };
  }

  /** Reserves up to `limit` slots, each of the executor that is the least loaded then. */
  reserveMany(route: Route, limit: number): Placement[] {
    const placements: Placement[] = [];
    while (placements.length < limit) {
      const placement = this.reserve(route);
      if (placement === null) break;
      placements.push(placement);
    }
    return placements;
  }

  /** Gives back a reservation that was never sent. One of an earlier session went with it. */
  release(placement: Placement, route: Route): void {
    const executor = this.#executors.get(placement.executorId);
    if (executor === undefined || executor.sessionNumber !== placement.sessionNumber) return;
    if (executor.profile.incarnation !== placement.incarnation) return;
    executor.slots.giveBack();
    ownSlots(executor, route)?.giveBack();
  }

  /** Counts a key that goes to the executor under a session that did not reserve it: a resend from an earlier one. */
  countSent(executor: HomedExecutor, target: Pick<Target, "kind" | "method">): void {
    executor.slots.take();
    ownSlots(executor, target)?.take();
  }

  #candidates(route: Route): readonly Candidate[] {
    const known = this.#matched.get(route);
    if (known !== undefined && known.version === this.#version) return known.candidates;
    const candidates: Candidate[] = [];
    for (const executor of this.#executors.values()) {
      if (matchesRoute(executor.profile, route)) candidates.push({ executor, own: ownSlots(executor, route) });
    }
    this.#matched.set(route, { version: this.#version, candidates });
    return candidates;
  }

  #isPresent(executor: HomedExecutor): boolean {
    return !executor.profile.registered || this.#seenKeys === null || this.#seenKeys.has(executor.profile.executorId);
  }

  #open(executor: HomedExecutor, change: () => void): void {
    const before = executor.room;
    change();
    if (executor.room > before) this.#tellRoom();
  }

  #tellRoom(): void {
    for (const listener of this.#roomListeners) listener();
  }
}

function roomsOf({ slots, limited }: HomedExecutor): readonly number[] {
  return limited.size === 0 ? [slots.room] : [slots.room, ...[...limited.values()].map((ledger) => ledger.room)];
}

function roomOf({ executor, own }: Candidate): number {
  return own === null ? executor.room : Math.min(executor.room, own.room);
}

/** The ledger of the capability that runs the target; null when it has no slots of its own. */
function ownSlots(executor: HomedExecutor, target: Pick<Target, "kind" | "method">): SlotLedger | null {
  if (executor.limited.size === 0) return null;
  return executor.limited.get(capabilityIndex(executor.profile, target)) ?? null;
}
