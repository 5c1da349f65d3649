import assert from "node:assert/strict";
import type { Random } from "../../../services/common/port/random.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import type { CommandResult, RunningCommand } from "../../../services/executor/spawner/command-spec.ts";
import { Spawner, type SpawnerConfig } from "../../../services/executor/spawner/spawner.ts";
import { type CommandPlan, commandLine } from "../../sim/command.ts";
import { SimMachine } from "../../sim/machine.ts";
import { MachineTime, SimProcess } from "../../sim/process.ts";
import { Timeline } from "../../sim/timeline.ts";

export const SILENCE_MS = 4_000;
export const GRACE_MS = 2_000;

/** An executor as far as its commands go: a process and its spawner's production side. */
export interface SimExecutor {
  readonly process: SimProcess;
  readonly spawner: Spawner;
  /** Runs a command; its number is its execution's id. */
  run(plan: Partial<CommandPlan>, timeoutMs?: number): RunningCommand;
}

/** A machine in virtual time, from a seed. */
export class Setup {
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly machine: SimMachine;
  /** What commands did, as "started 3" and "signaled 3". */
  readonly history: string[] = [];
  readonly #time = new MachineTime(this.timeline, 1.0003, 0);
  #executors = 0;
  #commands = 0;

  constructor(seed = 1) {
    this.random = seededRandom(seed);
    this.machine = new SimMachine("machine", {
      timeline: this.timeline,
      time: this.#time,
      random: this.random,
      drawDelayMs: () => this.random.unit() * 2,
      record: {
        started: ({ executionId }) => this.history.push(`started ${executionId}`),
        wrote: () => {},
        ended: ({ executionId, how }) => this.history.push(`${how} ${executionId}`),
      },
    });
  }

  /** A process of the executor, its spawner not started. */
  executor(config: SpawnerConfig = { silenceMs: SILENCE_MS }): SimExecutor {
    const process = new SimProcess(`executor-${++this.#executors}`, this.timeline, this.#time);
    const deps = { clock: process, random: this.random, log: silentLogger, host: this.machine.host(process) };
    const spawner = new Spawner(deps, config);
    const run = (plan: Partial<CommandPlan>, timeoutMs?: number): RunningCommand => {
      const env = { JOBMESH_EXECUTION_ID: String(++this.#commands), JOBMESH_ATTEMPT: "1" };
      const spec = { command: commandLine(plan), args: [], env, workingDirectory: "", killGraceMs: GRACE_MS };
      return spawner.run({ ...spec, timeoutMs }, { onOutput: () => {} });
    };
    return { process, spawner, run };
  }

  /** An executor whose spawner is ready. */
  async started(config?: SpawnerConfig): Promise<SimExecutor> {
    const executor = this.executor(config);
    await this.until(executor.spawner.start());
    return executor;
  }

  /** How a command ended. */
  result(command: RunningCommand): Promise<CommandResult> {
    return this.until(command.result);
  }

  /** Lets time pass until a promise has settled. */
  async until<Value>(promise: Promise<Value>, limitMs = 120_000): Promise<Value> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await this.timeline.runUntil(this.timeline.nowMs + limitMs, () => isSettled);
    assert.ok(isSettled, `nothing came in ${limitMs} ms`);
    return promise;
  }

  /** Lets time pass. */
  async pass(delayMs: number): Promise<void> {
    await this.timeline.runUntil(this.timeline.nowMs + delayMs, () => false);
  }

  /** Lets time pass until there are so many commands. */
  async untilRunning(count: number): Promise<void> {
    const isSo = (): boolean => this.machine.running.length === count;
    await this.timeline.runUntil(this.timeline.nowMs + 60_000, isSo);
    assert.ok(isSo(), `${this.machine.running.length} commands run instead of ${count}`);
  }
}

/** Randomness from a seed (mulberry32). */
function seededRandom(seed: number): Random {
  let state = seed;
  const unit = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const bytes = (count: number): Uint8Array => Uint8Array.from({ length: count }, () => unit() * 256);
  return { unit, bytes, fence: () => Buffer.from(bytes(8)).readBigUInt64LE() | 1n };
}
