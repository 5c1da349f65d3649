import { ExecutionServiceService } from "../../gen/jobmesh/v1/execution_service.ts";
import { JobServiceService } from "../../gen/jobmesh/v1/job_service.ts";
import { MeshServiceService } from "../../gen/jobmesh/v1/mesh_service.ts";
import { PeerServiceService } from "../../gen/jobmesh/v1/peer_service.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { SchedulerBus } from "../common/port/bus.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Random } from "../common/port/random.ts";
import type { Registry } from "../common/port/registry.ts";
import type { Store } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";
import { sessionService } from "../common/wire/session-method.ts";
import { EndedWaits } from "./api/ended-waits.ts";
import { executionHandlers } from "./api/execution-service.ts";
import { HeldWaits } from "./api/held-waits.ts";
import { JobKeeper } from "./api/job-keeper.ts";
import { jobHandlers } from "./api/job-service.ts";
import { KnownTypes } from "./api/known-types.ts";
import { type Backend, meshHandlers } from "./api/mesh-service.ts";
import { payloadCheck } from "./api/payload-check.ts";
import { RunMethods } from "./api/run-methods.ts";
import { SubmissionReader } from "./api/submission-reader.ts";
import { Submissions } from "./api/submissions.ts";
import { explainedPage } from "./api/waiting-reason.ts";
import { DispatchLoops } from "./dispatch-loops.ts";
import { ExecutorPresence } from "./executor-presence.ts";
import { exportLoops } from "./export-loops.ts";
import { ExecutionFeed } from "./feed/execution-feed.ts";
import { Hints } from "./hints.ts";
import { MeasuredMeshClock } from "./measured-mesh-clock.ts";
import { Membership } from "./membership.ts";
import { type OpenLink, PeerLinks } from "./peers/peer-links.ts";
import { Admitter } from "./rescue/admitter.ts";
import { Rescuer } from "./rescue/rescuer.ts";
import type { SchedulerSettings } from "./scheduler-config.ts";
import { showScheduler } from "./scheduler-metrics.ts";
import { schedulerStore } from "./scheduler-store.ts";
import { guarded, type Served, served } from "./served.ts";
import type { SessionPeer } from "./sessions/session-peer.ts";
import { sessionHandler } from "./sessions/session-rpc.ts";
import { StoreHealth } from "./store-health.ts";
import { StoreOutage } from "./store-outage.ts";
import { Sweep } from "./sweep.ts";
import { timedLoops } from "./timed-loops.ts";

/** What a Scheduler is given. The store is started and stopped by its owner, as are bus and registry. */
export type SchedulerDeps = {
  readonly store: Store;
  /** null when executors work by their sessions alone. */
  readonly bus: SchedulerBus | null;
  readonly registry: Registry;
  readonly openPeer: OpenLink;
  readonly clock: Clock;
  readonly random: Random;
  readonly tracing: Tracing;
  /** Nobody reads them when they are left out, and nothing is counted. */
  readonly metrics?: Metrics;
  readonly log: Logger;
};

/** Gates taken in one round, and time between recounts. */
const ADMITTER_LIMITS = { maxGates: 100, recountMs: 60_000 };

/**
 * Scheduler is one of the schedulers of a mesh, all active, none a leader: its
 * API, its timers, its dispatch and sessions, its rescuer. All that it knows
 * beyond the store is a hint, and may be lost with it.
 */
export class Scheduler {
  readonly hints = new Hints();
  readonly #deps: SchedulerDeps;
  readonly #settings: SchedulerSettings;
  readonly #meshClock: MeasuredMeshClock;
  readonly #storeHealth: StoreHealth;
  readonly #dispatch: DispatchLoops;
  readonly #waits: EndedWaits;
  readonly #feed: ExecutionFeed;
  #running: Running | null = null;
  #hide: () => void = () => {};
  /** Mesh time is known: before that nothing can be said of any time (rule 12). */
  #isMeasured = false;
  #isReady = false;
  #starting: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;

