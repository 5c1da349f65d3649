/** One run of the simulation: a mesh, its load and its faults, a time of rest, and the verdict. */
import { Checkers } from "./checkers.ts";
import { ExecutorCheckers } from "./executor-checkers.ts";
import type { ExecutorNode } from "./executor-node.ts";
import type { FaultKind } from "./fault-profile.ts";
import { Faults } from "./faults.ts";
import { checkFollowed, unheard } from "./feed-checks.ts";
import { HeldCheckers } from "./held-checkers.ts";
import {
  checkDrained,
  checkEnded,
  checkFireCounts,
  checkFires,
  checkHistory,
  checkLetGo,
  checkRows,
  checkTold,
  checkTraces,
  type RestingMesh,
  unended,
} from "./last-checks.ts";
import { Load } from "./load.ts";
import { checkMeshTime, type LooksAtHome } from "./mesh-time-check.ts";
import { PinCheckers } from "./pin-checkers.ts";
import { checkKafka, checkOutput, checkResent, unreadPartitions } from "./rest-checks.ts";
import type { RowChange } from "./row-changes.ts";
import { drawShape, type RunShape } from "./run-shape.ts";
import { UniqueChecks } from "./unique-checks.ts";
import { Broken, promise, type Verdict } from "./verdict.ts";
import { Watcher } from "./watcher.ts";
import { World } from "./world.ts";

/** How a run is made. */
export type RunOptions = {
  readonly seed: number;
  /** Load and faults end after so many events, if not before. */
  readonly steps?: number;
  readonly write?: (line: string) => void;
  /** Changes what the seed drew, for the shrinker. */
  readonly shape?: (drawn: RunShape) => RunShape;
};

/** What became of a run. */
export type RunReport = {
  readonly seed: number;
  readonly verdict: Verdict | null;
  readonly lastLines: readonly string[];
  readonly fingerprint: string;
  readonly shape: RunShape;
  readonly virtualMs: number;
  readonly executions: number;
  readonly runs: number;
  readonly faults: ReadonlyMap<FaultKind, number>;
};

/**
 * Once nothing is wrong any more everything has to end within this, or, where a queue is long, something has to end
 * within this time of the one before; and all of it in the second, virtual milliseconds. A job whose fires wait for one
 * another, and whose work ends by its timeout four times each, takes half a minute a fire.
 */
const REST_MS = 60_000;
const LONGEST_REST_MS = 3_600_000;
const WARM_UP_MS = 2_000;
/** What has come back is settled after this, and fires that had to wait for it are made. */
const SETTLE_MS = 8_000;
/** A topic that lost records is noticed within a minute, where nothing comes by it. */
const UNREAD_MS = 65_000;
/** Between two looks at the whole, in a dense run. */
const LOOK_MS = 5_000;
/** Within this, work takes every free slot of a mesh at rest: a second, and the time of a submission. */
const PROBE_MS = 1_200;

/** A watcher that finds no scheduler at once is told the last end within this; execution.v1 has it by then. */
const WATCH_MS = 15_000;

/** Two rounds of two beats each, and some time on the way; before they would be sent elsewhere. */
const RESEND_MS = 7_000;

/** Runs one seed. */
export async function run(options: RunOptions): Promise<RunReport> {
  const simulation = await Simulation.make(options);
  try {
    return await simulation.run();
  } finally {
    simulation.close();
  }
}

class Simulation {
  readonly #options: RunOptions;
  readonly #world: World;
  readonly #load: Load;
  readonly #faults: Faults;
  readonly #watcher: Watcher | null;
  readonly #checkers: Checkers;
  readonly #executorCheckers: ExecutorCheckers;
  readonly #heldCheckers: HeldCheckers;
  readonly #uniqueChecks: UniqueChecks;
  readonly #pinCheckers: PinCheckers;
  readonly #shape: RunShape;
  readonly #ended = new Map<unknown, string>();
  readonly #atHome: LooksAtHome = new Map();
  #verdict: Verdict | null = null;

