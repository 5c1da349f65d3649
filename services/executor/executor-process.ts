import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import type { ExecutorConfig as ExecutorSettings } from "../common/config/process-settings.ts";
import type { ExecutorId } from "../common/domain/identifier.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { ExecutorBus } from "../common/port/bus.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Random } from "../common/port/random.ts";
import type { Registry } from "../common/port/registry.ts";
import { registerNameSource } from "../common/rpc/name-resolver.ts";
import { registryNames } from "../common/rpc/registry-names.ts";
import type { Logger } from "../common/runtime/log.ts";
import { kafkaSecurity } from "../common/security/kafka-security.ts";
import { channelSecurity, etcdSecurity } from "../common/security/link-security.ts";
import { beatGapMsOf, executorDefaults, placeOf } from "./config.ts";
import { Executor } from "./executor.ts";
import { keptExecutorId } from "./executor-id.ts";
import { type ExecutorTelemetry, openTelemetry } from "./executor-telemetry.ts";
import { type FolderLock, lockFolder } from "./lock.ts";
import { RpcConnector } from "./rpc-connector.ts";
import { Secrets } from "./secrets.ts";
import { DEFAULT_MAX_OUTPUT_BYTES } from "./spawner/command-spec.ts";
import { Spawner } from "./spawner/spawner.ts";
import { SystemSpawnerHost } from "./spawner/system-spawner-host.ts";
import { AddressGuard } from "./target/address-guard.ts";
import { allowedEnvironment, DEFAULT_ALLOWED_ENVIRONMENT } from "./target/command-environment.ts";
import { CommandRunner } from "./target/command-runner.ts";
import { filledRunners } from "./target/filled-runner.ts";
import { GrpcRunner } from "./target/grpc.ts";
import { type HandlerDefinition, HandlerRunner } from "./target/handler.ts";
import { httpRunner } from "./target/http-runner.ts";
import type { TargetRunner } from "./target-runner.ts";

/** What an executor process is composed of beside its settings. */
export interface ExecutorProcessParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly handlers: readonly HandlerDefinition[];
  /** Descriptor sets of the handlers by their hash. */
  readonly descriptorSets: ReadonlyMap<string, Uint8Array>;
  /** Version of the software, for people. */
  readonly version: string;
  /** Where schedulers are, in the order to try; the settings' one when empty. */
  readonly schedulers: readonly string[];
  exitProcess(why: string): void;
}

/** An executor that runs in this process on real backends. */
export type ExecutorProcess = {
  readonly executor: Executor;
  /** Leaves in order and lets go of everything; called again it hurries. */
  stop(): Promise<void>;
};

/** Scheduler where nothing else is said: the embedded mesh. */
const DEFAULT_SCHEDULER = "127.0.0.1:7070";
/** The same with etcd. */
const NAMED_SCHEDULER = "etcd:///scheduler";

/** Composes an executor by its settings and starts it. A start that fails lets go of everything. */
export async function startExecutorProcess(
  settings: ExecutorSettings,
  parts: ExecutorProcessParts,
): Promise<ExecutorProcess> {
  const dataDir = resolve(settings.dataDir);
  const executorId = ownId(settings, dataDir, parts.random);
  const lock = await lockFolder(dataDir, executorId, parts.random);
  let registry: OpenedRegistry | null = null;
  let telemetry: ExecutorTelemetry | null = null;
  try {
    telemetry = await openTelemetry(settings, parts, { executorId, version: parts.version });
    registry = await openRegistry(settings, parts);
    const bus = await openBus(settings, executorId, parts);
    const executor = newExecutor(settings, parts, {
      dataDir,
      executorId,
      lock,
      registry: registry?.registry ?? null,
      bus,
      telemetry,
    });
    await telemetry.serve(executor);
    await executor.start();
    // Its home may ask it to leave as well: what it held is let go of then.
    const left = executor.left.then(() => Promise.all([registry?.close(), telemetry?.stop()]));
    return {
      executor,
      stop: async () => {
        await executor.stop();
        await left;
      },
    };
  } catch (error) {
    await registry?.close();
    await telemetry?.stop();
    await lock.release();
    throw error;
  }
}

function ownId(settings: ExecutorSettings, dataDir: string, random: Random): ExecutorId {
  try {
    mkdirSync(dataDir, { recursive: true });
    return (settings.executorId as ExecutorId | null) ?? keptExecutorId(dataDir, random);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new JobmeshError("DATA_DIR_UNUSABLE", { message: `${dataDir} cannot be used: ${detail}`, cause });
  }
}

type OpenedRegistry = { readonly registry: Registry; close(): Promise<void> };

