import { type IOptions, isRecoverableError } from "etcd3";
import type { Clock } from "../../port/clock.ts";

/** A policy as etcd3 takes it. */
type Policy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;
type Context = Parameters<Parameters<Policy["execute"]>[0]>[0];

/** How often a call is tried, and how long after its beginning a try may still begin, in milliseconds. */
export type TriesConfig = { readonly maxTries: number; readonly budgetMs: number };

/**
 * HostTries makes a call again on the next host when the one before could not
 * be reached. etcd3's own default, a breaker for each host, keeps a single node
 * unreachable for 5 s after an outage of one; this has no memory.
 */
export class HostTries implements Policy {
  declare readonly _altReturn: never;
  readonly #clock: Clock;
  readonly #config: TriesConfig;

  constructor(clock: Clock, config: TriesConfig) {
    this.#clock = clock;
    this.#config = config;
  }

  /** Never tells: nobody asks. */
  readonly onSuccess = () => ({ dispose: () => {} });
  /** Never tells: nobody asks. */
  readonly onFailure = () => ({ dispose: () => {} });

  async execute<T>(call: (context: Context) => PromiseLike<T> | T, signal = new AbortController().signal): Promise<T> {
    const lastMs = this.#clock.monotonicMs() + this.#config.budgetMs;
    for (let tries = 1; ; tries += 1) {
      try {
        return await call({ signal });
      } catch (err) {
        const isWorthIt = err instanceof Error && isRecoverableError(err);
        if (!isWorthIt || tries >= this.#config.maxTries || this.#clock.monotonicMs() >= lastMs) throw err;
      }
    }
  }
}