  private constructor(options: RunOptions, world: World, judge: (look: () => void) => void) {
    this.#options = options;
    this.#world = world;
    const { random, record } = world.around;
    const drawn = drawShape(random);
    this.#shape = options.shape?.(drawn) ?? drawn;
    const addresses = world.schedulers.map(({ name }) => name);
    this.#load = new Load(world.around, this.#shape.load, addresses);
    this.#watcher = Watcher.of(world.around, addresses);
    this.#faults = new Faults(world, this.#shape.faults);
    this.#checkers = new Checkers(world.around, this.#load.told, (name) => world.executor(name));
    this.#executorCheckers = new ExecutorCheckers(world.around, () => [...world.executors, ...world.twins]);
    this.#heldCheckers = new HeldCheckers(
      world.around,
      this.#load.told,
      (name) => world.executor(name),
      (jobId, executionId) => this.#load.heard(jobId, executionId),
    );
    this.#uniqueChecks = new UniqueChecks(world.around, this.#load.told);
    this.#pinCheckers = new PinCheckers(world.around.store);
    for (const checkers of [this.#checkers, this.#executorCheckers, this.#heldCheckers]) {
      record.listeners.push({
        started: (one) => judge(() => checkers.started(one)),
        ended: (one) => judge(() => checkers.ended(one)),
      });
    }
  }

  static async make(options: RunOptions): Promise<Simulation> {
    let simulation: Simulation | null = null;
    const judge = (look: () => void): void => simulation?.judge(look);
    const world = await World.make(
      { seed: options.seed, schedulers: 3, executors: 4, write: options.write ?? null },
      {
        committed: (_process, name, changes: readonly RowChange[]) => judge(() => simulation?.committed(name, changes)),
        bug: (who, error) =>
          judge(() => promise("no error that nobody foresaw", false, () => `${who}: ${causeOf(error)}`)),
      },
    );
    simulation = new Simulation(options, world, judge);
    return simulation;
  }

