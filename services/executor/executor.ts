import type { Incarnation } from "../common/domain/identifier.ts";
import type { WelcomeMessage } from "../common/domain/session.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import { silentMetrics } from "../common/telemetry/metrics.ts";
import { configFaults, type ExecutorConfig } from "./config.ts";
import type { ExecutorDeps } from "./executor-deps.ts";
import { showExecutor } from "./executor-metrics.ts";
import { ExecutorParts } from "./executor-parts.ts";

/** What an executor is doing now. */
export type ExecutorStatus = {
  readonly incarnation: Incarnation;
  readonly sessionNumber: number;
  /** True while a home has it. */
  readonly homed: boolean;
  readonly running: number;
  readonly heldSlots: number;
  readonly keptResults: number;
  readonly keptBytes: number;
  readonly outputBytes: number;
  readonly rememberedKeys: number;
  /** How far mesh time is ahead of this machine's clock (rule 12). */
  readonly meshOffsetMs: number;
};

/** Executor takes attempts, runs them and reports how they ended (design.md, "Life of an execution", 4 to 6). */
export class Executor {
  readonly #deps: ExecutorDeps;
  readonly #config: ExecutorConfig;
  readonly #parts: ExecutorParts;
  readonly #closing = new AbortController();
  readonly #welcomed = Promise.withResolvers<void>();
  readonly #left = Promise.withResolvers<void>();
  readonly #hide: () => void;
  #starting: Promise<void> | null = null;
  /** The start without what unwinds it. */
  #begun: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;
  #homing: Promise<void> = Promise.resolve();
  #started = false;
  /** Asked to stop by its own process. */
  #isAsked = false;

  /** Throws JobmeshError CONFIG_INVALID with every fault of the config. */
  constructor(deps: ExecutorDeps, config: ExecutorConfig) {
    const faults = configFaults(config);
    if (faults.length > 0) throw new JobmeshError("CONFIG_INVALID", { message: faults.join("; ") });
    this.#deps = deps;
    this.#config = config;
    this.#parts = new ExecutorParts(deps, config, {
      onWelcome: (welcome) => this.#onWelcome(welcome),
      onDrain: (graceMs) => void this.#leave(graceMs ?? config.drainSoftMs),
    });
    this.#hide = showExecutor(deps.metrics ?? silentMetrics, () => this.status, config.slots);
  }

  /** What it is doing now. */
  get status(): ExecutorStatus {
    const { identity, conversation, attempts, slots, kept, output, known, mesh } = this.#parts;
    return {
      incarnation: identity.incarnation,
      sessionNumber: identity.sessionNumber,
      homed: conversation.homed,
      running: attempts.running.size,
      heldSlots: slots.held,
      keptResults: kept.count,
      keptBytes: kept.bytes,
      outputBytes: output.bytes,
      rememberedKeys: known.size,
      meshOffsetMs: (mesh.nowUs() - this.#deps.clock.wallUs()) / 1000,
    };
  }

  /** Resolves when a home has taken it for the first time. */
  get welcomed(): Promise<void> {
    return this.#welcomed.promise;
  }

  /** Resolves when it has left, by `stop` or because its home asked. */
  get left(): Promise<void> {
    return this.#left.promise;
  }

  /** Gets ready and begins to seek a home. A start that fails unwinds. */
  start(): Promise<void> {
    if (this.#starting === null) {
      this.#begun = this.#start();
      this.#starting = this.#unwinding(this.#begun);
    }
    return this.#starting;
  }

  /**
   * Leaves: takes no more work, lets attempts run for `softMs`, cuts off the
   * rest, hands its results over. A second call hurries the first; the first after a drain takes its grace for its own
   * where it is shorter.
   */
  stop(softMs: number = this.#config.drainSoftMs): Promise<void> {
    if (this.#isAsked) this.#parts.departure.hurry();
    this.#isAsked = true;
    return this.#leave(softMs);
  }

  /** A drain that comes again, from a later home, hurries nothing: the earliest end stands. */
  #leave(softMs: number): Promise<void> {
    this.#parts.departure.within(softMs);
    this.#stopping ??= this.#stop().finally(() => this.#left.resolve());
    return this.#stopping;
  }

  async #unwinding(begun: Promise<void>): Promise<void> {
    try {
      await begun;
    } catch (error) {
      this.#starting = null;
      await this.#leave(0);
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { commands, lock, log } = this.#deps;
    const { identity, lane, membership, homes } = this.#parts;
    const { executorId, incarnation } = identity;
    lock?.note(incarnation);
    // Rule 23: Hello is said after what an earlier process left is dead.
    await commands?.start();
    const { signal } = this.#closing;
    await Promise.all([lane?.start(this.#config.laneWaitMs, signal), membership?.start(incarnation, signal)]);
    const joined = lane?.joined ?? null;
    log.info({ executorId, incarnation, slots: this.#config.slots, lane: joined }, "executor started");
    this.#started = true;
    this.#homing = homes.run(signal);
  }

  async #stop(): Promise<void> {
    const { departure, rebirth, fence, watch, kept, membership, conversation, lane } = this.#parts;
    // A start that still waits for its backends need not go on with it. One that fails waits for this stop to unwind it.
    if (!this.#started) this.#closing.abort();
    await this.#begun?.catch(() => {});
    await departure.run();
    await rebirth.done;
    fence?.stop();
    watch.stop();
    kept.stop();
    await membership?.stop();
    await conversation.end();
    this.#closing.abort();
    await this.#homing;
    // A beat's answer that came while the conversation ended has armed it anew.
    fence?.stop();
    await lane?.stop();
    await this.#deps.commands?.stop();
    for (const runner of this.#deps.runners) runner.close?.();
    this.#deps.connector.close();
    await this.#deps.lock?.release();
    this.#hide();
    this.#deps.log.info({ executorId: this.#config.executorId }, "executor stopped");
  }

  #onWelcome(welcome: WelcomeMessage): void {
    const { commands, log } = this.#deps;
    const { identity, watch } = this.#parts;
    const { executorId, incarnation, sessionNumber } = identity;
    watch.reportDelayMs = welcome.reportDelayMs;
    if (this.#config.selfFencing) commands?.setSilence(welcome.leaseTtlMs - this.#config.marginMs);
    log.info({ executorId, incarnation, sessionNumber, schedulerId: welcome.schedulerId }, "a home took the executor");
    watch.reportAgain();
    this.#welcomed.resolve();
  }
}
