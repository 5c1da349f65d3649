import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import { LEFTOVER_KINDS } from "../../common/port/store-retention.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { MeshClock } from "../mesh-clock.ts";

/** Between two sweeps. */
const SWEEP_MS = 3_600_000;
/**
 * The first sweep of a scheduler ends before this kind: a route is a few bytes, and its executor has to be gone for a
 * day, so that those who start, often many at once, need not look.
 */
const LATER_KIND = LEFTOVER_KINDS.indexOf("routes");
/** A job that was deleted answers the repeat of its creation for 24 hours (rule 5), and a little longer. */
const MIN_KEPT_MS = 25 * 3_600_000;

/** What a LeftoverSweep is given. */
export type LeftoverSweepDeps = {
  readonly store: Pick<Store, "retention">;
  readonly meshClock: MeshClock;
  readonly clock: Clock;
  readonly log: Logger;
};

/**
 * LeftoverSweep deletes what is left of jobs and executions that are gone, once
 * an hour, page by page: gates of deleted jobs before the revisions that tell
 * whose they were.
 */
export class LeftoverSweep {
  readonly #deps: LeftoverSweepDeps;
  readonly #keptMs: number;
  #nextMs = Number.NEGATIVE_INFINITY;
  /** The kind that is swept now, and where; a sweep is over when all kinds are. */
  #kind = 0;
  #place: string | null = null;
  #kinds = LATER_KIND;

  /** @param retentionMs how long what nobody uses is kept, 25 hours at least */
  constructor(deps: LeftoverSweepDeps, retentionMs: number) {
    this.#deps = deps;
    this.#keptMs = Math.max(retentionMs, MIN_KEPT_MS);
  }

  /** One page, when a sweep is due; true while it has more. */
  async runOnce(): Promise<boolean> {
    const { store, meshClock, clock, log } = this.#deps;
    if (clock.monotonicMs() < this.#nextMs) return false;
    const kind = LEFTOVER_KINDS[this.#kind] ?? LEFTOVER_KINDS[0];
    const unusedSinceUs = meshClock.nowUs() - this.#keptMs * 1_000;
    const { deleted, place } = await store.retention.deleteLeftovers(kind, unusedSinceUs, this.#place);
    if (deleted > 0) log.info({ kind, count: deleted }, "what nobody uses any more was deleted");
    this.#place = place;
    if (place !== null) return true;
    this.#kind += 1;
    if (this.#kind < this.#kinds) return true;
    this.#kind = 0;
    this.#kinds = LEFTOVER_KINDS.length;
    this.#nextMs = clock.monotonicMs() + SWEEP_MS;
    return false;
  }
}
