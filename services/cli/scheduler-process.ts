import { hostname } from "node:os";
import { PeerServiceService } from "../../gen/jobmesh/v1/peer_service.ts";
import type { etcdTls, kafkaUse } from "../common/config/backend-settings.ts";
import { isLoopback, parseHostPort } from "../common/config/listen-address.ts";
import type { SchedulerConfig } from "../common/config/process-settings.ts";
import type { ExecutorId, SchedulerId } from "../common/domain/identifier.ts";
import { JobmeshError } from "../common/error/jobmesh-error.ts";
import type { SchedulerBus } from "../common/port/bus.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Random } from "../common/port/random.ts";
import type { Registry } from "../common/port/registry.ts";
import type { Store } from "../common/port/store.ts";
import { Health } from "../common/rpc/health.ts";
import { Reflection, readContractDescriptors } from "../common/rpc/reflection.ts";
import { RpcChannel } from "../common/rpc/rpc-channel.ts";
import { RpcServer } from "../common/rpc/rpc-server.ts";
import { HttpServer } from "../common/runtime/http-server.ts";
import type { Logger } from "../common/runtime/log.ts";
import { type ChannelSecurity, channelSecurity, listenerSecurity } from "../common/security/link-security.ts";
import { createMetrics } from "../common/telemetry/create-metrics.ts";
import type { Metrics } from "../common/telemetry/metrics.ts";
import { showProcess } from "../common/telemetry/process-metrics.ts";
import type { Tracing } from "../common/telemetry/tracing.ts";
import type { OpenLink } from "../scheduler/peers/peer-links.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import type { StopStack } from "./stop-stack.ts";
import { VERSION } from "./version.ts";

/** Settings that a scheduler reads, in its own process or in the embedded mesh. */
export type SchedulerProcessConfig = Omit<
  SchedulerConfig,
  | "schedulerId"
  | "tlsServerName"
  | "kafkaBrokers"
  | "etcdEndpoints"
  | keyof typeof etcdTls
  | keyof typeof kafkaUse
  | "laneCount"
  | "resultPartitionCount"
  | "kafkaReplication"
> & {
  readonly schedulerId: string;
  /** For whoever has peers. */
  readonly tlsServerName?: string | null;
};

/** What a scheduler is composed of, already started. */
export type SchedulerParts = {
  readonly store: Store;
  readonly bus: SchedulerBus | null;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly tracing: Tracing;
  readonly log: Logger;
  /** The executor in this process; null when there is none. */
  readonly embeddedExecutor: ExecutorId | null;
};

/** A scheduler that serves. */
export type ServingScheduler = {
  readonly scheduler: Scheduler;
  /** Those of this process. */
  readonly metrics: Metrics;
  /** Address of the gRPC services. */
  readonly address: string;
  /** Address of /metrics, /healthz and /readyz. */
  readonly httpAddress: string;
  /** Says that it takes no more work: first of all when the process stops. */
  leave(): void;
};

/**
 * Serves a scheduler: gRPC with health and reflection, and HTTP for probes and
 * scrapers. Parts are noted in `stops` as they start: health goes first, then
 * intake, then the loops.
 */
export async function serveScheduler(
  parts: SchedulerParts,
  config: SchedulerProcessConfig,
  stops: StopStack,
): Promise<ServingScheduler> {
  const { log, clock, tracing } = parts;
  const schedulerId = config.schedulerId as SchedulerId;
  const metrics = await openMetrics(schedulerId, stops);
  const scheduler = new Scheduler(
    { ...parts, metrics, openPeer: openPeer(parts, channelSecurity(config)) },
    { ...config, schedulerId, version: VERSION, embeddedExecutor: parts.embeddedExecutor },
  );
  const security = listenerSecurity(config);
  const server = new RpcServer({ log, clock, tracing, metrics }, { ...config, security });
  for (const { definition, handlers } of scheduler.services()) server.addService(definition, handlers);
  const health = new Health();
  health.addTo(server);
  new Reflection([await readContractDescriptors()]).addTo(server);

  const { address } = await server.start().catch(namingSetting("--listen"));
  stops.add("scheduler", () => scheduler.stop());
  stops.add("grpc server", () => server.stop(config.stopGraceMs));
  const httpAddress = await serveHttp(scheduler, config, { log, metrics, stops });
  await scheduler.start(config.advertise ?? address);
  health.setAll("SERVING");
  const leave = (): void => health.setAll("NOT_SERVING");
  stops.add("health", leave);
  return { scheduler, metrics, address, httpAddress, leave };
}

async function openMetrics(schedulerId: SchedulerId, stops: StopStack): Promise<Metrics> {
  const named = { serviceName: "jobmesh-scheduler", instanceId: schedulerId, version: VERSION };
  const metrics = await createMetrics(named);
  stops.add("metrics", () => metrics.stop());
  stops.add("process metrics", showProcess(metrics));
  return metrics;
}

async function serveHttp(
  scheduler: Scheduler,
  config: SchedulerProcessConfig,
  parts: { readonly log: Logger; readonly metrics: Metrics; readonly stops: StopStack },
): Promise<string> {
  const { metrics } = parts;
  const http = new HttpServer(
    { log: parts.log, renderMetrics: () => metrics.render(), readiness: () => ({ store: scheduler.healthy() }) },
    { listen: config.httpListen, insecure: config.insecure, security: listenerSecurity(config) },
  );
  const { address } = await http.start().catch(namingSetting("--http-listen"));
  parts.stops.add("http server", () => http.stop());
  return address;
}

/** An address that cannot be listened on is named together with the setting that chooses another. */
function namingSetting(flag: string): (thrown: unknown) => never {
  return (thrown) => {
    const { reason, message, metadata } = JobmeshError.from(thrown);
    if (reason !== "ADDRESS_IN_USE" && reason !== "ADDRESS_UNUSABLE") throw thrown;
    throw new JobmeshError(reason, { message: `${message}; ${flag} HOST:PORT names another`, metadata, cause: thrown });
  };
}

function openPeer(deps: { readonly clock: Clock }, security: ChannelSecurity): OpenLink {
  return (address) => {
    const channel = new RpcChannel(deps, { target: address, security: withoutBareToken(security, address) });
    return { stream: channel.bidi(PeerServiceService.link), close: () => channel.close() };
  };
}

/** A peer's address is what etcd says: beyond loopback it gets no token in clear text, and refuses the link. */
function withoutBareToken(security: ChannelSecurity, address: string): ChannelSecurity {
  const host = parseHostPort(address)?.host;
  const isSafe = security.tls !== null || security.insecure || (host !== undefined && isLoopback(host));
  return isSafe ? security : { ...security, token: null };
}

/** Unique in the mesh, and tells a person where to look. */
export function newSchedulerId(random: Random): string {
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, "-")
    .slice(0, 40);
  return `${host}-${Buffer.from(random.bytes(4)).toString("hex")}`;
}
