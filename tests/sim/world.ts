/** A whole simulated mesh, from its seed: what is around it, its schedulers, its executors. */

import { executorDefaults } from "../../services/executor/config.ts";
import { SCHEDULER_NAME } from "../../services/scheduler/membership.ts";
import { schedulerSettings } from "../support/scheduler-settings.ts";
import { SimEtcd } from "./etcd.ts";
import { ExecutorNode, type ExecutorSetup } from "./executor-node.ts";
import { History } from "./history.ts";
import { SimKafka } from "./kafka.ts";
import { Network } from "./network.ts";
import { Machine, registryAt, type Surroundings, simLogger } from "./node-parts.ts";
import type { SimProcess } from "./process.ts";
import { SeededRandom } from "./random.ts";
import { OutsideRecord, SimTracing } from "./record.ts";
import type { RowChange } from "./row-changes.ts";
import { Rpc } from "./rpc.ts";
import { SchedulerNode } from "./scheduler-node.ts";
import { SimStore } from "./store.ts";
import { Timeline } from "./timeline.ts";

/** A fire that is later was missed: outages are shorter here than the 15 s of the settings. */
export const MISSED_MS = 4_000;

/** Values of the executors' label "zone". */
export const ZONES: readonly string[] = ["a", "b"];

/** Part of the seeds in which schedulers write execution.v1, drawn from a sequence of its own. */
const EVENTS_SHARE = 0.15;

/** How a world is made. */
export type WorldOptions = {
  readonly seed: number;
  readonly schedulers: number;
  readonly executors: number;
  /** Takes each line of the history; null when nobody reads it. */
  readonly write: ((line: string) => void) | null;
};

/** Who hears of what the mesh does. */
export type WorldEvents = {
  committed(process: string, name: string, changes: readonly RowChange[]): void;
  /** A process answered, or ended, with an error that nobody foresaw. */
  bug(who: string, error: unknown): void;
};

/** World is everything of one run. */
export class World {
  readonly around: Surroundings;
  readonly schedulers: readonly SchedulerNode[];
  readonly executors: readonly ExecutorNode[];
  /** Second processes under the name of an executor; none has anything to do. */
  readonly twins: ExecutorNode[] = [];
  #isHaunted = false;

  private constructor(around: Surroundings, schedulers: readonly SchedulerNode[], executors: readonly ExecutorNode[]) {
    this.around = around;
    this.schedulers = schedulers;
    this.executors = executors;
  }

  /** Makes a world in which nothing runs yet. */
  static async make(options: WorldOptions, events: WorldEvents): Promise<World> {
    const random = new SeededRandom(`jobmesh ${options.seed}`);
    const timeline = new Timeline();
    const history = new History(timeline, options.write);
    const network = new Network(timeline, random.branch("network"));
    const rpc = new Rpc(network, (who, error) => events.bug(who, error));
    const clock = new Machine("store", { timeline, random }).process();
    const store = await SimStore.open(clock, network, random.branch("store"), {
      committed: (process, name, changes) => events.committed(process, name, changes),
      kill: (process, why) => killed(history, process, why),
    });
    const kafka = new SimKafka(network, random.branch("kafka"), 2);
    const etcd = new SimEtcd(timeline, network);
    const tracing = new SimTracing(random.branch("tracing"));
    const record = new OutsideRecord(timeline, history);
    const around = { timeline, history, random, network, rpc, store, kafka, etcd, tracing, record };
    const settings = {
      ...schedulerSettings,
      sessionLeaseMs: 12_000,
      killGraceMs: 3_000,
      missedMs: MISSED_MS,
      // In few seeds, which have their limits from a sequence of their own.
      ...(random.branch("waiting limit").chance(0.2) ? { maxWaitingExecutions: 20 } : {}),
      executionEvents: random.branch("execution topic writers").chance(EVENTS_SHARE),
      // Where sweeps are rare, work that waits is found by hints alone within a second.
      sweepMs: random.branch("settings").pick([250, 1_000, 2_500]) ?? 250,
    };
    if (settings.executionEvents) kafka.executions.open(timeline, random.branch("execution topic"), history);
    const schedulers = Array.from(
      { length: options.schedulers },
      (_, at) => new SchedulerNode(`s${at + 1}`, around, settings),
    );
    const executors = Array.from(
      { length: options.executors },
      (_, at) => new ExecutorNode(`e${at + 1}`, around, setupOf(at, random)),
    );
    return new World(around, schedulers, executors);
  }

  /** An executor, or a twin, by the name of its machine. */
  executor(name: string): ExecutorNode | undefined {
    return [...this.executors, ...this.twins].find((node) => node.name === name);
  }

  /** Another process, on another machine, under an executor's name. */
  twinOf(node: ExecutorNode): ExecutorNode {
    const twin = new ExecutorNode(`t${this.twins.length + 1}`, this.around, node.setup);
    this.twins.push(twin);
    return twin;
  }

  /**
   * A scheduler that does nothing any more while something keeps its key in etcd, for the rest of the run: what would
   * be its share is somebody else's to do.
   */
  async haunt(): Promise<void> {
    if (this.#isHaunted) return;
    this.#isHaunted = true;
    const { around } = this;
    const place = { process: new Machine("ghost", around).process(), machine: "ghost" };
    const registry = registryAt(place, around, simLogger(around.history, place.process));
    await registry.start();
    const metadata = { version: "1", startUs: "0", store: "true" };
    // A name that owns one of the result partitions by rendezvous.
    await registry.register({ name: SCHEDULER_NAME, instance: "s4", address: "ghost", metadata }, 5_000);
  }

  /** Starts everything. */
  start(): void {
    for (const node of [...this.schedulers, ...this.executors]) node.start();
  }
}

function killed(history: History, process: SimProcess, why: string): void {
  history.note(process.name, `dies ${why}`);
  process.kill();
}

function setupOf(at: number, random: SeededRandom): ExecutorSetup {
  const own = random.branch(`executor ${at}`);
  const slots = 1 + own.below(4);
  const bounds = own.branch("bounds");
  return {
    executorId: `x${at + 1}`,
    config: {
      slots,
      killGraceMs: 3_000,
      // Small bounds, so that they are reached.
      rememberMs: bounds.chance(0.5) ? 10_000 : 100,
      maxKeptResults: bounds.chance(0.6) ? executorDefaults.maxKeptResults : slots + bounds.below(4),
      maxKeptReturns: bounds.chance(0.7) ? executorDefaults.maxKeptReturns : 1 + bounds.below(3),
      drainSoftMs: 4_000,
      drainHardMs: 4_000,
      maxRememberedKeys: own.chance(0.5) ? 1 + bounds.below(5) : 1_000,
      // Each zone has an executor.
      labels: { zone: ZONES[at] ?? random.branch(`zone ${at}`).pick(ZONES) ?? "" },
    },
    withoutKafka: own.chance(0.25),
    withoutEtcd: own.chance(0.15),
  };
}
