import type { SchedulerBus } from "../common/port/bus.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Random } from "../common/port/random.ts";
import type { Store } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";
import { AheadSlots } from "./dispatch/ahead-slots.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { Pinner } from "./dispatch/pinner.ts";
import { RouteBook } from "./dispatch/route-book.ts";
import { Sender } from "./dispatch/sender.ts";
import { Submitter, submitGroupDefaults } from "./dispatch/submitter.ts";
import { WaitingView } from "./dispatch/waiting.ts";
import { WaitingLimit } from "./dispatch/waiting-limit.ts";
import type { Hints } from "./hints.ts";
import type { MeshClock } from "./mesh-clock.ts";
import { type PartitionOwners, ResultReader } from "./results/result-reader.ts";
import { ResultSpans } from "./results/result-spans.ts";
import { SessionResults } from "./results/session-results.ts";
import type { SchedulerSettings } from "./scheduler-config.ts";
import { AttemptWatch } from "./sessions/attempt-watch.ts";
import { Beats } from "./sessions/beats.ts";
import { Departures } from "./sessions/departures.ts";
import { DrainSender } from "./sessions/drain-sender.ts";
import { Roster } from "./sessions/roster.ts";
import { type SessionConfig, sessionDefaults } from "./sessions/session-config.ts";
import { SessionService } from "./sessions/session-service.ts";
import { StopSender } from "./sessions/stop-sender.ts";
import { StoredOffsetsView } from "./sessions/stored-offsets.ts";

/** Results of sessions that wait to be stored. */
export const MAX_QUEUED_RESULTS = 50_000;
/** Between two checks that the result topic is the one that was read (rule 27). */
const TOPIC_CHECK_MS = 60_000;

/** What the loops between the store and the executors are given. */
export type DispatchLoopsDeps = {
  readonly store: Store;
  readonly bus: SchedulerBus | null;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly meshClock: MeshClock;
  readonly random: Random;
  readonly tracing: Tracing;
  readonly log: Logger;
};

/** The way of an attempt: submitted or claimed, sent, watched, its result stored. */
export class DispatchLoops {
  readonly roster = new Roster();
  readonly submitter: Submitter;
  readonly sessions: SessionService;
  readonly routes: RouteBook;
  /** Slots of fires that are sent ahead of their time. */
  readonly ahead: AheadSlots;
  readonly #deps: DispatchLoopsDeps;
  readonly #settings: SchedulerSettings;

  readonly #sender: Sender;
  readonly #dispatcher: Dispatcher;
  readonly #sessionResults: SessionResults;
  readonly #offsets: StoredOffsetsView;
  readonly #spans: ResultSpans;
  readonly #loops: readonly { start(): void; stop(): Promise<void> }[];
  #reader: ResultReader | null = null;

  constructor(deps: DispatchLoopsDeps, settings: SchedulerSettings) {
    const { store, bus, hints, tracing } = deps;
    this.#deps = deps;
    this.#settings = settings;
    this.routes = new RouteBook(store.routes);
    const roster = this.roster;
    const { routes } = this;
    const waiting = new WaitingView(roster, routes);
    const sender = new Sender({ ...deps, roster });
    this.#sender = sender;
    this.ahead = new AheadSlots({ ...deps, roster, routes, waiting, sender });
    this.submitter = new Submitter(
      { ...deps, roster, routes, waiting, sender, limit: new WaitingLimit(deps, settings.maxWaitingExecutions) },
      { ...submitGroupDefaults, maxItems: settings.submitGroupRows, maxBytes: settings.submitGroupBytes },
    );
    const pinner = new Pinner({ ...deps, roster, routes });
    this.#dispatcher = new Dispatcher(
      { ...deps, roster, routes, waiting, sender, pinner },
      { sweepIntervalMs: settings.sweepMs, maxClaim: settings.claimRows },
    );
    this.#spans = new ResultSpans(tracing);
    this.#sessionResults = new SessionResults(
      { store, hints, spans: this.#spans },
      { maxBatchRows: settings.resultBatchRows, maxQueued: MAX_QUEUED_RESULTS },
    );
    const offsets = new StoredOffsetsView(store.offsets, bus?.resultPartitions ?? 0);
    this.#offsets = offsets;
    const config = sessionConfig(settings);
    this.sessions = new SessionService({ ...deps, roster, results: this.#sessionResults, offsets }, config);
    const { sessions } = this;
    this.#loops = [
      pinner,
      new Beats({ ...deps, sessions, roster, offsets }, config),
      new StopSender({ ...deps, sessions }, config),
      new DrainSender({ ...deps, sessions }, config),
      new AttemptWatch({ ...deps, sessions, roster, sender }, config),
      new Departures({ ...deps, sessions }),
    ];
  }

  async start(owners: PartitionOwners): Promise<void> {
    const { bus } = this.#deps;
    await this.#offsets.refresh();
    this.#dispatcher.start();
    for (const loop of this.#loops) loop.start();
    if (bus === null) return;
    this.#reader = new ResultReader(
      { ...this.#deps, bus, owners, spans: this.#spans },
      {
        maxBatchRows: this.#settings.resultBatchRows,
        backstopMs: this.#settings.resultBackstopMs,
        checkIntervalMs: TOPIC_CHECK_MS,
      },
    );
    this.#reader.onStored((partition) => this.#offsets.stored(partition));
    this.#reader.start();
  }

  /** Ends intake first, then sessions, then what stores their results. */
  async stop(): Promise<void> {
    await this.submitter.stop();
    await this.#dispatcher.stop();
    await this.sessions.stop();
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await this.#reader?.stop();
    await this.#sessionResults.stop();
    this.#sender.stop();
  }
}

function sessionConfig(settings: SchedulerSettings): SessionConfig {
  return {
    ...sessionDefaults,
    schedulerId: settings.schedulerId,
    heartbeatIntervalMs: settings.heartbeatMs,
    suspectMs: settings.suspectMs,
    leaseTtlMs: settings.leaseMs,
    keylessLeaseTtlMs: settings.sessionLeaseMs,
    reportDelayMs: settings.reportDelayMs,
    killGraceMs: settings.killGraceMs,
  };
}
