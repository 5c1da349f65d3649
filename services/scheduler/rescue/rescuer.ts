/**
 * Rules 14 to 16: the rescuer declares executors lost and ends their attempts.
 * First lost_time, from which on nobody takes the incarnation back; then the
 * results that are on their way are awaited; then its attempts end, some
 * hundred to a transaction, and run again by policy. Each step is in the
 * store, so any rescuer goes on where another stopped.
 */
import type { ExecutorRecord } from "../../common/domain/executor.ts";
import type { SchedulerBus } from "../../common/port/bus.ts";
import type { Clock } from "../../common/port/clock.ts";
import { type Store, StoreUnavailable } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Hints } from "../hints.ts";
import { tellOutcomes } from "../results/result-effects.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import { type LossTimes, LossWatch } from "./loss-watch.ts";
import { ResultsOnTheWay } from "./results-on-the-way.ts";

/** Limits of the rescuer. */
export type RescuerConfig = LossTimes & {
  /** Attempts ended in one transaction. */
  readonly maxBatchRows: number;
  /** How long attempts under LOST_POLICY_RETRY wait for results while the bus is away, milliseconds (rule 15). */
  readonly busWaitMs: number;
  /** The executor inside this process is not judged: it lives as long as its process (rule 14). */
  readonly unjudged: (record: ExecutorRecord) => boolean;
};

/** "executor_id/incarnation" whose leases the registry shows; null when it cannot be asked now. */
export interface PresentExecutors {
  present(): ReadonlySet<string> | null;
}

type RescuerDeps = {
  readonly store: Store;
  /** null when all work by their sessions. */
  readonly bus: SchedulerBus | null;
  readonly executors: PresentExecutors;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Timers may come a little early, and reads less than a beat apart count for nothing. */
const TIMER_SLACK_MS = 5;

/** Declares executors lost, and ends the attempts of those that are. */
export class Rescuer {
  readonly #deps: RescuerDeps;
  readonly #config: RescuerConfig;
  readonly #watch: LossWatch;
  readonly #onTheWay: ResultsOnTheWay;
  readonly #loop: WakeableLoop;

  constructor(deps: RescuerDeps, config: RescuerConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#watch = new LossWatch(config);
    this.#onTheWay = new ResultsOnTheWay(deps, config.busWaitMs);
    const intervalMs = config.heartbeatMs + TIMER_SLACK_MS;
    const work = { name: "rescuer", intervalMs, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** One read of all executors, and one batch of the attempts of each lost one; true when attempts are left. */
  async runOnce(): Promise<boolean> {
    const { store, clock, log, executors } = this.#deps;
    const records = await store.executors.live();
    for (const record of this.#watch.read(records, executors.present(), clock.monotonicMs())) {
      if (this.#config.unjudged(record)) continue;
      if (await store.executors.declareLost(record.executorId, record.incarnation, record.heardUs)) {
        log.warn({ executorId: record.executorId, incarnation: record.incarnation }, "an executor is lost");
      }
    }
    const lost = await store.executors.lostWithAttempts();
    this.#onTheWay.retain(lost);
    let left = false;
    for (const record of lost) left = (await this.#endAttempts(record)) || left;
    return left;
  }

  /** True when a full batch was ended, so that more may be left. */
  async #endAttempts(record: ExecutorRecord): Promise<boolean> {
    const { store, hints, log } = this.#deps;
    const { maxBatchRows } = this.#config;
    const { executorId, incarnation } = record;
    try {
      const mayEnd = await this.#onTheWay.mayEnd(record);
      if (mayEnd === "none") return false;
      const policy = mayEnd === "all" ? undefined : "RETRY";
      const outcomes = await store.executions.endLost(executorId, incarnation, maxBatchRows, policy);
      tellOutcomes(hints, outcomes);
      if (outcomes.length > 0) log.info({ executorId, count: outcomes.length }, "attempts of a lost executor ended");
      return outcomes.length >= maxBatchRows;
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error;
      // One that cannot be ended does not keep the others.
      log.error({ err: error, executorId }, "attempts of a lost executor could not be ended");
      return false;
    }
  }
}
