import type { StopReason } from "../../common/domain/execution.ts";
import { type AttemptKey, keyText } from "../../common/domain/identifier.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { ActiveAttempt } from "../../common/port/store-executions.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Sender } from "../dispatch/sender.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import type { Roster } from "./roster.ts";
import type { Session } from "./session.ts";
import type { SessionConfig } from "./session-config.ts";
import type { SessionService } from "./session-service.ts";

/** What the watch needs. */
export type AttemptWatchDeps = {
  readonly store: Pick<Store, "executions">;
  readonly sessions: SessionService;
  readonly roster: Roster;
  readonly sender: Sender;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly meshClock: MeshClock;
  readonly log: Logger;
};

/** What is to be done about a current attempt. */
export type AttemptVerdict = "leave" | "resend" | "reroute" | "timeout";

/** What one round did. */
export type WatchRound = { readonly resent: number; readonly stopped: number };

/** Beats between two rounds, and the age from which an attempt is looked at. */
const BEATS_A_ROUND = 2;
/** Attempts of one executor beyond its slots that a round still sees. */
const ACTIVE_SLACK = 1_000;
/** Executions that one query reads for a resend. */
const RESEND_CHUNK = 200;
/** Rounds between two resends of a key grow up to this. */
const MAX_RESEND_ROUNDS = 8;

/**
 * Judges a current attempt that is older than two beats. Rule 24: the
 * scheduler's timeout comes at timeout + kill grace + two beats after the
 * start, or, when no start is known, the dispatch or the time it is held for. Rule 21: one that stays
 * unconfirmed goes elsewhere. Rule 19: one that the executor is not known to
 * have is sent again, unless it is stopped, which the stop itself answers.
 */
export function judgeAttempt(
  attempt: ActiveAttempt,
  known: boolean,
  nowUs: number,
  config: Pick<SessionConfig, "heartbeatIntervalMs" | "killGraceMs" | "rerouteAfterMs">,
): AttemptVerdict {
  if (attempt.stop !== null) return "leave";
  const marginMs = config.killGraceMs + BEATS_A_ROUND * config.heartbeatIntervalMs;
  const sinceUs = startOf(attempt, nowUs);
  if (nowUs - sinceUs >= (attempt.timeoutMs + marginMs) * 1_000) return "timeout";
  if (known) return "leave";
  const unconfirmed = attempt.state === "DISPATCHED";
  return unconfirmed && nowUs - attempt.dispatchUs >= config.rerouteAfterMs * 1_000 ? "reroute" : "resend";
}

/**
 * When it started, in mesh time. The executor says it by its own clock, which may be wrong by any amount: what cannot be
 * is not believed, or a clock that is behind would stop attempts at once, and one that is ahead would never.
 */
function startOf({ startUs, dispatchUs, holdUntilUs }: ActiveAttempt, nowUs: number): number {
  return startUs !== null && startUs >= dispatchUs && startUs <= nowUs ? startUs : (holdUntilUs ?? dispatchUs);
}

type Backoff = { readonly times: number; readonly nextRound: number };
/** What the watch remembers of a session. */
type Watched = {
  /** Resends by key. */
  backoffs: Map<string, Backoff>;
  /** Keys of earlier sessions that were counted as sent under this one. */
  adopted: Set<string>;
};

/** Watches the current attempts of the executors homed here (rules 19, 21, 24). */
export class AttemptWatch {
  readonly #deps: AttemptWatchDeps;
  readonly #config: SessionConfig;
  readonly #loop: WakeableLoop;
  readonly #watched = new WeakMap<Session, Watched>();
  #round = 0;

