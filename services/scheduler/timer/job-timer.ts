import type { JobUid } from "../../common/domain/identifier.ts";
import { type Job, SHARD_COUNT } from "../../common/domain/job.ts";
import { type CompiledSchedule, compileSchedule } from "../../common/domain/schedule/compiled-schedule.ts";
import type { Clock } from "../../common/port/clock.ts";
import { type Store, StoreUnavailable } from "../../common/port/store.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Tracing } from "../../common/telemetry/tracing.ts";
import type { RouteBook } from "../dispatch/route-book.ts";
import { WakeableLoop } from "../dispatch/wakeable-loop.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { DueTimes } from "./due-times.ts";
import { planFire } from "./fire-plan.ts";

/** Which timer shards this scheduler owns now. */
export interface ShardOwners {
  ownedShards(): readonly number[];
  onChange(listener: () => void): () => void;
}

/** Times and limits of the timer. */
export type JobTimerConfig = {
  /** How far ahead fires are read from the store, milliseconds. */
  readonly lookAheadMs: number;
  /** Any scheduler takes a fire that is overdue by this, milliseconds (rule 30). */
  readonly backstopMs: number;
  /** Lateness from which on a fire was missed, milliseconds (rule 10). */
  readonly missedMs: number;
  /** Jobs read in one query. */
  readonly maxJobs: number;
  /** Fires stored at once. */
  readonly maxConcurrentFires: number;
};

/** What a JobTimer is given. */
export type JobTimerDeps = {
  readonly store: Store;
  readonly routes: RouteBook;
  readonly owners: ShardOwners;
  readonly hints: Hints;
  readonly meshClock: MeshClock;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Logger;
};

/** Compiled schedules that are kept; over it the oldest goes. */
const MAX_COMPILED = 50_000;
const ALL_SHARDS: readonly number[] = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);

type Compiled = { readonly revision: number; readonly compiled: CompiledSchedule };

/**
 * JobTimer makes the fires of schedules: it reads jobs that are due within the
 * look-ahead from an index, arms each to the millisecond, and stores each fire
 * in a transaction that is compared with the job (rule 9). A second owner, a
 * paused job or a changed one is refused by that comparison alone.
 */
export class JobTimer {
  readonly #deps: JobTimerDeps;
  readonly #config: JobTimerConfig;
  readonly #due: DueTimes<Job>;
  readonly #compiled = new Map<JobUid, Compiled>();
  readonly #loop: WakeableLoop;
  readonly #queue: Job[] = [];
  readonly #firing = new Map<JobUid, Promise<void>>();
  #stopping = false;
  #unlisten: readonly (() => void)[] = [];

  constructor(deps: JobTimerDeps, config: JobTimerConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#due = new DueTimes(deps.clock, deps.meshClock, (jobs) => this.#enqueue(jobs));
    const work = { name: "job timer", intervalMs: config.lookAheadMs / 2, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  start(): void {
    this.#stopping = false;
    this.#unlisten = [
      this.#deps.hints.on("changed", () => this.#loop.wake()),
      this.#deps.owners.onChange(() => this.#loop.wake()),
    ];
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const unlisten of this.#unlisten) unlisten();
    await this.#loop.stop();
    this.#due.clear();
    this.#queue.length = 0;
    await Promise.all(this.#firing.values());
  }

  /** Reads what is due soon and arms it; true when there is more than one query gave. */
  async runOnce(): Promise<boolean> {
    const { store, owners, meshClock } = this.#deps;
    const { lookAheadMs, backstopMs, maxJobs } = this.#config;
    const nowUs = meshClock.nowUs();
    const owned = owners.ownedShards();
    const own = await store.jobs.due(owned, nowUs + lookAheadMs * 1000, maxJobs);
    const overdue =
      owned.length === SHARD_COUNT ? [] : await store.jobs.due(ALL_SHARDS, nowUs - backstopMs * 1000, maxJobs);
    for (const job of [...own, ...overdue]) this.#arm(job);
    // More jobs than one query gives are due: the armed ones fire first, then the next ones are read.
    return false;
  }

  #arm(job: Job): void {
    if (job.nextFireUs === null || this.#firing.has(job.jobUid)) return;
    this.#due.set(job.jobUid, job.nextFireUs, job);
  }

  #enqueue(jobs: readonly Job[]): void {
    this.#queue.push(...jobs);
    this.#pump();
  }

  #pump(): void {
    while (!this.#stopping && this.#firing.size < this.#config.maxConcurrentFires) {
      const job = this.#queue.shift();
      if (job === undefined) return;
      if (this.#firing.has(job.jobUid)) continue;
      const firing = this.#fire(job).finally(() => {
        this.#firing.delete(job.jobUid);
        this.#pump();
      });
      this.#firing.set(job.jobUid, firing);
    }
  }

  /** Stores one fire, and arms the next one where it is near. Never rejects. */
  async #fire(job: Job): Promise<void> {
    const { store, routes, meshClock, log, hints } = this.#deps;
    const span = this.#deps.tracing.startSpan("jobmesh.fire", {
      parent: null,
      attributes: { "jobmesh.job_id": job.jobId },
    });
    try {
      const fire = planFire(job, this.#compile(job), meshClock.nowUs(), this.#config.missedMs, span);
      if (fire === null) return span.end();
      // Rule 6: a route's text is in the store before anything waits on it.
      for (const execution of fire.executions) routes.of(execution);
      await routes.ensure(fire.executions.map(({ routeId }) => routeId));
      const outcome = await store.jobs.fire(fire);
      span.end(outcome.kind === "stale" ? { error: "stale" } : {});
      // Whoever was first has moved the job on: what is stored now is read again.
      if (outcome.kind === "stale") return this.#loop.wake();
      const ready = new Set(outcome.readyIds);
      for (const execution of fire.executions) {
        const { executionId, routeId, readyUs, policy } = execution;
        if (ready.has(executionId)) {
          hints.tell({ kind: "ready", routeId, bestRank: 1_000 - policy.priority, count: 1 });
        } else {
          hints.tell({ kind: "due", readyUs });
        }
      }
      this.#armNext({ ...job, nextFireUs: fire.nextUs, fireCount: job.fireCount + ready.size });
    } catch (error) {
      span.end({ error: String(error) });
      if (!(error instanceof StoreUnavailable)) log.error({ err: error, jobId: job.jobId }, "a fire failed");
    }
  }

  #armNext(job: Job): void {
    const horizonUs = this.#deps.meshClock.nowUs() + this.#config.lookAheadMs * 1000;
    if (job.nextFireUs === null || job.nextFireUs > horizonUs || this.#stopping) return;
    // A limit on fires is counted in the store: what was counted there is read before the next one.
    if (job.schedule !== null && job.schedule.maxFires > 0) this.#loop.wake();
    else this.#due.set(job.jobUid, job.nextFireUs, job);
  }

  #compile(job: Job): CompiledSchedule | null {
    if (job.schedule === null) return null;
    const known = this.#compiled.get(job.jobUid);
    if (known?.revision === job.revision) return known.compiled;
    const compiled = compileSchedule(job.schedule, Math.floor(job.createUs / 1000), job.jobUid);
    this.#compiled.delete(job.jobUid);
    this.#compiled.set(job.jobUid, { revision: job.revision, compiled });
    if (this.#compiled.size > MAX_COMPILED) {
      for (const oldest of this.#compiled.keys()) {
        this.#compiled.delete(oldest);
        break;
      }
    }
    return compiled;
  }
}
