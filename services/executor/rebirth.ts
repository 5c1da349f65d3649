import type { Incarnation } from "../common/domain/identifier.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Logger } from "../common/runtime/log.ts";
import type { Attempts } from "./attempts.ts";
import type { Conversation } from "./conversation.ts";
import type { Identity } from "./identity.ts";
import type { KeptResults } from "./kept-results.ts";
import type { Slots } from "./slots.ts";

/**
 * Rule 16: loss is for ever. The executor ends what runs, keeps its results,
 * and goes on as a new incarnation that names the old one. A handler that has
 * not settled half a second after its signal ends the process: nothing else
 * could keep it from running beside its next attempt.
 */

/** What a Rebirth needs. */
export interface RebirthDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly identity: Identity;
  readonly slots: Slots;
  readonly attempts: Attempts;
  readonly kept: KeptResults;
  readonly conversation: Conversation;
  readonly commands: { setFence(monotonicMs: number | null): void } | null;
  stopFence(): void;
  onRenewed(incarnation: Incarnation): void;
  exitProcess(why: string): void;
}

/** Looks whether everything has ended. */
const LOOK_MS = 10;

/** Rebirth ends an incarnation and begins the next. */
export class Rebirth {
  readonly #deps: RebirthDeps;
  readonly #settleMs: number;
  #running: Promise<void> | null = null;

  constructor(deps: RebirthDeps, config: { readonly fenceSettleMs: number }) {
    this.#deps = deps;
    this.#settleMs = config.fenceSettleMs;
  }

  /** Resolves when none is under way: no Hello is said before. */
  get done(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Resolves when the executor is another incarnation. One that is under way is not begun again. */
  run(why: string): Promise<void> {
    this.#running ??= this.#run(why).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #run(why: string): Promise<void> {
    const { clock, log, identity, slots, attempts, kept, conversation, commands } = this.#deps;
    const old = identity.incarnation;
    log.warn({ incarnation: old, running: attempts.running.size, why }, "the incarnation ends; its work is cut off");
    const wasClosed = slots.closed;
    slots.closed = true;
    this.#deps.stopFence();
    conversation.drop(new JobmeshError("EXECUTOR_LOST"));
    commands?.setFence(clock.monotonicMs());
    attempts.stopAll({ kind: "fenced" }, this.#settleMs);
    const limitMs = clock.monotonicMs() + this.#settleMs;
    while (attempts.running.size > 0) {
      if (clock.monotonicMs() >= limitMs) {
        this.#deps.exitProcess(`${attempts.running.size} attempts run on although their incarnation has ended`);
        break;
      }
      await clock.sleep(LOOK_MS);
    }
    commands?.setFence(null);
    slots.closed = wasClosed;
    const incarnation = identity.renew();
    kept.relayAll();
    this.#deps.onRenewed(incarnation);
    log.info({ incarnation, previous: old }, "going on as a new incarnation");
  }
}
