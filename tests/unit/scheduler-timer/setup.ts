/** Timers on a real store in memory and a manual clock; two timers on one store are two owners that race. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { openStore } from "../../../services/common/adapter/open-store.ts";
import type { Execution } from "../../../services/common/domain/execution.ts";
import { type Job, SHARD_COUNT } from "../../../services/common/domain/job.ts";
import type { Schedule } from "../../../services/common/domain/schedule/schedule.ts";
import { scheduleDefaults } from "../../../services/common/domain/schedule/schedule.ts";
import { type Store, StoreUnavailable } from "../../../services/common/port/store.ts";
import type { NewJob } from "../../../services/common/port/store-jobs.ts";
import type { Logger } from "../../../services/common/runtime/log.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { propagatingTracing } from "../../../services/common/telemetry/create-tracing.ts";
import type { AheadSlots } from "../../../services/scheduler/dispatch/ahead-slots.ts";
import { RouteBook } from "../../../services/scheduler/dispatch/route-book.ts";
import { type Hint, Hints } from "../../../services/scheduler/hints.ts";
import { JobTimer, type JobTimerConfig } from "../../../services/scheduler/timer/job-timer.ts";
import { WaitTimer, type WaitTimerConfig } from "../../../services/scheduler/timer/wait-timer.ts";
import { everyExecution } from "../../support/execution-filter.ts";
import { MANUAL_CLOCK_START_US, ManualClock } from "../../support/manual-clock.ts";
import { newJob } from "../../support/store-records.ts";

/** Where the clock starts, milliseconds. */
export const START_MS = MANUAL_CLOCK_START_US / 1_000;
const ALL_SHARDS: readonly number[] = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);

/** Shards that a timer owns; `own` changes them as a change of the members does. */
export class TestOwners {
  #shards: readonly number[];
  readonly #listeners = new Set<() => void>();

  constructor(shards: readonly number[] = ALL_SHARDS) {
    this.#shards = shards;
  }

  ownedShards(): readonly number[] {
    return this.#shards;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  own(shards: readonly number[]): void {
    this.#shards = shards;
    for (const listener of this.#listeners) listener();
  }
}

/** One scheduler's timers. */
export type TimerOptions = {
  readonly owners?: TestOwners;
  readonly job?: Partial<JobTimerConfig>;
  readonly wait?: Partial<WaitTimerConfig>;
  readonly log?: Logger;
  /** Mesh time less the store's time, microseconds. */
  readonly aheadUs?: () => number;
  readonly uncertaintyUs?: number;
  /** Slots of fires ahead of their time; none when unset. */
  readonly ahead?: Pick<AheadSlots, "reserve" | "follow">;
};

const noSlots = { reserve: () => null, follow: () => assert.fail("there is no slot") };

/** A store with a clock. */
export type TimerRig = Awaited<ReturnType<typeof timerRig>>;

/** A real store in memory. When the test ends all timers are stopped, and none may be left armed. */
export async function timerRig(t: TestContext) {
  const clock = new ManualClock();
  const outage: { names: readonly string[] | null } = { names: null };
  const seen: string[] = [];
  let isChange = false;
  const store = openStore("sqlite::memory:", {
    clock,
    random: new SystemRandom(),
    onStatement: (name, sql) => {
      // A change begins; each statement of a read is one for itself.
      if (!isChange) seen.push(name);
      isChange = sql === "BEGIN IMMEDIATE" || (isChange && sql !== "COMMIT" && sql !== "ROLLBACK");
      if (sql === "ROLLBACK" || outage.names === null) return;
      if (outage.names.length === 0 || outage.names.includes(name)) throw new StoreUnavailable("away");
    },
  });
  await store.start();
  const stops: (() => Promise<void>)[] = [];
  t.after(async () => {
    outage.names = null;
    await Promise.all(stops.map((stop) => stop()));
    await clock.settle();
    assert.equal(clock.armedCount, 0, "no timer is left");
    await store.stop();
  });
  return {
    clock,
    store,
    outage,
    /** Called when the test ends, before the store stops. */
    stops,
    /** Names of all transactions, and of all statements of reads, so far. */
    seen,
    count: (name: string): number => seen.filter((one) => one === name).length,
    /** The timers of one more scheduler on the store, started. */
    timers: (options: TimerOptions = {}) => {
      const made = makeTimers(store, clock, options);
      stops.push(made.stop);
      return made;
    },
    executions: (job: Pick<Job, "namespace" | "jobId">) => executionsOf(store, job),
  };
}

function makeTimers(store: Store, clock: ManualClock, options: TimerOptions) {
  const owners = options.owners ?? new TestOwners();
  const log = options.log ?? silentLogger;
  const hints = new Hints();
  const told: Hint[] = [];
  for (const kind of ["ready", "due", "ended"] as const) hints.on(kind, (hint) => void told.push(hint));
  const meshClock = {
    nowUs: () => clock.wallUs() + (options.aheadUs?.() ?? 0),
    uncertaintyUs: () => options.uncertaintyUs ?? 0,
  };
  const tracing = propagatingTracing(new SystemRandom());
  const shared = { store, owners, hints, meshClock, clock, log };
  const jobs = new JobTimer(
    { ...shared, routes: new RouteBook(store.routes), ahead: options.ahead ?? noSlots, tracing },
    {
      lookAheadMs: 2_000,
      aheadMs: 300,
      backstopMs: 2_000,
      missedMs: 15_000,
      maxJobs: 1_000,
      maxConcurrentFires: 4,
      ...options.job,
    },
  );
  const waits = new WaitTimer(shared, { lookAheadMs: 2_000, backstopMs: 2_000, maxBatchRows: 1_000, ...options.wait });
  return {
    owners,
    hints,
    told,
    jobs,
    waits,
    start: () => {
      jobs.start();
      waits.start();
    },
    stop: async () => {
      await jobs.stop();
      await waits.stop();
    },
  };
}

/** Stores a job whose first fire follows from its schedule, or is given. */
export async function addJob(
  rig: { readonly store: Store },
  schedule: Partial<Schedule> & Pick<Schedule, "when">,
  parts: Partial<NewJob> & { readonly firstMs: number },
): Promise<Job> {
  const { firstMs, ...rest } = parts;
  const job = newJob({ schedule: { ...scheduleDefaults, ...schedule }, nextFireUs: firstMs * 1_000, ...rest });
  const outcome = await rig.store.jobs.create(job, null);
  assert.equal(outcome.kind, "created");
  return outcome.kind === "created" ? outcome.job : assert.fail();
}

/** Once, this long after the start. */
export function at(ms: number): Pick<Schedule, "when"> {
  return { when: { kind: "at", atMs: START_MS + ms } };
}

/** Each second, minute and so on. */
export function cron(expression: string): Pick<Schedule, "when"> {
  return { when: { kind: "cron", expressions: [expression] } };
}

async function executionsOf(store: Store, { namespace, jobId }: Pick<Job, "namespace" | "jobId">) {
  const { items } = await store.executions.list({ ...everyExecution, namespace, jobId }, 1_000, null, false);
  return items.toReversed();
}

/** Nominal times after the start, milliseconds. */
export function nominals(executions: readonly Execution[]): number[] {
  return executions.map(({ scheduledUs }) => scheduledUs / 1_000 - START_MS);
}
