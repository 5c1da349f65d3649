import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import type { Session } from "./session.ts";
import type { SessionService } from "./session-service.ts";

/** What departures need. */
export type DeparturesDeps = {
  readonly store: Pick<Store, "executors" | "executions">;
  readonly sessions: SessionService;
  readonly clock: Clock;
  readonly meshClock: MeshClock;
  readonly log: Logger;
};

/** Between two looks at executors that leave. */
const LOOK_INTERVAL_MS = 250;
/** An executor that left behind attempts which do not end is left to the rescuer after this. */
const PATIENCE_MS = 5_000;
/** Attempts dispatched up to now: the clocks of two schedulers may differ. */
const ALL_AHEAD_US = 60_000_000;

/**
 * Lets executors go that said Leaving and then ended their side: when the store
 * has no current attempt of one, and its results are stored, the incarnation
 * has left, and the home ends the stream in order. One that broke off, or left
 * attempts behind, is judged like any other that went silent.
 */
export class Departures {
  readonly #deps: DeparturesDeps;
  readonly #loop: WakeableLoop;
  /** When each of them ended its side, by the monotonic clock. */
  readonly #leaving = new Map<Session, number>();

  constructor(deps: DeparturesDeps) {
    this.#deps = deps;
    this.#loop = new WakeableLoop(deps.clock, deps.log, {
      name: "departures",
      intervalMs: LOOK_INTERVAL_MS,
      run: async () => {
        await this.runOnce();
        return false;
      },
    });
    deps.sessions.onDeparting((session) => {
      this.#leaving.set(session, deps.clock.monotonicMs());
      this.#loop.wake();
    });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  /** Answers how many executors left. */
  async runOnce(): Promise<number> {
    let count = 0;
    for (const [session, sinceMs] of [...this.#leaving]) {
      if (!session.signal.aborted && (await this.#letGo(session))) count += 1;
      else if (this.#deps.clock.monotonicMs() - sinceMs >= PATIENCE_MS) session.end(null);
      if (session.signal.aborted) this.#leaving.delete(session);
    }
    return count;
  }

  async #letGo(session: Session): Promise<boolean> {
    const { store, meshClock, log } = this.#deps;
    const { executorId, incarnation } = session.profile;
    if (session.resultsUnderWay > 0) return false;
    const [current] = await store.executions.active(executorId, incarnation, meshClock.nowUs() + ALL_AHEAD_US, 1);
    if (current !== undefined || session.signal.aborted) return false;
    await store.executors.leave(executorId, incarnation);
    session.end(null);
    log.info({ executorId }, "an executor left");
    return true;
  }
}
