import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { WakeableLoop } from "../wakeable-loop.ts";

/** Between two rounds. */
const ROUND_MS = 60_000;
/** Request_ids forgotten in one transaction. */
const MAX_REQUESTS = 1_000;
/** How long the incarnation of an executor is kept after its end (rule 14). */
const KEPT_INCARNATION_US = 24 * 3_600 * 1_000_000;

/** Which scheduler does what the mesh needs one for. */
export interface TaskOwners {
  ownsTask(task: string): boolean;
}

/**
 * Cleaner forgets what is over: request_ids after their 24 hours (rule 5), and
 * incarnations of executors a day after their end (rule 14). Two of them at
 * once are harmless.
 */
export class Cleaner {
  readonly #deps: { store: Store; owners: TaskOwners; meshClock: MeshClock; clock: Clock; log: Logger };
  readonly #loop: WakeableLoop;

  constructor(deps: { store: Store; owners: TaskOwners; meshClock: MeshClock; clock: Clock; log: Logger }) {
    this.#deps = deps;
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
    if (!owners.ownsTask("cleaning")) return false;
    await store.executors.prune(meshClock.nowUs() - KEPT_INCARNATION_US);
    return (await store.executions.pruneRequests(MAX_REQUESTS)) >= MAX_REQUESTS;
  }
}
