import type { Logger } from "../common/runtime/log.ts";

/**
 * What was started, so that it is stopped in the opposite order: at the end,
 * or when a later part fails to start.
 */
export class StopStack {
  readonly #log: Logger;
  readonly #stops: { readonly name: string; readonly stop: () => Promise<void> | void }[] = [];
  #stopping: Promise<void> | null = null;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Notes how to stop what has just been started, or is about to be. */
  add(name: string, stop: () => Promise<void> | void): void {
    this.#stops.push({ name, stop });
  }

  /** Stops all, the latest first. One that fails is logged and does not keep the others. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    for (const { name, stop } of this.#stops.reverse()) {
      try {
        await stop();
      } catch (error) {
        this.#log.error({ err: error, part: name }, "a part did not stop as it should");
      }
    }
  }
}
