import type { SchedulerConfig } from "../common/config/process-settings.ts";
import type { SchedulerBus } from "../common/port/bus.ts";
import type { Clock } from "../common/port/clock.ts";
import type { Random } from "../common/port/random.ts";
import type { Registry } from "../common/port/registry.ts";
import type { Logger } from "../common/runtime/log.ts";
import { kafkaSecurity } from "../common/security/kafka-security.ts";
import { etcdSecurity } from "../common/security/link-security.ts";

/** etcd, loaded only where it is used. */
export async function openRegistry(
  config: Pick<SchedulerConfig, "etcdEndpoints" | "etcdCa" | "etcdCert" | "etcdKey" | "cluster">,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): Promise<Registry> {
  const { openEtcdRegistry } = await import("../common/adapter/etcd/open-registry.ts");
  const { etcdEndpoints, cluster } = config;
  return openEtcdRegistry(deps, { endpoints: etcdEndpoints ?? [], cluster, tls: etcdSecurity(config) });
}

/** Kafka as a scheduler uses it, loaded only where it is used. */
export async function openBus(
  config: SchedulerConfig,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): Promise<SchedulerBus> {
  const { KafkaSchedulerBus } = await import("../common/adapter/kafka/scheduler-bus.ts");
  const { kafkaBusConfig } = await import("../common/adapter/kafka/config.ts");
  const given = {
    brokers: config.kafkaBrokers ?? [],
    security: kafkaSecurity(config),
    cluster: config.cluster,
    // A group of its own for each process: the offsets that count are the store's.
    member: `scheduler-${Buffer.from(deps.random.bytes(6)).toString("hex")}`,
    lanes: config.laneCount,
    resultPartitions: config.resultPartitionCount,
    executionEvents: config.executionEvents,
    replication: config.kafkaReplication,
  };
  return new KafkaSchedulerBus(deps, kafkaBusConfig(given));
}
