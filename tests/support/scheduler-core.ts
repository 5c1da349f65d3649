import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { openStore } from "../../services/common/adapter/open-store.ts";
import type { StatementHook } from "../../services/common/adapter/sql/session.ts";
import type { ExecutorProfile } from "../../services/common/domain/executor.ts";
import type { SchedulerId } from "../../services/common/domain/identifier.ts";
import type { SchedulerBus } from "../../services/common/port/bus.ts";
import type { Random } from "../../services/common/port/random.ts";
import { type Store, StoreUnavailable } from "../../services/common/port/store.ts";
import { type Logger, silentLogger } from "../../services/common/runtime/log.ts";
import { SystemRandom } from "../../services/common/runtime/system-random.ts";
import { propagatingTracing } from "../../services/common/telemetry/create-tracing.ts";
import type { Tracing } from "../../services/common/telemetry/tracing.ts";
import { Dispatcher } from "../../services/scheduler/dispatch/dispatcher.ts";
import { Pinner } from "../../services/scheduler/dispatch/pinner.ts";
import { RouteBook } from "../../services/scheduler/dispatch/route-book.ts";
import { Sender } from "../../services/scheduler/dispatch/sender.ts";
import { Submitter } from "../../services/scheduler/dispatch/submitter.ts";
import { WaitingView } from "../../services/scheduler/dispatch/waiting.ts";
import { WaitingLimit } from "../../services/scheduler/dispatch/waiting-limit.ts";
import type { GroupLimits } from "../../services/scheduler/group-queue.ts";
import { Hints } from "../../services/scheduler/hints.ts";
import type { MeshClock } from "../../services/scheduler/mesh-clock.ts";
import { ResultSpans } from "../../services/scheduler/results/result-spans.ts";
import { SessionResults } from "../../services/scheduler/results/session-results.ts";
import { AttemptWatch } from "../../services/scheduler/sessions/attempt-watch.ts";
import { Beats } from "../../services/scheduler/sessions/beats.ts";
import { Departures } from "../../services/scheduler/sessions/departures.ts";
import { DrainSender } from "../../services/scheduler/sessions/drain-sender.ts";
import { Roster } from "../../services/scheduler/sessions/roster.ts";
import { type SessionConfig, sessionDefaults } from "../../services/scheduler/sessions/session-config.ts";
import { SessionService } from "../../services/scheduler/sessions/session-service.ts";
import { StopSender } from "../../services/scheduler/sessions/stop-sender.ts";
import { StoredOffsetsView } from "../../services/scheduler/sessions/stored-offsets.ts";
import { Sweep } from "../../services/scheduler/sweep.ts";
import { testProfile } from "./executor-profile.ts";
import { ManualClock } from "./manual-clock.ts";
import { ScriptedExecutor } from "./scripted-executor.ts";

/** A store and a clock that several schedulers share. */
export type CoreBase = {
  readonly clock: ManualClock;
  readonly store: Store;
  /** Kinds of transactions that find the store away; all when empty, none when null. */
  readonly outage: { names: readonly string[] | null };
  /** Called before each statement with the transaction's name; it may wait. */
  readonly before: { statement: StatementHook };
  readonly stops: (() => Promise<void>)[];
};

/** How a core is made. */
export type CoreOptions = {
  /** What may wait to be stored; as the product has it where it is not given. */
  readonly submitLimits?: GroupLimits;
  readonly bus?: SchedulerBus;
  readonly resultPartitions?: number;
  readonly log?: Logger;
  readonly config?: Partial<SessionConfig>;
  /** The base of another core, as two schedulers share one store. */
  readonly base?: CoreBase;
  readonly schedulerId?: string;
  /** READY executions at which submissions are refused. */
  readonly maxWaiting?: number;
};

/** Sessions and dispatch of one scheduler on a real SQLite store in memory and a manual clock; no loop runs by itself. */
export type SchedulerCore = Awaited<ReturnType<typeof schedulerCore>>;

/** A real store in memory; when the test ends it is stopped with all schedulers on it, and no timer may be left. */
async function coreBase(test: TestContext): Promise<CoreBase> {
  const clock = new ManualClock();
  const outage: CoreBase["outage"] = { names: null };
  const before: CoreBase["before"] = { statement: () => {} };
  const store = openStore("sqlite::memory:", {
    clock,
    random: new SystemRandom(),
    onStatement: async (name, sql) => {
      await before.statement(name, sql);
      if (sql === "ROLLBACK" || outage.names === null) return;
      if (outage.names.length === 0 || outage.names.includes(name)) throw new StoreUnavailable("away");
    },
  });
  await store.start();
  const stops: CoreBase["stops"] = [];
  test.after(async () => {
    outage.names = null;
    await Promise.all(stops.map((stop) => stop()));
    await clock.settle();
    assert.equal(clock.armedCount, 0, "no timer is left");
    await store.stop();
  });
  return { clock, store, outage, before, stops };
}