  constructor(deps: AttemptWatchDeps, config: SessionConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#loop = new WakeableLoop(deps.clock, deps.log, {
      name: "attempt watch",
      intervalMs: BEATS_A_ROUND * config.heartbeatIntervalMs,
      run: async (signal) => {
        await this.runOnce(signal);
        return false;
      },
    });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  /** Looks once at every session. */
  async runOnce(signal: AbortSignal): Promise<WatchRound> {
    this.#round += 1;
    let resent = 0;
    let stopped = 0;
    for (const session of [...this.#deps.sessions.sessions()]) {
      if (signal.aborted) break;
      if (session.signal.aborted) continue;
      const round = await this.#look(session);
      resent += round.resent;
      stopped += round.stopped;
    }
    if (resent + stopped > 0) this.#deps.log.info({ resent, stopped }, "attempts without a sign were looked after");
    return { resent, stopped };
  }

  async #look(session: Session): Promise<WatchRound> {
    const { store, meshClock } = this.#deps;
    const { executorId, incarnation, slots } = session.profile;
    const nowUs = meshClock.nowUs();
    const olderUs = nowUs - BEATS_A_ROUND * this.#config.heartbeatIntervalMs * 1_000;
    const active = await store.executions.active(executorId, incarnation, olderUs, slots + ACTIVE_SLACK);
    session.known.seen(active.map((attempt) => attempt.key));
    const watched = this.#refresh(session, active);
    const unknown: ActiveAttempt[] = [];
    let stopped = 0;
    for (const attempt of active) {
      const verdict = judgeAttempt(attempt, session.known.has(attempt.key), nowUs, this.#config);
      if (verdict === "reroute" && (await this.#stop(attempt.key, "REROUTE", "its executor did not confirm it"))) {
        stopped += 1;
      }
      if (verdict === "timeout" && (await this.#stop(attempt.key, "TIMEOUT", "it ran past its timeout"))) stopped += 1;
      if (verdict === "resend" && this.#isDue(watched, attempt.key)) unknown.push(attempt);
    }
    const resent = await this.#resend(session, watched, unknown);
    return { resent, stopped };
  }

  /** Forgets what is not current any more. */
  #refresh(session: Session, active: readonly ActiveAttempt[]): Watched {
    const before = this.#watched.get(session) ?? { backoffs: new Map(), adopted: new Set() };
    const watched: Watched = { backoffs: new Map(), adopted: new Set() };
    for (const { key } of active) {
      const text = keyText(key);
      const backoff = before.backoffs.get(text);
      if (backoff !== undefined) watched.backoffs.set(text, backoff);
      if (before.adopted.has(text)) watched.adopted.add(text);
    }
    this.#watched.set(session, watched);
    return watched;
  }

  #isDue(watched: Watched, key: AttemptKey): boolean {
    const backoff = watched.backoffs.get(keyText(key));
    return backoff === undefined || backoff.nextRound <= this.#round;
  }

  /** Same key, same dispatch_time, this session's number, down the session and never by the bus. */
  async #resend(session: Session, watched: Watched, attempts: readonly ActiveAttempt[]): Promise<number> {
    const { store, sender } = this.#deps;
    let count = 0;
    for (let from = 0; from < attempts.length; from += RESEND_CHUNK) {
      const chunk = attempts.slice(from, from + RESEND_CHUNK);
      const sessions = new Map(chunk.map(({ key, sessionNumber }) => [keyText(key), sessionNumber]));
      for (const execution of await store.executions.forResend(chunk.map(({ key }) => key))) {
        const { executionId, attempt, fence } = execution;
        if (session.signal.aborted || fence === null) continue;
        const text = keyText({ executionId, attempt, fence });
        // What was claimed under this session was counted when its slot was reserved.
        if (sessions.get(text) !== session.executor.sessionNumber && !watched.adopted.has(text)) {
          watched.adopted.add(text);
          this.#deps.roster.countSent(session.executor, execution.target);
        }
        if (!sender.resend(execution, session.executor)) continue;
        const times = (watched.backoffs.get(text)?.times ?? 0) + 1;
        watched.backoffs.set(text, { times, nextRound: this.#round + Math.min(2 ** (times - 1), MAX_RESEND_ROUNDS) });
        count += 1;
      }
    }
    return count;
  }

  async #stop(key: AttemptKey, reason: StopReason, message: string): Promise<boolean> {
    const stopped = await this.#deps.store.executions.stopAttempt(key, reason, message);
    if (stopped) this.#deps.hints.tell({ kind: "stop", executionId: key.executionId });
    return stopped;
  }
}
