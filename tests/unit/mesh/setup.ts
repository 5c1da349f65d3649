/**
 * A whole mesh in one process: real schedulers and real executors on one store in memory, joined by in-process
 * sessions, on a clock that the test moves. Schedulers die here as by SIGKILL: their streams break, nothing of theirs
 * reaches the store any more, and their keys are gone.
 */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { MemoryBus } from "../../../services/common/adapter/memory/bus.ts";
import { openStore } from "../../../services/common/adapter/open-store.ts";
import type { Execution, NewExecution } from "../../../services/common/domain/execution.ts";
import type { ExecutionId, ExecutorId, Incarnation, SchedulerId } from "../../../services/common/domain/identifier.ts";
import { routeOf, routeText } from "../../../services/common/domain/route.ts";
import type { SchedulerBus } from "../../../services/common/port/bus.ts";
import { StoreUnavailable } from "../../../services/common/port/store.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import { propagatingTracing } from "../../../services/common/telemetry/create-tracing.ts";
import { type ExecutorConfig, executorDefaults } from "../../../services/executor/config.ts";
import { Executor } from "../../../services/executor/executor.ts";
import type { ExecutorDeps } from "../../../services/executor/executor-deps.ts";
import type { SessionConnector } from "../../../services/executor/session-link.ts";
import { type HandlerDefinition, HandlerRunner } from "../../../services/executor/target/handler.ts";
import type { HandlerContext } from "../../../services/executor/target/handler-context.ts";
import { Scheduler } from "../../../services/scheduler/scheduler.ts";
import type { SchedulerSettings } from "../../../services/scheduler/scheduler-config.ts";
import { inProcessSession } from "../../../services/scheduler/sessions/in-process-session.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { testExecution } from "../../support/new-execution.ts";
import { schedulerSettings } from "../../support/scheduler-settings.ts";
import { TestRegistry } from "../scheduler-membership/setup.ts";
import { mortal } from "./mortal-store.ts";
import { submitTo } from "./served.ts";
import { silentStream, Way } from "./way.ts";

const METHOD = "test.Work/Do";

/** A scheduler that a test can kill. */
export type TestScheduler = {
  readonly scheduler: Scheduler;
  readonly links: Set<{ drop(): void }>;
  alive: boolean;
  /** SubmitExecution of a command by its API. */
  readonly submit: ReturnType<typeof submitTo>;
  /** Nothing of it is done any more, and nobody is told. */
  kill(): void;
};

/** A run of an attempt. */
export type StartedRun = {
  readonly context: HandlerContext;
  readonly end: PromiseWithResolvers<Uint8Array>;
  /** Another attempt of the same execution ran when it began. */
  readonly overlapped: boolean;
};

/** An executor with the handler contexts of what it was given, and how each is ended. */
export type TestExecutor = {
  readonly executorId: ExecutorId;
  readonly executor: Executor;
  readonly started: StartedRun[];
  /** To and from every home. */
  readonly way: Way;
};

/** How a mesh is made; without a bus all goes by sessions. */
export type MeshOptions = { readonly bus?: boolean };

/** What all of a mesh share. */
type Base = Awaited<ReturnType<typeof meshBase>>;

async function meshBase(t: TestContext, options: MeshOptions) {
  const clock = new ManualClock();
  const random = new SystemRandom();
  const tracing = propagatingTracing(random);
  const outage = { away: false };
  const store = openStore("sqlite::memory:", {
    clock,
    random,
    onStatement: (_name, sql) => {
      if (outage.away && sql !== "ROLLBACK") throw new StoreUnavailable("away");
    },
  });
  await store.start();
  const registry = new TestRegistry();
  const bus = options.bus === true ? new MemoryBus(clock, { resultPartitions: 2 }) : null;
  const schedulers: TestScheduler[] = [];
  const executors: TestExecutor[] = [];
  const schedulerBuses: SchedulerBus[] = [];
  t.after(async () => {
    outage.away = false;
    for (const one of executors) for (const { end } of one.started) end.resolve(new Uint8Array());
    const stopped = Promise.all(executors.map(({ executor }) => executor.stop(0)));
    for (let seconds = 0; seconds < 40; seconds++) await clock.advance(1_000);
    await stopped;
    const over = Promise.all(schedulers.map(({ scheduler }) => scheduler.stop()));
    for (let seconds = 0; seconds < 5; seconds++) await clock.advance(1_000);
    await over;
    for (const one of schedulerBuses) await one.stop();
    await clock.settle();
    assert.equal(clock.armedCount, 0, "no timer is left");
    await store.stop();
  });
  return { clock, random, tracing, outage, store, registry, bus, schedulers, executors, schedulerBuses };
}

function schedulersOn({ clock, random, tracing, store, registry, bus, schedulers, schedulerBuses }: Base) {
  return async (name: string, changes: Partial<SchedulerSettings> = {}): Promise<TestScheduler> => {
    const life = { alive: true };
    const own = mortal(store, life);
    const schedulerBus = bus?.scheduler() ?? null;
    if (schedulerBus !== null) {
      await schedulerBus.start();
      schedulerBuses.push(schedulerBus);
    }
    const made = new Scheduler(
      {
        ...{ store: own, bus: schedulerBus, registry, clock, random, tracing, log: silentLogger },
        openPeer: () => ({ stream: silentStream(), close: () => {} }),
      },
      { ...schedulerSettings, schedulerId: name as SchedulerId, ...changes },
    );
    const one: TestScheduler = {
      scheduler: made,
      links: new Set(),
      alive: true,
      submit: submitTo(made),
      kill: () => {
        one.alive = false;
        life.alive = false;
        registry.members.delete(`scheduler/${name}`);
        registry.tell();
        void schedulerBus?.stop();
        for (const link of one.links) link.drop();
      },
    };
    schedulers.push(one);
    const starting = made.start(`${name}:1`);
    await clock.advance(1);
    await starting;
    return one;
  };
}

