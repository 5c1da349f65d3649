import type { Clock } from "../../common/port/clock.ts";
import type { ExecutorStore } from "../../common/port/store-executors.ts";

/** How long what was read counts, milliseconds. */
const MAX_AGE_MS = 1_000;

/** A look at what live executors run; `methods` is null until it is done. */
type Look = {
  readonly reading: Promise<ReadonlySet<string>>;
  readonly readMs: number;
  methods: ReadonlySet<string> | null;
};

/**
 * RunMethods knows the handlers that live executors have: one that was
 * registered without descriptors is known only while somebody runs it. Requests
 * that ask meanwhile wait for one reading.
 */
export class RunMethods {
  readonly #executors: Pick<ExecutorStore, "live">;
  readonly #clock: Clock;
  #last: Look | null = null;

  constructor(executors: Pick<ExecutorStore, "live">, clock: Clock) {
    this.#executors = executors;
    this.#clock = clock;
  }

  /** True when a live executor has a handler of the method. What is not there is looked for again by the next one. */
  async has(method: string): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs();
    const last = this.#last;
    if (last !== null && last.methods === null) return (await last.reading).has(method);
    if (last?.methods?.has(method) && nowMs - last.readMs < MAX_AGE_MS) return true;
    const begun: Look = { reading: this.#read(), readMs: nowMs, methods: null };
    this.#last = begun;
    try {
      begun.methods = await begun.reading;
    } catch (error) {
      this.#last = null;
      throw error;
    }
    return begun.methods.has(method);
  }

  async #read(): Promise<ReadonlySet<string>> {
    const methods = new Set<string>();
    for (const { capabilities } of await this.#executors.live()) {
      for (const capability of capabilities) if (capability.kind === "handler") methods.add(capability.method);
    }
    return methods;
  }
}
