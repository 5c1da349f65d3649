import type { Execution } from "../../common/domain/execution.ts";
import type { JobUid } from "../../common/domain/identifier.ts";
import { type Job, SHARD_COUNT } from "../../common/domain/job.ts";
import { claimRank } from "../../common/domain/policy.ts";
import { type CompiledSchedule, compileSchedule } from "../../common/domain/schedule/compiled-schedule.ts";
import type { Clock } from "../../common/port/clock.ts";
import { type Store, StoreUnavailable } from "../../common/port/store.ts";
import type { Fire, FireOutcome } from "../../common/port/store-jobs.ts";
import type { Logger } from "../../common/runtime/log.ts";
import type { Tracing } from "../../common/telemetry/tracing.ts";
import type { AheadSlot, AheadSlots } from "../dispatch/ahead-slots.ts";
import type { RouteBook } from "../dispatch/route-book.ts";
import { GroupQueue } from "../group-queue.ts";
import type { Hints } from "../hints.ts";
import type { MeshClock } from "../mesh-clock.ts";
import { WakeableLoop } from "../wakeable-loop.ts";
import { DueTimes } from "./due-times.ts";
import { planFire } from "./fire-plan.ts";
import { FireSpans } from "./fire-spans.ts";

/** Which timer shards this scheduler owns now. */
export interface ShardOwners {
  ownedShards(): readonly number[];
  onChange(listener: () => void): () => void;
}

/** Times and limits of the timer. */
export type JobTimerConfig = {
  /** How far ahead fires are read from the store, milliseconds. */
  readonly lookAheadMs: number;
  /** How long before its time a fire is sent to be held, milliseconds (rule 11); 0 for never. */
  readonly aheadMs: number;
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
  /** Slots of fires that are sent ahead of their time. */
  readonly ahead: Pick<AheadSlots, "reserve" | "follow">;
  readonly owners: ShardOwners;
  readonly hints: Hints;
  readonly meshClock: MeshClock;
  readonly clock: Clock;
  readonly tracing: Tracing;
  readonly log: Logger;
};

/** Fires in one transaction, and their size with the executions that they make. */
/** No bytes of their own wait: a fire's target is its job's. */
export const FIRE_GROUP_LIMITS = { maxItems: 100, maxBytes: 4 * 1024 * 1024, maxWaitingBytes: Number.MAX_SAFE_INTEGER };
/** What an execution is reckoned at beside its target, which is its job's. */
const FIRE_BYTES = 1_024;

/** Compiled schedules that are kept; over it the oldest goes. */
const MAX_COMPILED = 50_000;
/** A job that could not be fired is left alone for this long, so that it fills neither the log nor the store. */
const HOLD_FAILED_MS = 10_000;
/** Jobs that are left alone at once. */
const MAX_HELD = 10_000;
const ALL_SHARDS: readonly number[] = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);

type Compiled = { readonly revision: number; readonly compiled: CompiledSchedule };
/** What a fire stores; null for nothing now. The slot is given back, or used, whatever comes of it. */
type FirePlan = { fire: Fire | null; slot: AheadSlot | null };
type Held = { readonly revision: number; readonly untilMs: number };

/**
 * JobTimer makes the fires of schedules: it reads jobs that are due within the
 * look-ahead from an index, arms each to the millisecond, and stores each fire
 * in a transaction that is compared with the job (rule 9). Where a slot is free
 * it does so a little before the time, and the executor holds it (rule 11). A second owner, a
 * paused job or a changed one is refused by that comparison alone.
 */
export class JobTimer {
  readonly #deps: JobTimerDeps;
  readonly #config: JobTimerConfig;
  readonly #due: DueTimes<Job>;
  readonly #compiled = new Map<JobUid, Compiled>();
  readonly #loop: WakeableLoop;
  /** What falls due together is stored together. */
  readonly #fires: GroupQueue<Fire, FireOutcome>;
  /** Due, and waiting for their turn: the latest reading of each job. */
  readonly #queued = new Map<JobUid, Job>();
  readonly #firing = new Map<JobUid, Promise<void>>();
  /** Read while they fired: what was read may be newer than what the fire knows. */
  readonly #unsure = new Set<JobUid>();
  readonly #held = new Map<JobUid, Held>();
  /** True when the last query gave as many as it may: there may be more. */
  #full = false;
  #stopping = false;
  #unlisten: readonly (() => void)[] = [];

