import type { Clock } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { WakeableLoop } from "../dispatch/wakeable-loop.ts";
import type { Hints } from "../hints.ts";

/** Times and limits of the admitter. */
export type AdmitterConfig = {
  /** Time between two looks, milliseconds. */
  readonly intervalMs: number;
  /** Gates taken in one round. */
  readonly maxGates: number;
  /** Time between two recounts of all gates, milliseconds. */
  readonly recountMs: number;
};

/** Rule 7: lets executions in that wait at gates, once there is room; recounts the gates now and then. */
export class Admitter {
  readonly #deps: { store: Store; hints: Hints; clock: Clock; log: Logger };
  readonly #config: AdmitterConfig;
  readonly #loop: WakeableLoop;
  #recountedMs: number;
  #unlisten: () => void = () => {};

  constructor(deps: { store: Store; hints: Hints; clock: Clock; log: Logger }, config: AdmitterConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#recountedMs = deps.clock.monotonicMs();
    const work = { name: "admitter", intervalMs: config.intervalMs, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  start(): void {
    // Whoever ends may give room back.
    this.#unlisten = this.#deps.hints.on("ended", () => this.#loop.wake());
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#unlisten();
    await this.#loop.stop();
  }

  /** One batch of gates that are due. */
  async runOnce(): Promise<boolean> {
    const { store, hints, clock, log } = this.#deps;
    for (const routeId of await store.executions.admit(this.#config.maxGates)) {
      hints.tell({ kind: "ready", routeId, bestRank: 0, count: 1 });
    }
    if (clock.monotonicMs() - this.#recountedMs < this.#config.recountMs) return false;
    this.#recountedMs = clock.monotonicMs();
    for (const { gateKey, drift } of await store.executions.recountGates()) {
      log.error({ gateKey, drift }, "a gate's count had drifted and was mended");
    }
    return false;
  }
}
