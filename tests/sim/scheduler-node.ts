/** A scheduler of a simulated mesh: the production Scheduler in a process that dies and comes back. */
import { PeerServiceService } from "../../gen/jobmesh/v1/peer_service.ts";
import { startBus } from "../../services/cli/late-bus.ts";
import type { SchedulerId } from "../../services/common/domain/identifier.ts";
import type { Registry } from "../../services/common/port/registry.ts";
import { Scheduler } from "../../services/scheduler/scheduler.ts";
import type { SchedulerSettings } from "../../services/scheduler/scheduler-config.ts";
import { SimSchedulerBus } from "./kafka-ends.ts";
import { Machine, registryAt, type Surroundings, simLogger } from "./node-parts.ts";
import type { SimProcess } from "./process.ts";

/** A supervisor starts a process again that ended by itself, after so long. */
const RESTART_MS = 1_000;

/** SchedulerNode is where one scheduler runs, again and again. */
export class SchedulerNode {
  readonly name: string;
  readonly machine: Machine;
  readonly #around: Surroundings;
  readonly #settings: Omit<SchedulerSettings, "schedulerId">;
  #process: SimProcess | null = null;
  #scheduler: Scheduler | null = null;
  #registry: Registry | null = null;
  #stopping = new AbortController();
  /** False while it is to stay stopped. */
  #isWanted = false;

  constructor(name: string, around: Surroundings, settings: Omit<SchedulerSettings, "schedulerId">) {
    this.name = name;
    this.machine = new Machine(name, around);
    this.#around = around;
    this.#settings = settings;
  }

  /** The process that runs now; null when none does. */
  get process(): SimProcess | null {
    return this.#process?.isAlive === true ? this.#process : null;
  }

  /** Starts a process; where one is being stopped, once that has left. */
  start(): void {
    this.#isWanted = true;
    if (this.process !== null) return;
    const process = this.machine.process();
    this.#process = process;
    // Whoever stops this process before it is ready has to find none, not the one of the process before.
    this.#scheduler = null;
    this.#registry = null;
    this.#stopping = new AbortController();
    this.#around.history.note(process.name, "starts");
    void this.#run(process).catch((error: unknown) => {
      this.#around.history.note(process.name, `could not start: ${String(error)}`);
      this.#endAndComeBack(process);
    });
  }

  /** SIGKILL, or the end of its power. */
  kill(silently = false): void {
    const { process } = this;
    if (process === null) return;
    this.#around.history.note(process.name, silently ? "loses power" : "is killed");
    process.kill(silently);
  }

  /** SIGTERM: leaves in order. */
  stop(): void {
    const { process } = this;
    const scheduler = this.#scheduler;
    if (process === null || scheduler === null) return this.kill();
    this.#isWanted = false;
    this.#around.history.note(process.name, "is asked to stop");
    process.happen(() => {
      this.#stopping.abort();
      void scheduler
        .stop()
        .then(() => this.#registry?.stop())
        .then(() => {
          process.kill();
          if (this.#isWanted) this.start();
        });
    });
  }

  async #run(process: SimProcess): Promise<void> {
    const around = this.#around;
    const place = { process, machine: this.name };
    const random = around.random.branch(process.name);
    const log = simLogger(around.history, process);
    const store = await around.store.connect(place, random);
    const registry = registryAt(place, around, log);
    await registry.start();
    const bus = new SimSchedulerBus(around.kafka, place);
    await startBus(bus, { clock: process, log }, this.#stopping.signal);
    const scheduler = new Scheduler(
      {
        ...{ store, bus, registry, clock: process, random, tracing: around.tracing, log },
        openPeer: (address) => {
          const stream = around.rpc.dial<never, never>(place, address, PeerServiceService.link);
          return { stream, close: () => stream.end() };
        },
      },
      { ...this.#settings, schedulerId: this.name as SchedulerId },
    );
    around.rpc.serve(this.name, { place, services: scheduler.services(), stopping: this.#stopping.signal });
    await scheduler.start(this.name);
    this.#scheduler = scheduler;
    this.#registry = registry;
    around.history.note(process.name, "is ready");
  }

  /** As a supervisor does. */
  #endAndComeBack(process: SimProcess): void {
    process.kill();
    this.#around.timeline.after(RESTART_MS, () => this.start());
  }
}
