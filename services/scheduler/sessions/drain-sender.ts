import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import type { Session } from "./session.ts";
import type { SessionConfig } from "./session-config.ts";
import type { SessionService } from "./session-service.ts";

/** What a drain sender needs. */
export type DrainSenderDeps = {
  readonly store: Pick<Store, "executors">;
  readonly sessions: SessionService;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly meshClock: MeshClock;
  readonly log: Logger;
};

/**
 * Drains are asked of any scheduler and stand in the executor's row; its home
 * sends them: at once when hinted, after each Hello, and when the grace became
 * shorter. One query a heartbeat reads all that this home has to send, so that
 * a lost hint costs a second. No claim waits for that: the store refuses slots
 * of what drains.
 */
export class DrainSender {
  readonly #deps: DrainSenderDeps;
  readonly #config: SessionConfig;
  readonly #loop: WakeableLoop;
  /** The end of the grace that each session was told. */
  readonly #sent = new WeakMap<Session, number>();
  #unsubscribe: (() => void)[] = [];

  constructor(deps: DrainSenderDeps, config: SessionConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#loop = new WakeableLoop(deps.clock, deps.log, {
      name: "drains",
      intervalMs: config.heartbeatIntervalMs,
      run: async () => {
        await this.runOnce();
        return false;
      },
    });
  }

  start(): void {
    if (this.#unsubscribe.length > 0) return;
    const wake = (): void => this.#loop.wake();
    this.#unsubscribe = [this.#deps.hints.on("drain", wake), this.#deps.sessions.onJoined(wake)];
    this.#loop.start();
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
    await this.#loop.stop();
  }

  /** Sends what was not sent yet; answers how many drains went out. */
  async runOnce(): Promise<number> {
    const { store, sessions, meshClock, log } = this.#deps;
    let count = 0;
    for (const { executorId, incarnation, untilUs } of await store.executors.drains(this.#config.schedulerId)) {
      const session = sessions.current(executorId, incarnation);
      if (session === undefined || this.#sent.get(session) === untilUs) continue;
      const graceMs = Math.max(Math.ceil((untilUs - meshClock.nowUs()) / 1_000), 0);
      this.#sent.set(session, untilUs);
      session.drain(graceMs);
      count += 1;
      log.info({ executorId, graceMs }, "an executor is asked to leave");
    }
    return count;
  }
}
