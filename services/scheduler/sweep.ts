import type { SchedulerId } from "../common/domain/identifier.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Store } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";
import type { Hints } from "./hints.ts";
import { WakeableLoop } from "./wakeable-loop.ts";

/** What a sweep is given. */
export type SweepDeps = {
  readonly store: { readonly executions: Pick<Store["executions"], "pending"> };
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Whose sweep it is, and how often it comes. */
export type SweepConfig = {
  /** Stops are those of executors homed here. */
  readonly schedulerId: SchedulerId;
  /** Between two sweeps, milliseconds (rule 31). */
  readonly sweepMs: number;
};

/**
 * Rule 31: what no hint told of is swept from the store: READY rows, gates to
 * try, stops to send, starts that are too late. One statement asks for all of
 * them, and its answer is a hint to the loops that do the work, which wake when
 * there is some: a mesh at rest asks its store one thing, not five.
 */
export class Sweep {
  readonly #deps: SweepDeps;
  readonly #config: SweepConfig;
  readonly #loop: WakeableLoop;

  constructor(deps: SweepDeps, config: SweepConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#loop = new WakeableLoop(deps.clock, deps.log, {
      name: "sweep",
      intervalMs: config.sweepMs,
      run: () => this.runOnce(),
    });
  }

  /** Does nothing while it runs. */
  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** One look, told to all who listen. */
  async runOnce(): Promise<boolean> {
    const { store, hints } = this.#deps;
    hints.tell({ kind: "pending", work: await store.executions.pending(this.#config.schedulerId) });
    return false;
  }
}