/** Each goes from one living scheduler to the next. */
function connectorTo(schedulers: readonly TestScheduler[], way: Way): SessionConnector {
  let turn = 0;
  return {
    open: async () => {
      const live = schedulers.filter((candidate) => candidate.alive);
      const home = live[turn++ % live.length];
      if (home === undefined || way.cut) throw new Error("no scheduler can be reached");
      const { peer, link } = inProcessSession();
      home.scheduler.connect(peer);
      home.links.add(link);
      link.onClosed(() => void home.links.delete(link));
      return {
        ...link,
        send: (messages) => {
          way.pass(() => void link.send(messages));
          return true;
        },
        onMessages: (callback) => link.onMessages((messages) => way.pass(() => callback(messages))),
        end: () => way.pass(() => link.end()),
      };
    },
    close: () => {},
  };
}

/** @param running executions that run anywhere in the mesh */
function definitionOf(started: StartedRun[], running: Set<string>): HandlerDefinition {
  return {
    method: METHOD,
    slots: 0,
    descriptorHash: "0".repeat(64),
    decode: (bytes) => Buffer.from(bytes),
    encodeJson: null,
    encode: (response) => response as Uint8Array,
    run: (_request, context) => {
      const { executionId, signal } = context;
      const end = Promise.withResolvers<Uint8Array>();
      started.push({ context, end, overlapped: running.has(executionId) });
      running.add(executionId);
      signal.addEventListener("abort", () => end.reject(new Error("aborted")), { once: true });
      return end.promise.finally(() => running.delete(executionId));
    },
  };
}

function executorsOn({ clock, random, tracing, bus, schedulers, executors }: Base) {
  const running = new Set<string>();
  return async (
    name: string,
    config: Partial<ExecutorConfig> = {},
    deps: Partial<ExecutorDeps> = {},
  ): Promise<TestExecutor> => {
    const started: TestExecutor["started"] = [];
    const way = new Way();
    const work = new HandlerRunner(clock, definitionOf(started, running));
    const made = new Executor(
      {
        ...{ clock, random, tracing, log: silentLogger },
        connector: connectorTo(schedulers, way),
        bus: bus?.executor() ?? null,
        registry: null,
        runners: [work, { capability: { kind: "command" }, keepsTimeout: false, run: (attempt) => work.run(attempt) }],
        commands: null,
        lock: null,
        descriptorSet: () => undefined,
        load: () => ({ cpuLoad: 0, memoryBytes: 0 }),
        exitProcess: () => {},
        ...deps,
      },
      { ...executorDefaults, executorId: name as ExecutorId, lane: 3, slots: 4, ...config },
    );
    const one: TestExecutor = { executorId: name as ExecutorId, executor: made, started, way };
    executors.push(one);
    await made.start();
    await clock.advance(10);
    return one;
  };
}

/** A mesh under test. */
export type MeshRig = Awaited<ReturnType<typeof meshRig>>;

/** Makes an empty mesh. */
export async function meshRig(t: TestContext, options: MeshOptions = {}) {
  const base = await meshBase(t, options);
  const { clock, store } = base;
  return {
    ...base,
    scheduler: schedulersOn(base),
    executor: executorsOn(base),
    /** Stores executions that are READY, as another scheduler would. */
    submit: async (count: number, changes: Partial<NewExecution> = {}): Promise<ExecutionId[]> => {
      const made = Array.from({ length: count }, () => work(clock.wallUs(), changes));
      await store.routes.ensure([routeText(routeOf(made[0] ?? assert.fail()))]);
      const outcomes = await store.executions.submit(
        made.map((execution) => ({ execution, request: null, slot: null })),
      );
      assert.ok(outcomes.every(({ kind }) => kind === "stored"));
      return made.map(({ executionId }) => executionId);
    },
    get: async (executionId: ExecutionId): Promise<Execution> =>
      (await store.executions.get(executionId)) ?? assert.fail("the execution is there"),
    /** Lets time pass in small steps, as sessions and loops answer each other. */
    pass: async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 50) await clock.advance(Math.min(left, 50));
    },
  };
}

/** The named incarnation before, as a data folder's lock tells it. */
export function lockNaming(previous: string | null): ExecutorDeps["lock"] {
  return { previous: previous as Incarnation | null, note: () => {}, release: async () => {} };
}

function work(nowUs: number, changes: Partial<NewExecution>): NewExecution {
  const payload = { $case: "request" as const, value: Buffer.from("work") };
  const bytes = Target.encode({ kind: { $case: "handler", value: { method: METHOD, payload } } }).finish();
  return testExecution(nowUs, { target: { kind: "handler", method: METHOD, summary: METHOD, bytes }, ...changes });
}
