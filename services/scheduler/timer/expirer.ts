import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import { WakeableLoop } from "../wakeable-loop.ts";

/** Limits of the expirer. */
export type ExpirerConfig = {
  /** Executions ended in one round, 500 at most. */
  readonly maxBatchRows: number;
};

/** Defaults of ExpirerConfig. */
export const expirerDefaults: ExpirerConfig = { maxBatchRows: 500 };

/** What an Expirer is given. */
export type ExpirerDeps = {
  readonly store: Pick<Store, "executions">;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Logger;
};

/**
 * Rule 24: Expirer ends what waits past its start deadline, whoever made it, once the sweep tells of it.
 * The store compares each row again under its lock, so any scheduler does it
 * and several at once are harmless. Nothing depends on how soon it comes: what
 * is past its deadline is not claimed, takes no gate and is not started.
 */
export class Expirer {
  readonly #deps: ExpirerDeps;
  readonly #config: ExpirerConfig;
  readonly #loop: WakeableLoop;
  #unlisten: (() => void) | null = null;

  constructor(deps: ExpirerDeps, config: ExpirerConfig = expirerDefaults) {
    this.#deps = deps;
    this.#config = config;
    const work = { name: "expirer", intervalMs: null, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  start(): void {
    this.#unlisten ??= this.#deps.hints.on("pending", ({ work }) => {
      if (work.expiries) this.#loop.wake();
    });
    this.#loop.start();
  }

  stop(): Promise<void> {
    this.#unlisten?.();
    this.#unlisten = null;
    return this.#loop.stop();
  }

  /** One batch; true when it was full, as there may be more. */
  async runOnce(): Promise<boolean> {
    const { store, hints, log } = this.#deps;
    const { maxBatchRows } = this.#config;
    const expired = await store.executions.expire(maxBatchRows);
    for (const { executionId } of expired) hints.tell({ kind: "ended", executionId });
    if (expired.length > 0) log.info({ count: expired.length }, "executions ended that had not started in time");
    return expired.length >= maxBatchRows;
  }
}