  constructor(given: SchedulerDeps, settings: SchedulerSettings) {
    const deps = { ...given, store: schedulerStore(given, this.hints) };
    this.#deps = deps;
    this.#settings = settings;
    this.#meshClock = new MeasuredMeshClock(deps);
    this.#storeHealth = new StoreHealth(deps, (healthy) => this.#running?.outage.tell(healthy));
    this.hints.on("pending", () => this.#storeHealth.heard());
    this.#dispatch = new DispatchLoops({ ...deps, hints: this.hints, meshClock: this.#meshClock }, settings);
    this.#waits = new EndedWaits({ ...deps, hints: this.hints });
    this.#feed = new ExecutionFeed({ ...deps, hints: this.hints, explain: explainedPage });
  }

  /** The services to serve. The schedulers that ListSchedulers shows are those of `start`. */
  services(): readonly Served[] {
    const { store, random, tracing, registry, log, clock } = this.#deps;
    const [hints, meshClock] = [this.hints, this.#meshClock];
    const types = new KnownTypes(store.descriptors, clock);
    const checkPayload = payloadCheck(types, new RunMethods(store.executors, clock));
    const held = new HeldWaits({ store, hints, clock }, 2 * this.#settings.heartbeatMs);
    const keeper = new JobKeeper({ store, hints, held, meshClock, random, checkPayload, log });
    const reader = new SubmissionReader({ store, meshClock, random, checkPayload, log });
    const sink = this.#dispatch.submitter;
    const submissions = new Submissions({ reader, sink, store, tracing, log });
    const logs = { store, hints, clock };
    const schedulers = { all: () => this.#running?.membership.all() ?? [] };
    const [waits, feed] = [this.#waits, this.#feed];
    const executions = executionHandlers({ store, hints, held, waits, feed, submissions, logs, types });
    // The server listens before the store has told the time, which may take as long as the store is slow.
    const guard = (): void => {
      if (!this.#isMeasured) throw notRunning();
    };
    const mesh = { store, hints, registry, schedulers, backends: this.#backends(), meshClock, types, clock };
    return [
      served(JobServiceService, guarded(guard, jobHandlers({ keeper, submissions, meshClock }))),
      served(ExecutionServiceService, guarded(guard, executions)),
      served(MeshServiceService, meshHandlers({ ...mesh, suspectAfterMs: this.#settings.suspectMs })),
      served(PeerServiceService, {
        link: (stream, context) =>
          this.#running === null ? stream.fail(notRunning()) : this.#running.peers.serve(stream, context),
      }),
      served(sessionService, guarded(guard, { session: sessionHandler(this.#dispatch.sessions) })),
    ];
  }

  /**
   * Joins the mesh and begins to work; once, so a second call is the first. `address` is where peers and executors
   * reach it. What had begun is ended again when it rejects: StoreUnavailable when the store is away.
   */
  start(address: string): Promise<void> {
    if (this.#stopping !== null) return Promise.reject(notRunning());
    this.#starting ??= this.#start(address);
    return this.#starting;
  }

  /** Ends its loops; what it had begun others go on with. Idempotent; it is not started again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(address: string): Promise<void> {
    const startUs = this.#deps.clock.wallUs();
    const running = this.#compose(address, startUs);
    this.#running = running;
    try {
      await this.#meshClock.start();
      this.#isMeasured = true;
      this.#storeHealth.start();
      running.presence.start();
      await running.membership.start();
      running.outage.start();
      await this.#dispatch.start(running.membership);
      this.#waits.start();
      for (const loop of running.loops) loop.start();
      running.peers.start();
      this.#hide = this.#show();
      this.#isReady = true;
    } catch (error) {
      await this.#end(running);
      throw error;
    }
  }

  async #stop(): Promise<void> {
    // A start under way ends first; whoever called it hears of its failure.
    await this.#starting?.catch(() => {});
    if (this.#running !== null) await this.#end(this.#running);
  }

  /** One part after the other, whatever becomes of each: others take over first, then intake ends, then the rest. */
  async #end(running: Running): Promise<void> {
    this.#isReady = false;
    this.#hide();
    const parts: readonly { stop(): void | Promise<void> }[] = [
      running.membership,
      ...running.loops,
      this.#waits,
      this.#feed,
      this.#dispatch,
      running.peers,
      running.outage,
      running.presence,
      this.#storeHealth,
      this.#meshClock,
    ];
    for (const part of parts) {
      try {
        await part.stop();
      } catch (error) {
        this.#deps.log.error({ err: error, part: part.constructor.name }, "a part did not stop in order");
      }
    }
    this.#running = null;
  }

  /** Takes the session of an executor in the same process. */
  connect(peer: SessionPeer): void {
    this.#dispatch.sessions.connect(peer);
  }

  /** True once it has started and while the store answers: readiness. */
  healthy(): boolean {
    return this.#isReady && this.#storeHealth.health().healthy;
  }

  /** Shows its state as metrics; returns what ends that. */
  #show(): () => void {
    const { metrics, store, clock } = this.#deps;
    if (metrics === undefined) return () => {};
    return showScheduler(metrics, {
      ...{ store, clock, hints: this.hints },
      backends: this.#backends(),
      roster: this.#dispatch.roster,
      meshClock: this.#meshClock,
      owned: () => this.#running?.membership.owned() ?? { shards: 0, resultPartitions: 0 },
    });
  }

  #compose(address: string, startUs: number): Running {
    const { store, bus, registry, clock, log, tracing, metrics, openPeer } = this.#deps;
    const settings = this.#settings;
    const { hints } = this;
    const meshClock = this.#meshClock;
    const membership = new Membership(registry, {
      ...settings,
      address,
      startUs,
      leaseTtlMs: settings.leaseMs,
      resultPartitions: bus?.resultPartitions ?? 0,
    });
    const presence = new ExecutorPresence(registry, (ids) => this.#dispatch.roster.setPresent(ids));
    const { routes, ahead } = this.#dispatch;
    const timed = { store, bus, owners: membership, routes, ahead, hints, meshClock, clock, tracing, log, metrics };
    const { heartbeatMs, leaseMs, sessionLeaseMs, lossMs, lossBusWaitMs } = settings;
    return {
      membership,
      outage: new StoreOutage({
        marks: membership,
        endSessions: () => this.#dispatch.sessions.endAll(new JobmeshError("STORE_UNAVAILABLE")),
        clock,
        log,
      }),
      presence,
      peers: new PeerLinks({ peers: membership, hints, open: openPeer, routes, clock, log }),
      loops: [
        new Sweep({ store, hints, clock, log }, settings),
        ...timedLoops(timed, settings),
        ...exportLoops(timed, settings),
        new Admitter({ store, hints, clock, log }, ADMITTER_LIMITS),
        new Rescuer(
          { store, bus, executors: presence, hints, clock, log },
          {
            heartbeatMs,
            leaseMs,
            sessionLeaseMs,
            marginMs: lossMs - leaseMs,
            maxBatchRows: settings.claimRows,
            busWaitMs: lossBusWaitMs,
            // What an earlier process left under its name is judged like any other, or it would keep this one out.
            unjudged: ({ executorId, incarnation }) =>
              executorId === settings.embeddedExecutor &&
              this.#dispatch.roster.get(executorId)?.profile.incarnation === incarnation,
          },
        ),
      ],
    };
  }

  #backends(): readonly Backend[] {
    const { store, bus, registry } = this.#deps;
    return [
      { role: "store", kind: store.kind, health: () => this.#storeHealth.health() },
      { role: "bus", kind: bus?.kind ?? "session", health: () => bus?.health() ?? { healthy: true, message: "" } },
      { role: "registry", kind: registry.kind, health: () => registry.health() },
    ];
  }
}

/** What exists only while the scheduler runs. */
type Running = {
  readonly membership: Membership;
  readonly outage: StoreOutage;
  readonly presence: ExecutorPresence;
  readonly peers: PeerLinks;
  readonly loops: readonly { start(): void; stop(): Promise<void> }[];
};

function notRunning(): JobmeshError {
  return new JobmeshError("SHUTTING_DOWN", { message: "this scheduler does not run yet, or no more" });
}
