import type { SessionUp } from "../common/domain/session.ts";
import type { Clock, Timer } from "../common/port/clock.ts";
import type { Logger } from "../common/runtime/log.ts";
import { attemptFacts } from "../common/telemetry/attempt-facts.ts";
import type { RunningAttempt } from "./running-attempt.ts";

/**
 * One coarse look at all that runs, instead of timers for each: reports of
 * those that last (AttemptStarted, progress), timeouts of handlers, and handlers
 * that do not settle (rule 22: such a one keeps its slot; the executor warns,
 * and ends the process after a setting). A timeout that falls before the next
 * look has a timer of its own, so that it is on time. Nothing ticks while
 * nothing runs.
 */

/** Between two looks. */
const LOOK_MS = 50;
/** Between two reports of one attempt's progress: the home stores them once a beat. */
const PROGRESS_GAP_MS = 1_000;

/** What an AttemptWatch needs. */
export interface AttemptWatchDeps {
  readonly clock: Clock;
  readonly log: Logger;
  running(): ReadonlySet<RunningAttempt>;
  /** Says something to the home. */
  say(message: SessionUp): void;
  /** Ends the process, which only a main can do. */
  exitProcess(why: string): void;
}

/** Settings of an AttemptWatch. */
export type AttemptWatchConfig = { readonly killGraceMs: number; readonly unsettledExitMs: number };

/** AttemptWatch looks after attempts while they run. */
export class AttemptWatch {
  readonly #deps: AttemptWatchDeps;
  readonly #config: AttemptWatchConfig;
  readonly #deadlines = new Map<RunningAttempt, Timer>();
  #timer: Timer | null = null;
  #reportDelayMs = 250;
  #exiting = false;

  constructor(deps: AttemptWatchDeps, config: AttemptWatchConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  /** An attempt that ends sooner is reported by its result alone. */
  set reportDelayMs(delayMs: number) {
    this.#reportDelayMs = delayMs;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const timer of this.#deadlines.values()) timer.cancel();
    this.#deadlines.clear();
  }

  /** An attempt has begun; one whose timeout comes before the next look is armed at once. */
  began(attempt: RunningAttempt): void {
    this.#lookLater();
    if (attempt.order.timeoutMs <= 2 * LOOK_MS) this.#arm(attempt, attempt.startMs);
  }

  /** After a Hello: all that run are to be reported again. */
  reportAgain(): void {
    for (const attempt of this.#deps.running()) {
      attempt.reported = false;
      attempt.toldProgress = null;
    }
    this.#look();
  }

  #tick(): void {
    this.#timer = null;
    this.#look();
    if (this.#deps.running().size > 0) this.#lookLater();
  }

  #lookLater(): void {
    this.#timer ??= this.#deps.clock.setTimer(LOOK_MS, () => this.#tick());
  }

  #look(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const attempt of this.#deps.running()) {
      if (!attempt.reported && nowMs - attempt.startMs >= this.#reportDelayMs) {
        attempt.reported = true;
        this.#deps.say({ kind: "started", key: attempt.order.key, startUs: attempt.startUs });
      }
      if (attempt.progress !== attempt.toldProgress) this.#tellProgress(attempt, nowMs);
      if (attempt.deadlineMs - nowMs <= 2 * LOOK_MS) this.#arm(attempt, nowMs);
      if (nowMs >= attempt.graceEndMs) this.#unsettled(attempt, nowMs);
    }
  }

  /** The newest word of an attempt, however often it says one. */
  #tellProgress(attempt: RunningAttempt, nowMs: number): void {
    const { progress } = attempt;
    if (progress === null || nowMs - attempt.progressTellMs < PROGRESS_GAP_MS) return;
    attempt.toldProgress = progress;
    attempt.progressTellMs = nowMs;
    this.#deps.say({ kind: "progress", key: attempt.order.key, ...progress });
  }

  #arm(attempt: RunningAttempt, nowMs: number): void {
    if (this.#deadlines.has(attempt) || attempt.cause !== null) return;
    const timer = this.#deps.clock.setTimer(Math.max(attempt.deadlineMs - nowMs, 0), () => {
      this.#deadlines.delete(attempt);
      if (!this.#deps.running().has(attempt)) return;
      attempt.stop({ kind: "timeout" }, this.#deps.clock.monotonicMs() + this.#config.killGraceMs);
    });
    this.#deadlines.set(attempt, timer);
  }

  #unsettled(attempt: RunningAttempt, nowMs: number): void {
    const facts = attemptFacts(attempt.order);
    if (!attempt.warned) {
      attempt.warned = true;
      this.#deps.log.warn(facts, "an attempt was told to end and does not; it keeps its slot");
    }
    if (nowMs - attempt.graceEndMs < this.#config.unsettledExitMs || this.#exiting) return;
    this.#exiting = true;
    this.#deps.log.error(facts, "an attempt does not end, so the process does");
    this.#deps.exitProcess("an attempt that was told to end did not");
  }
}
