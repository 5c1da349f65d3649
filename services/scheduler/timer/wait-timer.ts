import type { ExecutionId } from "../../common/domain/identifier.ts";
import { SHARD_COUNT } from "../../common/domain/job.ts";
import type { Clock } from "../../common/port/clock.ts";
import { type Store, StoreUnavailable } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import { WakeableLoop } from "../dispatch/wakeable-loop.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { DueTimes } from "./due-times.ts";
import type { ShardOwners } from "./job-timer.ts";

/** Times and limits of the timer. */
export type WaitTimerConfig = {
  /** How far ahead waits are read from the store, milliseconds. */
  readonly lookAheadMs: number;
  /** Any scheduler takes a wait that is overdue by this, milliseconds (rule 30). */
  readonly backstopMs: number;
  /** Executions read, and made ready, at once. */
  readonly maxBatchRows: number;
};

const ALL_SHARDS: readonly number[] = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);

/**
 * WaitTimer makes executions ready whose time has come: delayed submissions,
 * jittered fires, retries (rule 13: they are rows, state SCHEDULED). The store
 * compares the state, so a second owner changes nothing.
 */
export class WaitTimer {
  readonly #deps: { store: Store; owners: ShardOwners; hints: Hints; meshClock: MeshClock; clock: Clock; log: Logger };
  readonly #config: WaitTimerConfig;
  readonly #due: DueTimes<ExecutionId>;
  readonly #loop: WakeableLoop;
  #ready: ExecutionId[] = [];
  #making: Promise<void> | null = null;
  #unlisten: readonly (() => void)[] = [];

  constructor(
    deps: { store: Store; owners: ShardOwners; hints: Hints; meshClock: MeshClock; clock: Clock; log: Logger },
    config: WaitTimerConfig,
  ) {
    this.#deps = deps;
    this.#config = config;
    this.#due = new DueTimes(deps.clock, deps.meshClock, (ids) => this.#makeReady(ids));
    const work = { name: "wait timer", intervalMs: config.lookAheadMs / 2, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  start(): void {
    const horizonUs = (): number => this.#deps.meshClock.nowUs() + this.#config.lookAheadMs * 1000;
    this.#unlisten = [
      this.#deps.hints.on("due", ({ readyUs }) => {
        if (readyUs <= horizonUs()) this.#loop.wake();
      }),
      this.#deps.owners.onChange(() => this.#loop.wake()),
    ];
    this.#loop.start();
  }

  async stop(): Promise<void> {
    for (const unlisten of this.#unlisten) unlisten();
    await this.#loop.stop();
    this.#due.clear();
    this.#ready = [];
    await this.#making;
  }

  /** Reads what is due soon and arms it. */
  async runOnce(): Promise<boolean> {
    const { store, owners, meshClock } = this.#deps;
    const { lookAheadMs, backstopMs, maxBatchRows } = this.#config;
    const nowUs = meshClock.nowUs();
    const owned = owners.ownedShards();
    const own = await store.executions.due(owned, nowUs + lookAheadMs * 1000, maxBatchRows);
    const overdue =
      owned.length === SHARD_COUNT
        ? []
        : await store.executions.due(ALL_SHARDS, nowUs - backstopMs * 1000, maxBatchRows);
    for (const { executionId, readyUs } of [...own, ...overdue]) this.#due.set(executionId, readyUs, executionId);
    return false;
  }

  #makeReady(ids: readonly ExecutionId[]): void {
    this.#ready.push(...ids);
    this.#making ??= this.#drain();
  }

  async #drain(): Promise<void> {
    const { store, hints, log } = this.#deps;
    while (this.#ready.length > 0) {
      const batch = this.#ready.splice(0, this.#config.maxBatchRows);
      try {
        for (const { routeId } of await store.executions.makeReady(batch)) {
          hints.tell({ kind: "ready", routeId, bestRank: 0, count: 1 });
        }
      } catch (error) {
        // They stand in the store as they were: the next round reads them again.
        if (!(error instanceof StoreUnavailable)) log.error({ err: error }, "executions could not be made ready");
      }
    }
    this.#making = null;
    // A full query may have left some that are due as well.
    this.#loop.wake();
  }
}
