import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";

/** What is known of the queue counts so long, milliseconds. */
const SAMPLE_AGE_MS = 1_000;
/** Counting takes one part in so many of the time at most: a long queue is counted more rarely. */
const COUNTING_SHARE = 20;
/** And it is known so long at most: a store that answered late once would have submissions refused long after. */
const LONGEST_SAMPLE_AGE_MS = 5_000;
/** Who is refused may come again after this, milliseconds. */
const RETRY_DELAY_MS = 1_000;

/**
 * The limit on READY executions, which wait for a slot or at their gates. The
 * store is asked how many there are while submissions come, once a second and
 * never for each of them (rule 8); what was stored here since then is added. So
 * the limit can be passed by what other schedulers take within that second. Only
 * submissions are refused: a fire, a retry or what comes back never is.
 */
export class WaitingLimit {
  readonly #store: Pick<Store, "executions">;
  readonly #clock: Clock;
  readonly #maxWaiting: number;
  #waiting = 0;
  #freshUntilMs = Number.NEGATIVE_INFINITY;
  #sampling: Promise<void> | null = null;

  /** @param maxWaiting READY executions at which submissions are refused */
  constructor(deps: { readonly store: Pick<Store, "executions">; readonly clock: Clock }, maxWaiting: number) {
    this.#store = deps.store;
    this.#clock = deps.clock;
    this.#maxWaiting = maxWaiting;
  }

  /** Null where there is room. Else resolves when the store has said that there is, or rejects with WAITING_LIMIT. */
  check(): Promise<void> | null {
    const isFull = this.#waiting >= this.#maxWaiting;
    if (this.#clock.monotonicMs() < this.#freshUntilMs) return isFull ? Promise.reject(this.#refusal()) : null;
    const sampled = this.#sample();
    // Where there was room the call does not wait: what is found out is for those that come next.
    return isFull ? this.#unlessFull(sampled) : null;
  }

  /** So many became READY here. */
  added(count: number): void {
    this.#waiting += count;
  }

  async #unlessFull(sampled: Promise<void>): Promise<void> {
    await sampled;
    if (this.#waiting >= this.#maxWaiting) throw this.#refusal();
  }

  #sample(): Promise<void> {
    this.#sampling ??= this.#read().finally(() => {
      this.#sampling = null;
    });
    return this.#sampling;
  }

  /** While the store is away the last count stands; the submission itself says so. */
  async #read(): Promise<void> {
    const fromMs = this.#clock.monotonicMs();
    try {
      this.#waiting = await this.#store.executions.countReady(this.#maxWaiting);
    } catch {
      this.#waiting = Math.min(this.#waiting, this.#maxWaiting - 1);
    }
    const nowMs = this.#clock.monotonicMs();
    const ageMs = Math.max(SAMPLE_AGE_MS, (nowMs - fromMs) * COUNTING_SHARE);
    this.#freshUntilMs = nowMs + Math.min(ageMs, LONGEST_SAMPLE_AGE_MS);
  }

  #refusal(): JobmeshError {
    return new JobmeshError("WAITING_LIMIT", {
      message: `${this.#maxWaiting} executions wait already`,
      retryDelayMs: RETRY_DELAY_MS,
    });
  }
}
