import type { Clock } from "../common/port/clock.ts";
import type { Logger } from "../common/runtime/log.ts";
import type { Attempts } from "./attempts.ts";
import type { Conversation } from "./conversation.ts";
import type { KeptResults } from "./kept-results.ts";
import type { KnownKeys } from "./known-keys.ts";
import type { OutputQueue } from "./output-queue.ts";
import type { Slots } from "./slots.ts";

/**
 * How an executor leaves: no new work; what runs may end until a soft deadline;
 * the rest is cut off, never failed (rule 21); results and output are handed
 * over until the store has them; what was on its way when its home heard that it
 * leaves is awaited and handed back, or it would be lost with it. A handler that does not settle has no result:
 * its process ends with it, and its attempt is lost with the executor.
 */

/** What a Departure needs. */
export interface DepartureDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly slots: Slots;
  readonly known: KnownKeys;
  readonly attempts: Attempts;
  readonly kept: KeptResults;
  readonly output: OutputQueue;
  readonly conversation: Conversation;
}

/** Settings of a Departure. */
export type DepartureConfig = {
  readonly drainHardMs: number;
  readonly flushMs: number;
  readonly killGraceMs: number;
};

/** Looks whether everything has ended. */
const LOOK_MS = 20;
/** No order for so long, after the home has heard that it leaves: none is on its way. */
const QUIET_MS = 200;

/** Departure drains an executor. */
export class Departure {
  readonly #deps: DepartureDeps;
  readonly #config: DepartureConfig;
  readonly #hurry = new AbortController();
  /** Until when attempts may run on, by the monotonic clock. */
  #softEndMs = Number.POSITIVE_INFINITY;

  constructor(deps: DepartureDeps, config: DepartureConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  /** Cuts off what still runs now. */
  hurry(): void {
    this.#hurry.abort();
  }

  /** Attempts may run on for so long at most; the earliest end that was asked for stands. */
  within(softMs: number): void {
    this.#softEndMs = Math.min(this.#softEndMs, this.#deps.clock.monotonicMs() + softMs);
  }

  /** Drains, by what `within` allows. */
  async run(): Promise<void> {
    const { slots, attempts, kept, output, conversation, log } = this.#deps;
    slots.closed = true;
    const leftMs = this.#deps.clock.monotonicMs();
    conversation.leave("the executor stops");
    conversation.roomGrew();
    const running = attempts.running.size;
    const softMs = this.#softEndMs - leftMs;
    if (running > 0) log.info({ running, softMs }, "waiting for attempts to end");
    const idle = (): boolean => attempts.unended === 0;
    if (!(await this.#untilIdle(idle))) {
      log.warn({ running: attempts.running.size }, "cutting off attempts that still run");
      attempts.stopAll({ kind: "shutdown" }, this.#config.killGraceMs);
      if (!(await this.#until(idle, this.#config.drainHardMs))) {
        log.error({ running: attempts.running.size }, "attempts do not end; they are lost with this process");
      }
    }
    const flushed = (): boolean => kept.count === 0 && output.bytes === 0;
    const { flushMs } = this.#config;
    if (await this.#until(flushed, flushMs)) {
      await this.#quiet(leftMs);
      if (await this.#until(flushed, flushMs)) return;
    }
    log.warn({ results: kept.count, outputBytes: output.bytes }, "leaving before everything is stored");
  }

  /** A grace may be days: it is looked at often, and beats keep their pace. It may become shorter meanwhile. */
  async #untilIdle(idle: () => boolean): Promise<boolean> {
    const { clock } = this.#deps;
    while (!idle()) {
      if (clock.monotonicMs() >= this.#softEndMs || this.#hurry.signal.aborted) return false;
      await clock.sleep(LOOK_MS);
    }
    return true;
  }

  /** Waits until nothing can be on its way any more: the home sends nothing, and what it had sent has come. */
  async #quiet(leftMs: number): Promise<void> {
    const { clock, conversation, known } = this.#deps;
    const { signal } = this.#hurry;
    const endMs = clock.monotonicMs() + this.#config.flushMs;
    const heard = (): boolean => !conversation.homed || conversation.answeredMs >= leftMs;
    if (!(await this.#until(heard, this.#config.flushMs, signal))) return;
    for (let size = -1; known.size !== size && conversation.homed && clock.monotonicMs() < endMs; ) {
      size = known.size;
      await clock.sleep(QUIET_MS, signal);
      if (signal.aborted) return;
    }
  }

  /** True when it came to be in time. Asks for beats meanwhile: their answers say what is stored. */
  async #until(condition: () => boolean, limitMs: number, signal?: AbortSignal): Promise<boolean> {
    const { clock, conversation } = this.#deps;
    const endMs = clock.monotonicMs() + limitMs;
    while (!condition()) {
      if (clock.monotonicMs() >= endMs || signal?.aborted) return false;
      conversation.roomGrew();
      await clock.sleep(LOOK_MS);
    }
    return true;
  }
}
