import { resolve } from "node:path";
import type { DevConfig } from "../common/config/process-settings.ts";
import type { ExecutorId, Incarnation } from "../common/domain/identifier.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Random } from "../common/port/random.ts";
import type { Store } from "../common/port/store.ts";
import type { Logger } from "../common/runtime/log.ts";
import { type Metrics, silentMetrics } from "../common/telemetry/metrics.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";
import { beatGapMsOf, executorDefaults } from "../executor/config.ts";
import { Executor } from "../executor/executor.ts";
import { lockFolder } from "../executor/lock.ts";
import { Secrets } from "../executor/secrets.ts";
import { Spawner } from "../executor/spawner/spawner.ts";
import { SystemSpawnerHost } from "../executor/spawner/system-spawner-host.ts";
import { AddressGuard } from "../executor/target/address-guard.ts";
import { allowedEnvironment, DEFAULT_ALLOWED_ENVIRONMENT } from "../executor/target/command-environment.ts";
import { CommandRunner } from "../executor/target/command-runner.ts";
import { filledRunners } from "../executor/target/filled-runner.ts";
import { GrpcRunner } from "../executor/target/grpc.ts";
import { httpRunner } from "../executor/target/http-runner.ts";
import type { TargetRunner } from "../executor/target-runner.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import { inProcessSession } from "../scheduler/sessions/in-process-session.ts";
import { VERSION } from "./version.ts";

/** Identifier of the executor inside `jobmesh dev`, where none is set. */
const EMBEDDED_ID = "embedded";
/** Bytes of output that one attempt may write. */
const MAX_OUTPUT_BYTES = 8 * 1024 * 1024;

/** The executor inside `jobmesh dev`, before and after its start. */
export type EmbeddedExecutor = {
  readonly executorId: ExecutorId;
  /** Takes work from the scheduler in this process. */
  start(scheduler: Pick<Scheduler, "connect">, metrics?: Metrics): Promise<void>;
  stop(): Promise<void>;
  /** Lets go of the data folder. */
  close(): Promise<void>;
};

/** Typed handlers of this process, beside its commands. */
export type EmbeddedHandlers = {
  readonly runners: readonly TargetRunner[];
  /** Descriptor sets of the handlers by their hash. */
  descriptorSet(hash: string): Uint8Array | undefined;
};

/** What it needs. */
export type EmbeddedDeps = {
  readonly store: Pick<Store, "kind" | "executors">;
  readonly clock: Clock;
  readonly random: Random;
  readonly tracing: Tracing;
  readonly log: Logger;
};

const noHandlers: EmbeddedHandlers = { runners: [], descriptorSet: () => undefined };

/**
 * Takes the data folder for an executor in this process. It lives as long as
 * its process, so it is not judged by heartbeats and does not fence itself
 * (rule 14); what an earlier process left running is killed at the start.
 */
export async function openEmbeddedExecutor(
  config: DevConfig,
  deps: EmbeddedDeps,
  handlers: EmbeddedHandlers = noHandlers,
): Promise<EmbeddedExecutor> {
  const dataDir = resolve(config.dataDir);
  const executorId = (config.executorId ?? EMBEDDED_ID) as ExecutorId;
  const lock = await lockFolder(dataDir, executorId, deps.random);
  const host = new SystemSpawnerHost(dataDir);
  const spawner = config.allowCommands ? new Spawner({ ...deps, host }, { silenceMs: null }) : null;
  const environment = allowedEnvironment(process.env, DEFAULT_ALLOWED_ENVIRONMENT);
  const commandConfig = { environment, killGraceMs: config.killGraceMs, maxOutputBytes: MAX_OUTPUT_BYTES };
  const secrets = new Secrets({ folder: config.secretsDir, environment: process.env });
  let executor: Executor | null = null;
  return {
    executorId,
    start: async (scheduler, metrics = silentMetrics) => {
      const before = await leftIn(deps.store, executorId);
      executor = new Executor(
        {
          ...deps,
          metrics,
          connector: {
            open: async () => {
              const { peer, link } = inProcessSession();
              scheduler.connect(peer);
              return link;
            },
            close: () => {},
          },
          bus: null,
          registry: null,
          runners: filledRunners(
            [
              ...handlers.runners,
              ...(spawner === null ? [] : [new CommandRunner(spawner, commandConfig)]),
              ...(config.allowGrpc ? [new GrpcRunner({ ...deps, guard: new AddressGuard(config), secrets })] : []),
              ...(config.allowHttp ? [httpRunner(config, { ...deps, version: VERSION })] : []),
            ],
            { ...deps, secrets },
          ),
          commands: spawner,
          lock: { ...lock, previous: before ?? lock.previous },
          descriptorSet: (hash) => handlers.descriptorSet(hash),
          exitProcess: (why) => {
            deps.log.error({ why }, "the process ends: an attempt does not");
            process.exit(1);
          },
        },
        {
          ...executorDefaults,
          executorId,
          version: VERSION,
          slots: config.slots,
          beatGapMs: beatGapMsOf(config.slots),
          labels: config.labels,
          namespaces: config.namespaces,
          lane: 0,
          selfFencing: false,
          drainSoftMs: config.stopGraceMs,
        },
      );
      await executor.start();
      await executor.welcomed;
    },
    stop: async () => executor?.stop(config.stopGraceMs),
    close: () => lock.release(),
  };
}

/**
 * Rule 23: the incarnation that an earlier process left in the data file. One
 * process has the file at a time, so whoever was the executor inside it is
 * dead, also where the folder's lock cannot tell: the machine was started anew.
 */
async function leftIn({ kind, executors }: EmbeddedDeps["store"], executorId: ExecutorId): Promise<Incarnation | null> {
  if (kind !== "sqlite") return null;
  return (await executors.live()).find((record) => record.executorId === executorId)?.incarnation ?? null;
}
