import { JobmeshError } from "../../common/error/jobmesh-error.ts";
import { FeedReading, type FeedReadingDeps } from "./feed-reading.ts";
import type { ChangeLimits } from "./recent-changes.ts";

/** Calls that watch at once on one scheduler. */
const MAX_WATCHERS = 1_000;

/** Bounds of a scheduler's feed. */
export type FeedLimits = Partial<ChangeLimits> & {
  /** Calls that watch at once; one more is refused. Default 1,000. */
  readonly maxWatchers?: number;
};

/** The feed of one scheduler: one reading for all its watchers, which goes on only while there are any. */
export class ExecutionFeed {
  readonly #deps: FeedReadingDeps;
  readonly #limits: FeedLimits;
  readonly #ending = new Set<Promise<void>>();
  #reading: FeedReading | null = null;
  #watchers = 0;
  /** Watchers of the reading; those of one execution are not. */
  #readers = 0;

  constructor(deps: FeedReadingDeps, limits: FeedLimits = {}) {
    this.#deps = deps;
    this.#limits = limits;
  }

  /** Calls that watch now. */
  get watchers(): number {
    return this.#watchers;
  }

  /** True while the store is read for somebody. */
  get isReading(): boolean {
    return this.#reading !== null;
  }

  /** Lets a call watch while it runs. Throws OVERLOADED when too many watch already. */
  async watch(call: (open: () => FeedReading) => Promise<void>): Promise<void> {
    const { maxWatchers = MAX_WATCHERS } = this.#limits;
    if (this.#watchers >= maxWatchers) {
      throw new JobmeshError("OVERLOADED", { message: `${maxWatchers} calls watch already`, retryDelayMs: 1_000 });
    }
    this.#watchers += 1;
    let opened = false;
    try {
      await call(() => {
        if (!opened) this.#readers += 1;
        opened = true;
        return this.#open();
      });
    } finally {
      this.#watchers -= 1;
      if (opened) this.#readers -= 1;
      if (this.#readers === 0) this.#close();
    }
  }

  /** Ends the reading; calls that watch still end with their server. */
  async stop(): Promise<void> {
    this.#close();
    await Promise.all(this.#ending);
  }

  #open(): FeedReading {
    if (this.#reading === null) {
      this.#reading = new FeedReading(this.#deps, this.#limits);
      this.#reading.start();
    }
    return this.#reading;
  }

  #close(): void {
    const reading = this.#reading;
    if (reading === null) return;
    this.#reading = null;
    const ending = reading.stop().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
