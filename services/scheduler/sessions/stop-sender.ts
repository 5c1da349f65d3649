import type { StopReason } from "../../common/domain/execution.ts";
import { keyText } from "../../common/domain/identifier.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import type { Session } from "./session.ts";
import type { SessionConfig } from "./session-config.ts";
import type { SessionService } from "./session-service.ts";

/** Stops that one sweep reads. */
const MAX_STOPS = 10_000;

/** What a stop sender needs. */
export type StopSenderDeps = {
  readonly store: Pick<Store, "executions">;
  readonly sessions: SessionService;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Logger;
};

type Sent = { readonly session: Session; readonly reason: StopReason; readonly atMs: number };

/**
 * Rule 25: stops are rows, and their executor's home sends them: at once when
 * hinted, after each Hello, and again with each heartbeat until the attempt has
 * ended. The sweep tells each 250 ms whether this home has any to send, so that a
 * lost hint costs a quarter of a second.
 */
export class StopSender {
  readonly #deps: StopSenderDeps;
  readonly #config: SessionConfig;
  readonly #loop: WakeableLoop;
  #sent = new Map<string, Sent>();
  #unsubscribe: (() => void)[] = [];

  constructor(deps: StopSenderDeps, config: SessionConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#loop = new WakeableLoop(deps.clock, deps.log, {
      name: "stops",
      intervalMs: null,
      run: async () => {
        await this.runOnce();
        return false;
      },
    });
  }

  start(): void {
    if (this.#unsubscribe.length > 0) return;
    const wake = (): void => this.#loop.wake();
    this.#unsubscribe = [
      this.#deps.hints.on("stop", wake),
      this.#deps.hints.on("pending", ({ work }) => {
        if (work.stops) wake();
      }),
      this.#deps.sessions.onJoined(wake),
    ];
    this.#loop.start();
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
    await this.#loop.stop();
  }

  /** Sends what has to be sent now; answers how many stops went out. */
  async runOnce(): Promise<number> {
    const { store, sessions, clock } = this.#deps;
    const stops = await store.executions.stops(this.#config.schedulerId, MAX_STOPS);
    const nowMs = clock.monotonicMs();
    const still = new Map<string, Sent>();
    let count = 0;
    for (const { key, executorId, incarnation, stop } of stops) {
      const session = sessions.current(executorId, incarnation);
      if (stop === null || session === undefined) continue;
      const text = keyText(key);
      const before = this.#sent.get(text);
      if (before !== undefined && !this.#isDue(before, session, stop.reason, nowMs)) {
        still.set(text, before);
        continue;
      }
      session.sendStop(key, stop.reason, stop.message);
      still.set(text, { session, reason: stop.reason, atMs: nowMs });
      count += 1;
    }
    this.#sent = still;
    return count;
  }

  #isDue(sent: Sent, session: Session, reason: StopReason, nowMs: number): boolean {
    if (sent.session !== session || sent.reason !== reason) return true;
    return nowMs - sent.atMs >= this.#config.heartbeatIntervalMs;
  }
}