/** etcd, loaded only where it is used; from then on `etcd:///NAME` resolves by it. */
async function openRegistry(settings: ExecutorSettings, parts: ExecutorProcessParts): Promise<OpenedRegistry | null> {
  if (settings.etcdEndpoints === null) return null;
  const { openEtcdRegistry } = await import("../common/adapter/etcd/open-registry.ts");
  const { etcdEndpoints: endpoints, cluster } = settings;
  const registry = openEtcdRegistry(parts, { endpoints, cluster, tls: etcdSecurity(settings) });
  await registry.start();
  const unregister = registerNameSource(registryNames(registry));
  return {
    registry,
    close: async () => {
      unregister();
      await registry.stop();
    },
  };
}

/** Kafka, loaded only where it is used. */
async function openBus(
  settings: ExecutorSettings,
  executorId: ExecutorId,
  parts: ExecutorProcessParts,
): Promise<ExecutorBus | null> {
  if (settings.kafkaBrokers === null) return null;
  const { KafkaExecutorBus } = await import("../common/adapter/kafka/executor-bus.ts");
  const { kafkaBusConfig } = await import("../common/adapter/kafka/config.ts");
  const given = {
    brokers: settings.kafkaBrokers,
    security: kafkaSecurity(settings),
    cluster: settings.cluster,
    member: `${executorId}-${Buffer.from(parts.random.bytes(4)).toString("hex")}`,
    lanes: settings.laneCount,
    resultPartitions: settings.resultPartitionCount,
    replication: settings.kafkaReplication,
  };
  return new KafkaExecutorBus(parts, kafkaBusConfig(given));
}

type Opened = {
  readonly dataDir: string;
  readonly executorId: ExecutorId;
  readonly lock: FolderLock;
  readonly registry: Registry | null;
  readonly bus: ExecutorBus | null;
  readonly telemetry: ExecutorTelemetry;
};

function newExecutor(settings: ExecutorSettings, parts: ExecutorProcessParts, opened: Opened): Executor {
  const { clock, random, log } = parts;
  const { tracing, metrics } = opened.telemetry;
  const silenceMs = settings.leaseMs - settings.leaseMarginMs;
  const host = new SystemSpawnerHost(opened.dataDir);
  const spawner = settings.allowCommands ? new Spawner({ ...parts, host }, { silenceMs }) : null;
  return new Executor(
    {
      ...{ clock, random, log, tracing, metrics },
      connector: new RpcConnector(
        { clock },
        { targets: targetsOf(settings, parts), security: channelSecurity(settings) },
      ),
      bus: opened.bus,
      registry: opened.registry,
      runners: runnersOf(settings, parts, spawner),
      commands: spawner,
      lock: opened.lock,
      descriptorSet: (hash) => parts.descriptorSets.get(hash),
      exitProcess: (why) => parts.exitProcess(why),
    },
    {
      ...executorDefaults,
      executorId: opened.executorId,
      version: parts.version,
      slots: settings.slots,
      beatGapMs: beatGapMsOf(settings.slots),
      labels: settings.labels,
      namespaces: settings.namespaces,
      lane: placeOf(opened.executorId, settings.laneCount),
      marginMs: settings.leaseMarginMs,
      registryTtlMs: settings.leaseMs,
      homeSilenceMs: settings.suspectMs,
      killGraceMs: settings.killGraceMs,
      drainSoftMs: settings.stopGraceMs,
      drainHardMs: settings.killGraceMs + settings.leaseMarginMs,
      unsettledExitMs: settings.stuckHandlerMs,
      maxKeptBytes: settings.keptResultBytes,
      maxKeptResults: settings.keptResults,
      rememberMs: settings.rememberedMs,
      maxRememberedKeys: settings.rememberedKeys,
      maxUnackedOutputBytes: settings.unackedOutputBytes,
    },
  );
}

function targetsOf(settings: ExecutorSettings, parts: ExecutorProcessParts): readonly string[] {
  if (parts.schedulers.length > 0) return parts.schedulers;
  if (settings.scheduler !== null) return [settings.scheduler];
  return [settings.etcdEndpoints === null ? DEFAULT_SCHEDULER : NAMED_SCHEDULER];
}

function runnersOf(
  settings: ExecutorSettings,
  parts: ExecutorProcessParts,
  spawner: Spawner | null,
): readonly TargetRunner[] {
  const runners: TargetRunner[] = parts.handlers.map((definition) => new HandlerRunner(parts.clock, definition));
  const { clock } = parts;
  const secrets = new Secrets({ folder: settings.secretsDir, environment: process.env });
  if (settings.allowGrpc) runners.push(new GrpcRunner({ clock, guard: new AddressGuard(settings), secrets }));
  if (settings.allowHttp) runners.push(httpRunner(settings, parts));
  if (spawner === null) return filledRunners(runners, { clock, secrets });
  const environment = allowedEnvironment(process.env, DEFAULT_ALLOWED_ENVIRONMENT);
  const config = { environment, killGraceMs: settings.killGraceMs, maxOutputBytes: DEFAULT_MAX_OUTPUT_BYTES };
  return filledRunners([new CommandRunner(spawner, config), ...runners], { clock, secrets });
}