  constructor(deps: JobTimerDeps, config: JobTimerConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#fires = new GroupQueue(deps.clock, {
      limits: { ...FIRE_GROUP_LIMITS, maxWaiting: config.maxConcurrentFires },
      sizeOf: fireBytes,
      commit: (fires) => deps.store.jobs.fireAll(fires),
    });
    this.#due = new DueTimes(deps.clock, deps.meshClock, (jobs) => this.#enqueue(jobs));
    const work = { name: "job timer", intervalMs: config.lookAheadMs / 2, run: () => this.runOnce() };
    this.#loop = new WakeableLoop(deps.clock, deps.log, work);
  }

  /** Does nothing while it runs. */
  start(): void {
    if (this.#unlisten.length > 0) return;
    this.#stopping = false;
    this.#unlisten = [
      this.#deps.hints.on("changed", () => this.#loop.wake()),
      this.#deps.owners.onChange(() => this.#loop.wake()),
    ];
    this.#loop.start();
  }

  /** Ends after the fires that are being stored. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const unlisten of this.#unlisten) unlisten();
    this.#unlisten = [];
    await this.#loop.stop();
    this.#queued.clear();
    await Promise.all(this.#firing.values());
    this.#due.clear();
  }

  /** Reads what is due soon and arms it. What one query does not give is read once most of it has fired. */
  async runOnce(): Promise<boolean> {
    const { store, owners, meshClock } = this.#deps;
    const { lookAheadMs, backstopMs, maxJobs } = this.#config;
    this.#due.rearm();
    const nowUs = meshClock.nowUs();
    const owned = owners.ownedShards();
    const own = await store.jobs.due(owned, nowUs + lookAheadMs * 1000, maxJobs);
    const overdue =
      owned.length === SHARD_COUNT ? [] : await store.jobs.due(ALL_SHARDS, nowUs - backstopMs * 1000, maxJobs);
    this.#full = own.length >= maxJobs || overdue.length >= maxJobs;
    for (const job of [...own, ...overdue]) this.#arm(job);
    return false;
  }

  #arm(job: Job): void {
    const { jobUid, nextFireUs } = job;
    if (nextFireUs === null || this.#isHeld(job)) return;
    if (this.#firing.has(jobUid)) this.#unsure.add(jobUid);
    else if (this.#queued.has(jobUid)) this.#queued.set(jobUid, job);
    else this.#setDue(job, nextFireUs);
  }

  /** Armed a little before its time (rule 11). Once that moment has passed, whatever came of it, at its time. */
  #setDue(job: Job, nextFireUs: number): void {
    const aheadUs = nextFireUs - this.#config.aheadMs * 1000;
    this.#due.set(job.jobUid, aheadUs > this.#deps.meshClock.nowUs() ? aheadUs : nextFireUs, job);
  }

  #enqueue(jobs: readonly Job[]): void {
    for (const job of jobs) this.#queued.set(job.jobUid, job);
    this.#pump();
  }

  #pump(): void {
    for (const [jobUid, job] of this.#queued) {
      if (this.#stopping || this.#firing.size >= this.#config.maxConcurrentFires) return;
      if (this.#firing.has(jobUid)) continue;
      this.#queued.delete(jobUid);
      this.#firing.set(
        jobUid,
        this.#fire(job).finally(() => this.#fired(jobUid)),
      );
    }
  }

  #fired(jobUid: JobUid): void {
    this.#firing.delete(jobUid);
    if (this.#stopping) return;
    if (this.#unsure.delete(jobUid)) this.#loop.wake();
    this.#pump();
    if (this.#full && this.#due.size + this.#queued.size < this.#config.maxJobs / 2) this.#loop.wake();
  }

  /** Stores one fire, and arms the next one where it is near. Never rejects. */
  async #fire(job: Job): Promise<void> {
    const { routes, log } = this.#deps;
    const spans = new FireSpans(this.#deps.tracing, job);
    const plan: FirePlan = { fire: null, slot: null };
    let dispatched: Execution | null = null;
    try {
      this.#plan(job, spans, plan);
      const { fire } = plan;
      // It is held back to its time, or mesh time was measured anew and is earlier now.
      if (fire === null) return this.#armNext(job);
      // Rule 6: a route's text is in the store before anything waits on it.
      for (const execution of fire.executions) routes.of(execution);
      await routes.ensure(fire.executions.map(({ routeId }) => routeId));
      const outcome = await this.#fires.push(fire);
      if (outcome.kind === "refused") throw new Error(`the store refuses the fire: ${outcome.message}`);
      spans.end(outcome);
      if (outcome.kind === "early") return this.#armNext(job);
      // Whoever was first has moved the job on: what is stored now is read again.
      if (outcome.kind === "stale") return this.#loop.wake();
      dispatched = outcome.dispatched ?? null;
      tellFire(this.#deps.hints, fire, outcome);
      this.#armNext({ ...job, nextFireUs: fire.nextUs });
    } catch (error) {
      spans.fail(error);
      if (error instanceof StoreUnavailable) return;
      log.error({ err: error, jobId: job.jobId }, "a fire failed");
      this.#hold(job);
    } finally {
      // After an unknown outcome nothing is sent: what was stored after all is sent again by rule 19.
      if (plan.slot !== null) this.#deps.ahead.follow(plan.slot, dispatched);
    }
  }

  /** What is to be stored now. Rule 11: ahead of its time that is one execution without jitter, with a slot for it. */
  #plan(job: Job, spans: FireSpans, plan: FirePlan): void {
    const { missedMs, aheadMs } = this.#config;
    const nowUs = this.#deps.meshClock.nowUs();
    const leftUs = (job.nextFireUs ?? nowUs) - nowUs;
    const isAhead = leftUs > 0 && leftUs <= aheadMs * 1000 && job.schedule !== null && job.schedule.jitterMs === 0;
    plan.slot = isAhead ? this.#deps.ahead.reserve(job) : null;
    const atUs = plan.slot === null ? nowUs : nowUs + leftUs;
    const fire = planFire(job, this.#compile(job), atUs, missedMs, (id) => spans.start(id));
    const isOne = fire?.executions.length === 1 && fire.skipped.length === 0;
    if (plan.slot === null) plan.fire = fire;
    else if (fire !== null && isOne) plan.fire = { ...fire, slot: plan.slot.slot };
  }

  #armNext(job: Job): void {
    const horizonUs = this.#deps.meshClock.nowUs() + this.#config.lookAheadMs * 1000;
    if (job.nextFireUs === null || job.nextFireUs > horizonUs || this.#stopping) return;
    // A limit on fires is counted in the store: what was counted there is read before the next one.
    if (job.schedule !== null && job.schedule.maxFires > 0) this.#loop.wake();
    else this.#setDue(job, job.nextFireUs);
  }

  #hold({ jobUid, revision }: Job): void {
    if (this.#held.size >= MAX_HELD) this.#held.clear();
    this.#held.set(jobUid, { revision, untilMs: this.#deps.clock.monotonicMs() + HOLD_FAILED_MS });
  }

  #isHeld({ jobUid, revision }: Job): boolean {
    const held = this.#held.get(jobUid);
    if (held === undefined) return false;
    if (held.revision === revision && this.#deps.clock.monotonicMs() < held.untilMs) return true;
    this.#held.delete(jobUid);
    return false;
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

/** About how large the rows of a fire are. */
function fireBytes({ executions, skipped }: Fire): number {
  const targetBytes = (executions[0] ?? skipped[0]?.execution)?.target.bytes.length ?? 0;
  return (executions.length + skipped.length) * (FIRE_BYTES + targetBytes);
}

/** Tells who claims what is ready, who waits for the end of what is skipped, and which timer wakes the rest. */
function tellFire(hints: Hints, fire: Fire, outcome: FireOutcome & { kind: "fired" }): void {
  const ready = new Set(outcome.readyIds);
  const skipped = new Set(outcome.skippedIds);
  for (const { executionId, routeId, readyUs, policy } of fire.executions) {
    if (executionId === outcome.dispatched?.executionId) continue;
    if (ready.has(executionId)) hints.tell({ kind: "ready", routeId, bestRank: claimRank(policy.priority), count: 1 });
    else if (skipped.has(executionId)) hints.tell({ kind: "ended", executionId });
    // It waits for its time, or at its gate: the timer finds out which.
    else hints.tell({ kind: "due", executionId, readyUs });
  }
}
