import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { EndedPlace } from "../../common/port/store-retention.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import { LeftoverSweep } from "./leftover-sweep.ts";

/** Between two rounds. */
const ROUND_MS = 60_000;
/** Request_ids forgotten in one transaction. */
const MAX_REQUESTS = 1_000;
/** Executions deleted in one batch. */
const MAX_EXECUTIONS = 250;
/** How long the incarnation of an executor is kept after its end (rule 14). */
const KEPT_INCARNATION_US = 24 * 3_600 * 1_000_000;

/** Which scheduler does what the mesh needs one for. */
export interface TaskOwners {
  ownsTask(task: string): boolean;
}

/** Times of the cleaner. */
export type CleanerConfig = {
  /** How long ended executions are kept whose policy says nothing of it, milliseconds. */
  readonly retentionMs: number;
};

/** What a Cleaner is given. */
export type CleanerDeps = {
  readonly store: Store;
  readonly owners: TaskOwners;
  readonly meshClock: MeshClock;
  readonly clock: Clock;
  readonly log: Logger;
};

/**
 * Cleaner forgets what is over: request_ids after their 24 hours (rule 5),
 * incarnations of executors a day after their end (rule 14), executions with
 * their attempts and output when their retention ends, and what those leave
 * behind. Two of them at once are harmless.
 */
export class Cleaner {
  readonly #deps: CleanerDeps;
  readonly #config: CleanerConfig;
  readonly #loop: WakeableLoop;
  readonly #leftovers: LeftoverSweep;
  /** Up to here what goes by the server's retention is deleted. Only memory: a sweep from the beginning costs time. */
  #place: EndedPlace | null = null;

  constructor(deps: CleanerDeps, config: CleanerConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#leftovers = new LeftoverSweep(deps, config.retentionMs);
    const work = { name: "cleaner", intervalMs: ROUND_MS, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** One batch of each; true when there is more. */
  async runOnce(): Promise<boolean> {
    const { store, owners, meshClock } = this.#deps;
    if (!owners.ownsTask("cleaning")) {
      // Whoever owns it next begins anew; so does this one, then.
      this.#place = null;
      return false;
    }
    await store.executors.prune(meshClock.nowUs() - KEPT_INCARNATION_US);
    const requests = await store.executions.pruneRequests(MAX_REQUESTS);
    const history = await this.#deleteHistory();
    const leftovers = await this.#leftovers.runOnce();
    return history || leftovers || requests >= MAX_REQUESTS;
  }

  async #deleteHistory(): Promise<boolean> {
    const { store, meshClock, log } = this.#deps;
    const endedByUs = meshClock.nowUs() - this.#config.retentionMs * 1_000;
    const ended = await store.retention.deleteEnded(endedByUs, this.#place, MAX_EXECUTIONS);
    this.#place = ended.place;
    const expired = await store.retention.deleteExpired(MAX_EXECUTIONS);
    const count = ended.deleted + expired.deleted;
    if (count > 0) log.info({ count }, "executions were deleted whose retention had ended");
    return ended.more || expired.more;
  }
}
