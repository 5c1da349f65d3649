import type { ExecutorBus } from "../common/port/bus.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Random } from "../common/port/random.ts";
import type { Registry } from "../common/port/registry.ts";
import type { Logger } from "../common/runtime/log.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";
import type { ProcessLoad } from "./beats.ts";
import type { FolderLock } from "./lock.ts";
import type { SessionConnector } from "./session-link.ts";
import type { TargetRunner } from "./target-runner.ts";

/** What the executor asks of the process that runs its commands; a Spawner is one. */
export interface CommandHost {
  /** Kills what an earlier process left, then gets ready (rule 22). */
  start(): Promise<void>;
  stop(): Promise<void>;
  setSilence(silenceMs: number): void;
  setFence(monotonicMs: number | null): void;
}

/** What an Executor needs. */
export interface ExecutorDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly tracing: Tracing;
  /** Nobody reads them when it is left out. */
  readonly metrics?: Metrics;
  readonly connector: SessionConnector;
  /** null for one that works by its session alone. Started and stopped by the executor. */
  readonly bus: ExecutorBus | null;
  /** null without etcd. Started and stopped by whoever hands it in. */
  readonly registry: Registry | null;
  /** What it can run, in the order of its capabilities. */
  readonly runners: readonly TargetRunner[];
  /** null where no commands run. Started and stopped by the executor. */
  readonly commands: CommandHost | null;
  /** null where somebody else holds the data folder, or there is none. Released by the executor. */
  readonly lock: FolderLock | null;
  /** Descriptor sets of the handlers by their hash. */
  descriptorSet(hash: string): Uint8Array | undefined;
  /** How loaded the process is; measured when it is left out. */
  readonly load?: () => ProcessLoad;
  /** Ends the process: a handler does not settle. Only a main can do that. */
  exitProcess(why: string): void;
}
