import { assert } from "../../domain/assert.ts";
import type { Clock } from "../../port/clock.ts";
import type { Random } from "../../port/random.ts";

/**
 * A call goes to one host, and to the next one when that did not answer. The
 * host that failed is not asked first again: of several one may hang, and what
 * must come in time (a keep-alive) would else go to it by chance, several times
 * in a row. Which host is the first one is drawn, so that the processes of a mesh
 * are spread over them. A host is left only for a failure of its own, and nothing
 * keeps a host from being asked when the others fail: a single node is back as
 * soon as it answers.
 */

/** What Hosts needs. */
export type HostsDeps = { readonly clock: Clock; readonly random: Random };

/** How a call is tried. */
export type HostsConfig = {
  /** Tries that a call has however long they took. Each try is bounded by itself. */
  readonly minTries: number;
  /** Tries of a call whose hosts fail fast. */
  readonly maxTries: number;
  /** How long after a call's beginning one more than `minTries` may begin. */
  readonly budgetMs: number;
  /** Whether what was thrown is the answer, that any other host would give too. */
  isAnswer(thrown: unknown): boolean;
};

/** Hosts chooses which host of several a call goes to. */
export class Hosts<T> {
  readonly #clock: Clock;
  readonly #hosts: readonly T[];
  readonly #config: HostsConfig;
  #first: number;

  constructor({ clock, random }: HostsDeps, hosts: readonly T[], config: HostsConfig) {
    assert(hosts.length > 0, "there is at least one host");
    this.#clock = clock;
    this.#hosts = hosts;
    this.#config = config;
    this.#first = Math.floor(random.unit() * hosts.length);
  }

  /** The host to ask first. */
  get first(): T {
    const host = this.#hosts[this.#first];
    assert(host !== undefined, "the first host is one of the hosts");
    return host;
  }

  /** That host has failed: another one is asked first. Says nothing new of a host that was left before. */
  leave(host: T): void {
    if (host === this.first) this.#first = (this.#first + 1) % this.#hosts.length;
  }

  /** Asks hosts until one answers; rejects with the answer, or with the last host's failure. */
  async call<R>(ask: (host: T) => Promise<R>): Promise<R> {
    const { minTries, maxTries, budgetMs, isAnswer } = this.#config;
    const lastMs = this.#clock.monotonicMs() + budgetMs;
    for (let tries = 1; ; tries += 1) {
      const host = this.first;
      try {
        return await ask(host);
      } catch (thrown) {
        if (isAnswer(thrown)) throw thrown;
        this.leave(host);
        const isInTime = tries < minTries || this.#clock.monotonicMs() < lastMs;
        if (tries >= maxTries || !isInTime) throw thrown;
      }
    }
  }
}
