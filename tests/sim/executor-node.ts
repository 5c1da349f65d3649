/** An executor of a simulated mesh: the production Executor in a process that dies and comes back, with its data folder. */

import type { ExecutorId, Incarnation } from "../../services/common/domain/identifier.ts";
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import type { Member, Registry } from "../../services/common/port/registry.ts";
import { sessionMethod } from "../../services/common/wire/session-method.ts";
import { type ExecutorConfig, executorDefaults } from "../../services/executor/config.ts";
import { Executor } from "../../services/executor/executor.ts";
import type { FolderLock } from "../../services/executor/lock.ts";
import type { RunningAttempt } from "../../services/executor/running-attempt.ts";
import { Secrets } from "../../services/executor/secrets.ts";
import type { SessionConnector } from "../../services/executor/session-link.ts";
import { Spawner } from "../../services/executor/spawner/spawner.ts";
import { StreamLink } from "../../services/executor/stream-link.ts";
import { CommandRunner } from "../../services/executor/target/command-runner.ts";
import { filledRunners } from "../../services/executor/target/filled-runner.ts";
import { HandlerRunner } from "../../services/executor/target/handler.ts";
import { SimExecutorBus } from "./kafka-ends.ts";
import { SimMachine } from "./machine.ts";
import { meshErrorMs } from "./mesh-time-check.ts";
import { Machine, registryAt, type Surroundings, simLogger } from "./node-parts.ts";
import type { SimProcess } from "./process.ts";
import type { Run } from "./record.ts";
import type { Place } from "./stream.ts";
import { descriptorSet, simHandler } from "./work.ts";

/** How an executor is set up. */
export type ExecutorSetup = {
  readonly executorId: string;
  readonly config: Partial<ExecutorConfig>;
  /** Works by its session alone. */
  readonly withoutKafka: boolean;
  /** Keeps no key in etcd. */
  readonly withoutEtcd: boolean;
};

/** What of its data folder outlives the process. */
type Folder = {
  holder: { readonly incarnation: Incarnation; readonly boot: number } | null;
  lockedBy: SimProcess | null;
};

/** A supervisor starts a process again that ended by itself, after so long. */
const RESTART_MS = 1_000;

/** Tells when a command is asked for: its executor has then decided that its time has come. */
class WatchedCommands extends CommandRunner {
  readonly #onRun: (attempt: RunningAttempt) => void;

  constructor(onRun: (attempt: RunningAttempt) => void, ...own: ConstructorParameters<typeof CommandRunner>) {
    super(...own);
    this.#onRun = onRun;
  }

  override run(attempt: RunningAttempt): ReturnType<CommandRunner["run"]> {
    this.#onRun(attempt);
    return super.run(attempt);
  }
}

/** ExecutorNode is where one executor runs, again and again. */
export class ExecutorNode {
  readonly name: string;
  readonly setup: ExecutorSetup;
  readonly machine: Machine;
  /** Its operating system, on which its commands run. */
  readonly system: SimMachine;
  readonly #around: Surroundings;
  /** Commands that run, by their process. */
  readonly #commands = new Map<number, Run>();
  /** How far off mesh time was when a command was last asked for, by execution. */
  readonly #askedErrorMs = new Map<string, number>();
  readonly #folder: Folder = { holder: null, lockedBy: null };
  /** Its processes, by name. */
  readonly #processes = new Map<string, SimProcess>();
  /** Its spawner was killed or stood still. */
  hadSpawnerFaults = false;
  #boot = 1;
  #process: SimProcess | null = null;
  #executor: Executor | null = null;
  /** False while nobody starts it again. */
  #isWanted = true;

