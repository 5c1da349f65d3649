import type { AttemptProgress } from "../../common/domain/attempt.ts";
import { keyText } from "../../common/domain/identifier.ts";
import type { Clock, Timer } from "../../common/port/clock.ts";
import type { ExecutionStore } from "../../common/port/store-executions.ts";
import type { Logger } from "../../common/runtime/log.ts";

/** Attempts whose progress waits for the next beat; of others it is dropped until they say it again. */
export const MAX_WAITING_PROGRESS = 10_000;
/** Reports in one transaction. */
const MAX_PROGRESS_ROWS = 500;

/** What it needs. */
export type ProgressIntakeDeps = {
  readonly store: Pick<ExecutionStore, "storeProgress">;
  readonly clock: Clock;
  readonly log: Logger;
};

/**
 * How far attempts are, as their executors say it: the newest of each, stored
 * for all of them together once a beat. It is for people and promises nothing:
 * what the store does not take is dropped, as a newer one follows.
 */
export class ProgressIntake {
  readonly #deps: ProgressIntakeDeps;
  readonly #beatMs: number;
  readonly #newest = new Map<string, AttemptProgress>();
  #timer: Timer | null = null;
  #storing: Promise<void> | null = null;
  #stopped = false;

  /** @param beatMs between two writes, milliseconds */
  constructor(deps: ProgressIntakeDeps, beatMs: number) {
    this.#deps = deps;
    this.#beatMs = beatMs;
  }

  /** Attempts whose newest report is not stored yet. */
  get waiting(): number {
    return this.#newest.size;
  }

  /** Takes a report; it stands for all earlier ones of its attempt. */
  put(report: AttemptProgress): void {
    if (this.#stopped) return;
    const key = keyText(report.key);
    if (this.#newest.size >= MAX_WAITING_PROGRESS && !this.#newest.has(key)) return;
    this.#newest.set(key, report);
    this.#storeLater();
  }

  /** Takes no more; stores what waits, once. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    await this.#storing;
    if (this.#newest.size > 0) await this.#store();
  }

  #storeLater(): void {
    if (this.#storing !== null || this.#stopped) return;
    this.#timer ??= this.#deps.clock.setTimer(this.#beatMs, () => {
      this.#timer = null;
      this.#storing = this.#store().finally(() => {
        this.#storing = null;
        if (this.#newest.size > 0) this.#storeLater();
      });
    });
  }

  async #store(): Promise<void> {
    const reports = [...this.#newest.values()];
    this.#newest.clear();
    try {
      for (let from = 0; from < reports.length; from += MAX_PROGRESS_ROWS) {
        await this.#deps.store.storeProgress(reports.slice(from, from + MAX_PROGRESS_ROWS));
      }
    } catch (thrown) {
      this.#deps.log.warn({ err: thrown, count: reports.length }, "progress of attempts could not be stored");
    }
  }
}
