import { type ExecutionState, isFinal } from "../../common/domain/execution.ts";
import type { ExecutionId } from "../../common/domain/identifier.ts";
import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";

/** Calls that wait for an execution's end at once, on one scheduler. */
const MAX_WAITERS = 100_000;
/** Executions asked for in one query. */
const MAX_QUERY_IDS = 500;
/** Time between two looks at the store; hints make most of them needless. */
const SWEEP_INTERVAL_MS = 250;

/**
 * Waits for executions to end, from whichever scheduler stored the result: a
 * hint ends a wait at once, and what no hint told is found in the store.
 */
export class EndedWaits {
  readonly #deps: { store: Store; hints: Hints; clock: Clock; log: Logger };
  readonly #waiters = new Map<ExecutionId, Map<() => void, ExecutionState | null>>();
  readonly #maxWaiters: number;
  #count = 0;
  /** Tells the loop that somebody waits; null while it knows. */
  #begun: (() => void) | null = null;
  #stop = new AbortController();
  #running: Promise<void> | null = null;
  #unlisten: readonly (() => void)[] = [];

  /** @param maxWaiters calls that wait at once; one more is refused */
  constructor(deps: { store: Store; hints: Hints; clock: Clock; log: Logger }, maxWaiters: number = MAX_WAITERS) {
    this.#deps = deps;
    this.#maxWaiters = maxWaiters;
  }

  /** Calls that wait now. */
  get count(): number {
    return this.#count;
  }

  start(): void {
    if (this.#running !== null) return;
    this.#stop = new AbortController();
    const { hints } = this.#deps;
    this.#unlisten = [
      hints.on("ended", (hint) => this.#wake(hint.executionId)),
      hints.on("moved", (hint) => {
        if (this.#count === 0) return;
        for (const executionId of hint.executionIds) this.#wakeWatchers(executionId);
      }),
    ];
    this.#running = this.#loop(this.#stop.signal);
  }

  async stop(): Promise<void> {
    for (const unlisten of this.#unlisten) unlisten();
    this.#stop.abort();
    this.#begun?.();
    await this.#running;
    this.#running = null;
    for (const executionId of [...this.#waiters.keys()]) this.#wake(executionId);
  }

  /**
   * Resolves when the execution may have ended, or when the signal aborts: look
   * at the store then. Given a state, also when it may have come to another one.
   * Throws OVERLOADED when too many wait, and SHUTTING_DOWN after stop.
   */
  wait(executionId: ExecutionId, signal: AbortSignal, leaves: ExecutionState | null = null): Promise<void> {
    if (this.#count >= this.#maxWaiters) {
      throw new JobmeshError("OVERLOADED", {
        message: `${this.#maxWaiters} calls wait already`,
        retryDelayMs: 1000,
      });
    }
    // Who was woken by the stop looks once more, and would else look again and again.
    if (this.#stop.signal.aborted) throw new JobmeshError("SHUTTING_DOWN");
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(executionId) ?? new Map<() => void, ExecutionState | null>();
      this.#waiters.set(executionId, waiters);
      const done = (): void => {
        if (!waiters.delete(done)) return;
        this.#count -= 1;
        if (waiters.size === 0 && this.#waiters.get(executionId) === waiters) this.#waiters.delete(executionId);
        signal.removeEventListener("abort", done);
        resolve();
      };
      waiters.set(done, leaves);
      this.#count += 1;
      this.#begun?.();
      signal.addEventListener("abort", done, { once: true });
    });
  }

  /** Looks once at the store for those that are waited for; answers how many have ended. */
  async runOnce(): Promise<number> {
    const ids = [...this.#waiters.keys()];
    let ended = 0;
    for (let from = 0; from < ids.length; from += MAX_QUERY_IDS) {
      const states = await this.#deps.store.executions.states(ids.slice(from, from + MAX_QUERY_IDS));
      for (const { executionId, state } of states) {
        if (!isFinal(state)) {
          this.#wakeWatchers(executionId, state);
          continue;
        }
        this.#wake(executionId);
        ended += 1;
      }
    }
    return ended;
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#waiters.size === 0) await this.#first();
      await this.#deps.clock.sleep(SWEEP_INTERVAL_MS, signal);
      if (signal.aborted) return;
      try {
        await this.runOnce();
      } catch (error) {
        this.#deps.log.warn({ err: error }, "the executions that callers wait for could not be read");
      }
    }
  }

  /** Resolves when somebody waits, or at the stop. */
  #first(): Promise<void> {
    return new Promise((resolve) => {
      this.#begun = () => {
        this.#begun = null;
        resolve();
      };
    });
  }

  #wake(executionId: ExecutionId): void {
    for (const done of [...(this.#waiters.get(executionId)?.keys() ?? [])]) done();
  }

  /** Wakes those that wait for another state than this; without one, all that wait for more than the end. */
  #wakeWatchers(executionId: ExecutionId, state: ExecutionState | null = null): void {
    for (const [done, leaves] of [...(this.#waiters.get(executionId) ?? [])]) {
      if (leaves !== null && leaves !== state) done();
    }
  }
}