  async run(): Promise<RunReport> {
    const { timeline } = this.#world.around;
    this.#world.start();
    this.#watcher?.start();
    await this.#until(WARM_UP_MS);
    this.#load.start();
    this.#faults.start();
    const { steps = Number.POSITIVE_INFINITY } = this.#options;
    const { stormMs, slowness } = this.#shape;
    const lookMs = LOOK_MS * slowness;
    for (let atMs = WARM_UP_MS; atMs < stormMs && timeline.events < steps; atMs += lookMs) {
      await this.#until(Math.min(atMs + lookMs, stormMs));
      await this.#look();
    }
    this.#faults.heal();
    this.#load.stop();
    this.#world.around.history.note("mesh", "nothing is wrong any more");
    await this.#rest(timeline.nowMs);
    if (this.#verdict === null) await this.#probe();
    return this.#report();
  }

  committed(name: string, changes: readonly RowChange[]): void {
    this.#checkers.committed(name, changes);
    this.#executorCheckers.committed(changes);
    this.#heldCheckers.committed(name, changes);
    this.#uniqueChecks.committed(changes);
    this.#pinCheckers.committed(name, changes);
  }

  /** Runs a look; the first promise that is broken ends the run. */
  judge(look: () => void): void {
    if (this.#verdict !== null) return;
    try {
      look();
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      this.#verdict = { checker: error.checker, what: error.message, atMs: this.#world.around.timeline.nowMs };
    }
  }

  close(): void {
    this.#world.around.store.close();
  }

  async #rest(fromMs: number): Promise<void> {
    const { timeline, record } = this.#world.around;
    const mesh = this.#mesh();
    // Some moments first, so that what has come back is settled.
    await this.#until(fromMs + SETTLE_MS);
    this.judge(() => checkFires(mesh));
    void this.#load.endSchedules();
    for (let atMs = fromMs + SETTLE_MS + 500; ; atMs += 500) {
      await this.#until(atMs);
      if (this.#verdict !== null) return;
      this.judge(() => checkResent(mesh, this.#executorCheckers.greetedMs));
      if (unended(mesh).length === 0 && this.#allHomed()) break;
      const progressMs = Math.max(fromMs, record.lastEndMs);
      if (timeline.nowMs > progressMs + REST_MS || timeline.nowMs > fromMs + LONGEST_REST_MS) break;
    }
    // Keys are remembered and results kept until a beat has told of them.
    await this.#until(timeline.nowMs + 3_000);
    if (unreadPartitions(mesh).length > 0) await this.#until(timeline.nowMs + UNREAD_MS);
    await this.#look();
    this.judge(() => checkEnded(mesh, timeline.nowMs - fromMs));
    this.judge(() => checkHistory(mesh));
    this.judge(() => checkLetGo(mesh));
    this.judge(() => checkDrained(mesh));
    this.judge(() => checkTraces(mesh));
    this.judge(() => checkOutput(mesh));
    this.judge(() => checkKafka(mesh));
    const untilMs = timeline.nowMs + WATCH_MS;
    while (unheard(mesh, this.#watcher).length > 0 && timeline.nowMs < untilMs) await this.#until(timeline.nowMs + 500);
    this.judge(() => checkFollowed(mesh, this.#watcher));
  }

  /** A mesh at rest takes as much work at once as it has slots. */
  async #probe(): Promise<void> {
    const { executors, around } = this.#world;
    const slots = executors.reduce((sum, node) => sum + (node.executor?.status.homed === true ? node.slots : 0), 0);
    const all = executors.reduce((sum, node) => sum + node.slots, 0);
    this.judge(() => promise("executors find a home", slots === all, () => `${slots} of ${all} slots are in the mesh`));
    const before = around.record.runs.length;
    const { returned } = this.#executorCheckers;
    for (let count = 0; count < slots; count++) void this.#load.submit(PROBE_MS * 2);
    await this.#until(around.timeline.nowMs + PROBE_MS);
    const taken = around.record.runs.length - before;
    this.judge(() => promise("every slot takes work", taken === slots, () => `${taken} of ${slots} slots took work`));
    await this.#until(around.timeline.nowMs + PROBE_MS * 3);
    await this.#probeResend(slots);
    const back = this.#executorCheckers.returned - returned;
    this.judge(() => promise("a mesh at rest hands nothing back", back === 0, () => `${back} attempts came back`));
  }

  /** Rule 19: orders that the dispatch topic loses come by the sessions. */
  async #probeResend(slots: number): Promise<void> {
    const { kafka, record, timeline } = this.#world.around;
    const before = record.runs.length;
    kafka.losesOrders = true;
    for (let count = 0; count < slots; count++) void this.#load.submit(RESEND_MS + PROBE_MS);
    await this.#until(timeline.nowMs + RESEND_MS);
    const taken = record.runs.length - before;
    this.judge(() => promise("lost orders are sent again", taken === slots, () => `${taken} of ${slots} came`));
  }

  #allHomed(): boolean {
    return this.#world.executors.every(({ executor }) => executor?.status.homed === true);
  }

  async #look(): Promise<void> {
    this.judge(() => checkTold(this.#mesh()));
    this.judge(() => checkFireCounts(this.#mesh()));
    this.judge(() => this.#uniqueChecks.checkTold());
    this.judge(() => this.#uniqueChecks.checkRefused());
    this.judge(() => checkMeshTime(this.#mesh(), this.#atHome));
    try {
      await checkRows(this.#mesh(), this.#ended);
    } catch (error) {
      this.judge(() => {
        throw error;
      });
    }
  }

  #mesh(): RestingMesh {
    const executors: readonly ExecutorNode[] = this.#world.executors;
    return { around: this.#world.around, told: this.#load.told, checkers: this.#checkers, executors };
  }

  async #until(atMs: number): Promise<void> {
    await this.#world.around.timeline.runUntil(atMs, () => this.#verdict !== null);
  }

  #report(): RunReport {
    const { history, timeline, record } = this.#world.around;
    return {
      seed: this.#options.seed,
      verdict: this.#verdict,
      lastLines: history.lastLines(),
      fingerprint: history.fingerprint(),
      shape: this.#shape,
      virtualMs: timeline.nowMs,
      executions: this.#checkers.seen.size,
      runs: record.runs.length,
      faults: this.#faults.made,
    };
  }
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}
