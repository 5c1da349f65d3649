import type { Clock, Timer } from "../../common/port/clock.ts";
import type { Store } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import { WakeableLoop } from "../wakeable-loop.ts";

/** Times and limits of the admitter. */
export type AdmitterConfig = {
  /** Gates taken in one round. */
  readonly maxGates: number;
  /** Time between two recounts of all gates, milliseconds. */
  readonly recountMs: number;
};

/** Between two looks that hints ask for: executions end all the time, and few of them held a gate. */
const MIN_GAP_MS = 10;

/** Rule 7: lets executions in that wait at gates, once a hint or the sweep tells of room; recounts the gates now and then. */
export class Admitter {
  readonly #deps: { store: Store; hints: Hints; clock: Clock; log: Logger };
  readonly #config: AdmitterConfig;
  readonly #loop: WakeableLoop;
  #recountedMs: number;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #soon: Timer | null = null;
  #unlisten: readonly (() => void)[] = [];

  constructor(deps: { store: Store; hints: Hints; clock: Clock; log: Logger }, config: AdmitterConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#recountedMs = deps.clock.monotonicMs();
    const work = { name: "admitter", intervalMs: null, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  /** Does nothing while it runs. */
  start(): void {
    if (this.#unlisten.length > 0) return;
    const { hints } = this.#deps;
    this.#unlisten = [
      // Whoever ends may give room back.
      hints.on("ended", () => this.#lookSoon()),
      hints.on("pending", ({ work }) => {
        if (work.gates || this.#isRecountDue()) this.#loop.wake();
      }),
    ];
    this.#loop.start();
  }

  async stop(): Promise<void> {
    for (const unlisten of this.#unlisten) unlisten();
    this.#unlisten = [];
    this.#soon?.cancel();
    this.#soon = null;
    await this.#loop.stop();
  }

  /** One batch of gates that are due; true when it let some in, as there may be more. */
  async runOnce(): Promise<boolean> {
    const { store, hints, clock } = this.#deps;
    this.#lookedMs = clock.monotonicMs();
    const routeIds = await store.executions.admit(this.#config.maxGates);
    for (const routeId of routeIds) hints.tell({ kind: "ready", routeId, bestRank: 0, count: 1 });
    await this.#recount();
    return routeIds.length > 0;
  }

  #lookSoon(): void {
    if (this.#soon !== null) return;
    const waitMs = this.#lookedMs + MIN_GAP_MS - this.#deps.clock.monotonicMs();
    if (waitMs <= 0) return this.#loop.wake();
    this.#soon = this.#deps.clock.setTimer(waitMs, () => {
      this.#soon = null;
      this.#loop.wake();
    });
  }

  #isRecountDue(): boolean {
    return this.#deps.clock.monotonicMs() - this.#recountedMs >= this.#config.recountMs;
  }

  async #recount(): Promise<void> {
    const { store, clock, log } = this.#deps;
    if (!this.#isRecountDue()) return;
    this.#recountedMs = clock.monotonicMs();
    for (const { gateKey, drift } of await store.executions.recountGates()) {
      log.error({ gateKey, drift }, "a gate's count had drifted and was mended");
    }
  }
}