  constructor(name: string, around: Surroundings, setup: ExecutorSetup) {
    this.name = name;
    this.setup = setup;
    this.machine = new Machine(name, around);
    this.#around = around;
    const random = around.random.branch(`system ${name}`);
    this.system = new SimMachine(name, {
      timeline: around.timeline,
      time: this.machine.time,
      random,
      drawDelayMs: () => random.unit() * 2,
      record: {
        started: ({ executionId, attempt, pid }) => {
          const process = this.#process?.name ?? name;
          const askedErrorMs = this.#askedErrorMs.get(executionId) ?? 0;
          this.#commands.set(
            pid,
            around.record.start({ executionId, attempt, node: name, process, kind: "command", askedErrorMs }),
          );
        },
        wrote: ({ pid }, line) => this.#commands.get(pid)?.lines.push(line),
        ended: ({ pid, how, exitCode }) => {
          const run = this.#commands.get(pid);
          this.#commands.delete(pid);
          if (run !== undefined)
            around.record.end(run, how === "signaled" ? "stopped" : exitCode === 0 ? "succeeded" : "failed");
        },
      },
    });
  }

  /** The process that runs now; null when none does. */
  get process(): SimProcess | null {
    return this.#process?.isAlive === true ? this.#process : null;
  }

  /** The executor that runs now. */
  get executor(): Executor | null {
    return this.process === null ? null : this.#executor;
  }

  get slots(): number {
    return this.setup.config.slots ?? executorDefaults.slots;
  }

  get maxKeptResults(): number {
    return this.setup.config.maxKeptResults ?? executorDefaults.maxKeptResults;
  }

  /** Silence after which a spawner kills, at the longest. */
  get silenceMs(): number {
    return this.setup.withoutEtcd ? 12_000 : executorDefaults.registryTtlMs;
  }

  /** Whether one of its processes is dead. */
  isDead(process: string): boolean {
    return this.#processes.get(process)?.isAlive === false;
  }

  /** Since when one of its processes is dead or stands still; Infinity while it goes on. */
  silentSinceMs(process: string): number {
    return this.#processes.get(process)?.silentSinceMs ?? Number.POSITIVE_INFINITY;
  }

  #asked(executionId: string): void {
    this.#askedErrorMs.set(executionId, meshErrorMs(this, this.#around.store.nowUs()));
  }

  start(): void {
    this.#isWanted = true;
    if (this.process !== null) return;
    const process = this.machine.process();
    if (this.#folder.lockedBy?.isAlive === true) return this.#comeBack();
    this.#folder.lockedBy = process;
    this.#processes.set(process.name, process);
    this.#process = process;
    this.#executor = null;
    this.#around.history.note(process.name, `starts as ${this.setup.executorId}`);
    void this.#run(process).catch((error: unknown) => {
      this.#around.history.note(process.name, `could not start: ${String(error)}`);
      process.kill();
      this.#comeBack();
    });
  }

  /** SIGKILL, or the end of its machine's power, which is another boot. */
  kill(silently = false): void {
    const { process } = this;
    if (process !== null) this.#around.history.note(process.name, silently ? "loses power" : "is killed");
    process?.kill(silently);
    if (!silently) return;
    this.#boot++;
    this.system.reboot();
  }

  /** SIGTERM: drains, and nobody starts it again before `start`. */
  leave(): void {
    this.#isWanted = false;
    const { process, executor } = this;
    if (process === null || executor === null) return this.kill();
    this.#around.history.note(process.name, "is asked to leave");
    process.happen(() => void executor.stop());
  }

  async #run(process: SimProcess): Promise<void> {
    const around = this.#around;
    const place = { process, machine: this.name };
    const random = around.random.branch(process.name);
    const log = simLogger(around.history, process);
    const { withoutEtcd, withoutKafka, executorId, config } = this.setup;
    const registry = withoutEtcd ? null : registryAt(place, around, log);
    await registry?.start();
    const settings = { ...executorDefaults, ...config };
    const spawner = new Spawner(
      { clock: process, random, log, host: this.system.host(process) },
      { silenceMs: settings.registryTtlMs - settings.marginMs },
    );
    const exit = (how: string): void => {
      around.history.note(process.name, how);
      process.kill();
      this.#comeBack();
    };
    const executor = new Executor(
      {
        ...{ clock: process, random, log, tracing: around.tracing },
        connector: new SimConnector(around, place, registry),
        bus: withoutKafka ? null : new SimExecutorBus(around.kafka, place),
        registry,
        runners: filledRunners(
          [
            new WatchedCommands(({ order }) => this.#asked(order.key.executionId), spawner, {
              environment: {},
              killGraceMs: settings.killGraceMs,
              maxOutputBytes: 1_000_000,
            }),
            new HandlerRunner(
              process,
              simHandler(around.record, process, this.name, () => exit("crashes")),
            ),
          ],
          { clock: process, secrets: new Secrets({ folder: null, environment: {} }) },
        ),
        commands: spawner,
        lock: this.#lock(),
        descriptorSet,
        load: () => ({ cpuLoad: 0, memoryBytes: 0 }),
        exitProcess: (why) => exit(`exits: ${why}`),
      },
      { ...settings, executorId: executorId as ExecutorId, lane: laneOf(executorId) },
    );
    this.#executor = executor;
    void executor.left.then(async () => {
      await registry?.stop();
      exit("has left");
    });
    await executor.start();
  }

  #lock(): FolderLock {
    const folder = this.#folder;
    const boot = this.#boot;
    return {
      previous: folder.holder?.boot === boot ? folder.holder.incarnation : null,
      note: (incarnation) => {
        folder.holder = { incarnation, boot };
      },
      release: async () => {
        folder.lockedBy = null;
      },
    };
  }

  #comeBack(): void {
    this.#around.timeline.after(RESTART_MS, () => {
      if (this.#isWanted) this.start();
    });
  }
}

function laneOf(executorId: string): number {
  return (executorId.charCodeAt(executorId.length - 1) ?? 0) % 2;
}

/** Finds schedulers by etcd, or by their names where there is none, each in turn. */
class SimConnector implements SessionConnector {
  readonly #around: Surroundings;
  readonly #place: Place;
  #addresses: readonly string[] = ["s1", "s2", "s3"];
  #turn: number;
  #unwatch: () => void = () => {};

  constructor(around: Surroundings, place: Place, registry: Registry | null) {
    this.#around = around;
    this.#place = place;
    this.#turn = around.random.below(3);
    if (registry === null) return;
    this.#unwatch = registry.watch("scheduler", (members: readonly Member[]) => {
      this.#addresses = members.map(({ address }) => address);
    });
  }

  async open(): Promise<StreamLink> {
    const address = this.#addresses[this.#turn++ % Math.max(this.#addresses.length, 1)];
    if (address === undefined) throw new JobmeshError("PEER_UNAVAILABLE", { message: "no scheduler is known" });
    return new StreamLink(this.#around.rpc.dial(this.#place, address, sessionMethod));
  }

  close(): void {
    this.#unwatch();
  }
}