/** Makes a core. */
export async function schedulerCore(test: TestContext, options: CoreOptions = {}) {
  const base = options.base ?? (await coreBase(test));
  const { clock, store } = base;
  const log = options.log ?? silentLogger;
  const meshClock = { nowUs: () => clock.wallUs(), uncertaintyUs: () => 0 };
  const random = new SystemRandom();
  const tracing = propagatingTracing(random);
  const hints = new Hints();
  const schedulerId = (options.schedulerId ?? "scheduler-1") as SchedulerId;
  const config: SessionConfig = { ...sessionDefaults, schedulerId, ...options.config };
  const shared = { store, clock, meshClock, random, tracing, hints, log };
  const dispatch = dispatchParts(shared, options);
  const sessions = sessionParts(shared, dispatch, config, options);
  const sweep = new Sweep(shared, { schedulerId, sweepMs: 250 });
  const loops = [
    sweep,
    dispatch.dispatcher,
    sessions.beats,
    sessions.stops,
    sessions.drains,
    sessions.watch,
    sessions.departures,
    dispatch.pinner,
  ];
  const stop = async (): Promise<void> => {
    await Promise.all(loops.map((loop) => loop.stop()));
    await dispatch.submitter.stop();
    await sessions.sessions.stop();
    await sessions.results.stop();
    dispatch.sender.stop();
  };
  base.stops.push(stop);
  return {
    base,
    clock,
    store,
    outage: base.outage,
    hints,
    config,
    ...dispatch,
    ...sessions,
    stop,
    start: () => {
      for (const loop of loops) loop.start();
    },
    /** Mesh time. */
    nowUs: () => clock.wallUs(),
    /** An executor that has said Hello and, unless `free` is null, its first heartbeat. */
    join: async (name: string, free: number | null, changes: Partial<ExecutorProfile> = {}, sessionNumber = 1) => {
      const executor = new ScriptedExecutor(testProfile(name, changes), sessions.sessions);
      executor.hello({ sessionNumber });
      await clock.settle();
      if (free !== null) executor.beat(free);
      await clock.settle();
      return executor;
    },
  };
}

type Shared = {
  readonly store: Store;
  readonly clock: ManualClock;
  readonly meshClock: MeshClock;
  readonly random: Random;
  readonly tracing: Tracing;
  readonly hints: Hints;
  readonly log: Logger;
};

function dispatchParts(shared: Shared, options: CoreOptions) {
  const { store, clock, tracing, log } = shared;
  const roster = new Roster();
  const routes = new RouteBook(store.routes);
  const waiting = new WaitingView(roster, routes);
  const sender = new Sender({ roster, bus: options.bus ?? null, clock, tracing, log });
  const limit = new WaitingLimit({ store, clock }, options.maxWaiting ?? 1_000_000);
  const pinner = new Pinner({ ...shared, roster, routes });
  const parts = { ...shared, roster, routes, waiting, sender, limit, pinner };
  return {
    roster,
    routes,
    waiting,
    sender,
    pinner,
    submitter: new Submitter(parts, options.submitLimits),
    dispatcher: new Dispatcher(parts),
  };
}

function sessionParts(
  shared: Shared,
  { roster, sender }: ReturnType<typeof dispatchParts>,
  config: SessionConfig,
  options: CoreOptions,
) {
  const { store, hints, tracing } = shared;
  const offsets = new StoredOffsetsView(store.offsets, options.resultPartitions ?? 0);
  const limits = { maxBatchRows: 1_000, maxQueued: 100_000 };
  const results = new SessionResults({ store, hints, spans: new ResultSpans(tracing) }, limits);
  const sessions = new SessionService({ ...shared, roster, results, offsets }, config);
  const parts = { ...shared, roster, sender, sessions, offsets };
  return {
    offsets,
    results,
    sessions,
    beats: new Beats(parts, config),
    stops: new StopSender(parts, config),
    drains: new DrainSender(parts, config),
    watch: new AttemptWatch(parts, config),
    departures: new Departures(parts),
  };
}
