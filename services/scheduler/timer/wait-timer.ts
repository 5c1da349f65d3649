import type { ExecutionId, RouteId } from "../../common/domain/identifier.ts";
import { SHARD_COUNT } from "../../common/domain/job.ts";
import type { Clock, Timer } from "../../common/port/clock.ts";
import { type Store, StoreUnavailable } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
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

/** What a WaitTimer is given. */
export type WaitTimerDeps = {
  readonly store: Store;
  readonly owners: ShardOwners;
  readonly hints: Hints;
  readonly meshClock: MeshClock;
  readonly clock: Clock;
  readonly log: Logger;
};

const ALL_SHARDS: readonly number[] = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);
/** Armed at once by hints; over it the store is read instead. */
const MAX_ARMED = 100_000;
/** The store is looked at again after this when it found executions not due yet; doubled while that goes on. */
const LOOK_AGAIN_MS = 5;
const MAX_LOOK_AGAIN_MS = 640;

/**
 * WaitTimer makes executions ready whose time has come: delayed submissions,
 * jittered fires, retries (rule 13: they are rows, state SCHEDULED). The store
 * compares the state, so a second owner changes nothing. That is why a wait
 * that was made here and ends soon is armed here, whoever owns its shard: the
 * owner would find it up to a second later.
 */
export class WaitTimer {
  readonly #deps: WaitTimerDeps;
  readonly #config: WaitTimerConfig;
  readonly #due: DueTimes<ExecutionId>;
  readonly #loop: WakeableLoop;
  #ready: ExecutionId[] = [];
  #making: Promise<void> | null = null;
  /** True when the last query gave as many as it may: there may be more. */
  #full = false;
  #lookAgain: Timer | null = null;
  #lookAgainMs = LOOK_AGAIN_MS;
  #unlisten: readonly (() => void)[] = [];

  constructor(deps: WaitTimerDeps, config: WaitTimerConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#due = new DueTimes(deps.clock, deps.meshClock, (ids) => this.#makeReady(ids));
    const work = { name: "wait timer", intervalMs: config.lookAheadMs / 2, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  /** Does nothing while it runs. */
  start(): void {
    if (this.#unlisten.length > 0) return;
    this.#unlisten = [
      this.#deps.hints.on("due", ({ executionId, readyUs }) => {
        const horizonUs = this.#deps.meshClock.nowUs() + this.#config.lookAheadMs * 1000;
        if (readyUs <= horizonUs && this.#due.size < MAX_ARMED) this.#due.set(executionId, readyUs, executionId);
      }),
      this.#deps.owners.onChange(() => this.#loop.wake()),
    ];
    this.#loop.start();
  }

  async stop(): Promise<void> {
    for (const unlisten of this.#unlisten) unlisten();
    this.#unlisten = [];
    await this.#loop.stop();
    this.#due.clear();
    this.#ready = [];
    await this.#making;
    this.#lookAgain?.cancel();
    this.#lookAgain = null;
  }

  /** Reads what is due soon and arms it. */
  async runOnce(): Promise<boolean> {
    const { store, owners, meshClock } = this.#deps;
    const { lookAheadMs, backstopMs, maxBatchRows } = this.#config;
    this.#due.rearm();
    const nowUs = meshClock.nowUs();
    const owned = owners.ownedShards();
    const own = await store.executions.due(owned, nowUs + lookAheadMs * 1000, maxBatchRows);
    const overdue =
      owned.length === SHARD_COUNT
        ? []
        : await store.executions.due(ALL_SHARDS, nowUs - backstopMs * 1000, maxBatchRows);
    this.#full = own.length >= maxBatchRows || overdue.length >= maxBatchRows;
    for (const { executionId, readyUs } of [...own, ...overdue]) this.#due.set(executionId, readyUs, executionId);
    return false;
  }

  #makeReady(ids: readonly ExecutionId[]): void {
    for (const id of ids) this.#ready.push(id);
    this.#making ??= this.#drain();
  }

  async #drain(): Promise<void> {
    let early = 0;
    while (this.#ready.length > 0) {
      early += await this.#make(this.#ready.splice(0, this.#config.maxBatchRows));
    }
    this.#making = null;
    if (this.#unlisten.length === 0) return;
    if (early > 0) this.#armLookAgain();
    else this.#lookAgainMs = LOOK_AGAIN_MS;
    if (this.#full && this.#due.size < this.#config.maxBatchRows / 2) this.#loop.wake();
  }

  /** Answers how many the store did not make claimable: it found them early, or they wait at a gate, or have ended. */
  async #make(batch: readonly ExecutionId[]): Promise<number> {
    const { store, hints, log } = this.#deps;
    try {
      const ready = await store.executions.makeReady(batch);
      const counts = new Map<RouteId, number>();
      const claimable = ready.flatMap((one) => ("routeId" in one ? [one] : []));
      for (const { routeId } of claimable) counts.set(routeId, (counts.get(routeId) ?? 0) + 1);
      for (const [routeId, count] of counts) hints.tell({ kind: "ready", routeId, bestRank: 0, count });
      return batch.length - claimable.length;
    } catch (error) {
      // They stand in the store as they were: a later round reads them again.
      if (error instanceof StoreUnavailable) return 0;
      if (batch.length > 1) {
        const middle = batch.length >> 1;
        return (await this.#make(batch.slice(0, middle))) + (await this.#make(batch.slice(middle)));
      }
      log.error({ err: error, executionId: batch[0] }, "an execution could not be made ready");
      return 0;
    }
  }

  #armLookAgain(): void {
    if (this.#lookAgain !== null) return;
    this.#lookAgain = this.#deps.clock.setTimer(this.#lookAgainMs, () => {
      this.#lookAgain = null;
      this.#loop.wake();
    });
    this.#lookAgainMs = Math.min(this.#lookAgainMs * 2, MAX_LOOK_AGAIN_MS);
  }
}
