import type { Clock, Timer } from "../common/port/clock.ts";
import type { Logger } from "../common/runtime/log.ts";

/** What of the membership an outage concerns. */
export interface StoreMarks {
  setStoreHealthy(healthy: boolean): Promise<void>;
  /** True when another live scheduler has its store. */
  hasStoreElsewhere(): boolean;
  onChange(listener: () => void): () => void;
}

/** What a StoreOutage is given. */
export type StoreOutageDeps = {
  readonly marks: StoreMarks;
  /** Ends all sessions, so that their executors go to another scheduler. */
  readonly endSessions: () => void;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Where the store is away for all, the others say so a little later or earlier: as long is waited for them. */
const OTHERS_MS = 500;

/**
 * Rule 30: a scheduler without its store marks its key, by which it owns
 * nothing while one lives that has it; then it ends its sessions, and its
 * executors go there. While the store is away for all they stay: elsewhere
 * they would find nothing better.
 */
export class StoreOutage {
  readonly #deps: StoreOutageDeps;
  #isAway = false;
  #waiting: Timer | null = null;
  #unlisten: (() => void) | null = null;

  constructor(deps: StoreOutageDeps) {
    this.#deps = deps;
  }

  /** Does nothing while it runs. */
  start(): void {
    this.#unlisten ??= this.#deps.marks.onChange(() => this.#look());
    this.#look();
  }

  stop(): void {
    this.#unlisten?.();
    this.#unlisten = null;
    this.#disarm();
  }

  /** The store went, or is back. */
  tell(healthy: boolean): void {
    const { log, marks } = this.#deps;
    if (healthy) log.info({}, "the store answers again");
    else log.error({}, "the store is away");
    this.#isAway = !healthy;
    marks.setStoreHealthy(healthy).catch((error: unknown) => {
      log.warn({ err: error }, "the registry does not know how the store stands");
    });
    this.#look();
  }

  #look(): void {
    if (this.#unlisten === null) return;
    if (!this.#isElsewhere()) return this.#disarm();
    this.#waiting ??= this.#deps.clock.setTimer(OTHERS_MS, () => {
      this.#waiting = null;
      if (this.#isElsewhere()) this.#deps.endSessions();
    });
  }

  #isElsewhere(): boolean {
    return this.#isAway && this.#deps.marks.hasStoreElsewhere();
  }

  #disarm(): void {
    this.#waiting?.cancel();
    this.#waiting = null;
  }
}
