import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Random } from "../common/port/random.ts";
import type { Logger } from "../common/runtime/log.ts";
import type { SessionConnector, SessionLink } from "./session-link.ts";

/**
 * Re-homing: when a stream breaks, the executor goes to another scheduler at
 * once, and nothing is stopped for that. Only homes that fail one after the
 * other are waited for, with jitter, up to about a second.
 */

/** How a stream ended. */
export type StreamEnd = { readonly error: JobmeshError | null; readonly welcomed: boolean };

/** What Homes needs. */
export interface HomesDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly connector: SessionConnector;
  /** Lives a stream from Hello to its end. */
  live(link: SessionLink, signal: AbortSignal): Promise<StreamEnd>;
  /** Rule 16: this incarnation was declared lost; resolves when the executor is another one. */
  lost(): Promise<void>;
}

/** First wait after a failure; it doubles. */
const FIRST_BACKOFF_MS = 25;
/** Wait for an executor_id that is taken, where the home names none. */
const TAKEN_RETRY_MS = 1_000;

/** Homes keeps the executor with a home. */
export class Homes {
  readonly #deps: HomesDeps;
  readonly #maxBackoffMs: number;
  #failures = 0;

  constructor(deps: HomesDeps, config: { readonly maxBackoffMs: number }) {
    this.#deps = deps;
    this.#maxBackoffMs = config.maxBackoffMs;
  }

  /** Goes from home to home until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const end = await this.#one(signal);
      if (signal.aborted) return;
      if (end.welcomed) this.#failures = 0;
      await this.#after(end, signal);
    }
  }

  async #one(signal: AbortSignal): Promise<StreamEnd> {
    try {
      return await this.#deps.live(await this.#deps.connector.open(signal), signal);
    } catch (thrown) {
      return { error: JobmeshError.from(thrown), welcomed: false };
    }
  }

  async #after({ error, welcomed }: StreamEnd, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    if (error?.code === "FAILED_PRECONDITION" && error.reason !== "SESSION_SUPERSEDED") {
      log.warn({ reason: error.reason, detail: error.message }, "this incarnation was declared lost");
      return this.#deps.lost();
    }
    if (error?.code === "ALREADY_EXISTS") {
      const waitMs = error.retryDelayMs ?? TAKEN_RETRY_MS;
      log.warn({ waitMs, detail: error.message }, "another process holds this executor_id");
      return clock.sleep(waitMs, signal);
    }
    const waitMs = this.#backoffMs(welcomed);
    const facts = { reason: error?.reason ?? "", detail: error?.message ?? "", waitMs };
    if (welcomed) log.info(facts, "the session ended; going to another home");
    else if (this.#failures === 2) log.warn(facts, "no home is found; still trying");
    await clock.sleep(waitMs, signal);
  }

  /** Nothing after a session that stood, then more each time; a part of it at random, so that executors spread. */
  #backoffMs(welcomed: boolean): number {
    const { random } = this.#deps;
    if (welcomed) return random.unit() * FIRST_BACKOFF_MS;
    const ceilingMs = Math.min(FIRST_BACKOFF_MS * 2 ** Math.min(this.#failures, 10), this.#maxBackoffMs);
    this.#failures++;
    return ceilingMs * (0.5 + random.unit() / 2);
  }
}
