/**
 * Rules 27, 28 and 34 on the topics themselves: result.v1 and execution.v1 keep
 * at least seven days and dispatch.v1 an hour, all take messages of 2 MiB.
 * Missing topics are made so; those that are there are checked at each start,
 * and one that would lose work is refused.
 */
import kafkajs, { type Admin } from "kafkajs";
import { JobmeshError } from "../../error/jobmesh-error.ts";
import type { Clock } from "../../port/clock.ts";
import type { Logger } from "../../runtime/log.ts";
import { type KafkaBusConfig, MAX_MESSAGE_BYTES } from "./config.ts";
import { kafkaErrorTypes } from "./fault.ts";

const HOUR_MS = 3_600_000;
const DISPATCH_RETENTION_MS = HOUR_MS;
const RESULT_RETENTION_MS = 7 * 24 * HOUR_MS;
const EXECUTION_RETENTION_MS = 7 * 24 * HOUR_MS;
/** How long the broker may take to make a topic and choose its leaders. */
const CREATE_TIMEOUT_MS = 8_000;
/** Between two looks at whether all leaders are chosen. */
const LEADER_POLL_MS = 25;

/** A topic as it has to be. */
export type TopicPlan = {
  readonly name: string;
  readonly partitions: number;
  readonly replication: number;
  readonly retentionMs: number;
};

/** Topic of the lanes: "CLUSTER.dispatch.v1". */
export function dispatchTopic({ cluster, lanes, replication }: KafkaBusConfig): TopicPlan {
  return { name: `${cluster}.dispatch.v1`, partitions: lanes, replication, retentionMs: DISPATCH_RETENTION_MS };
}

/** Topic of the results: "CLUSTER.result.v1". */
export function resultTopic({ cluster, resultPartitions, replication }: KafkaBusConfig): TopicPlan {
  const name = `${cluster}.result.v1`;
  return { name, partitions: resultPartitions, replication, retentionMs: RESULT_RETENTION_MS };
}

/** Topic of state changes: "CLUSTER.execution.v1", with as many partitions as the results have. */
export function executionTopic({ cluster, resultPartitions, replication }: KafkaBusConfig): TopicPlan {
  const name = `${cluster}.execution.v1`;
  return { name, partitions: resultPartitions, replication, retentionMs: EXECUTION_RETENTION_MS };
}

/** Makes the topics that are missing and checks the others. Throws BACKEND_UNSUITABLE with every fault found. */
export async function ensureTopics(
  admin: Admin,
  plans: readonly TopicPlan[],
  deps: { readonly clock: Clock; readonly log: Logger },
): Promise<void> {
  const there = new Set(await admin.listTopics());
  for (const plan of plans) if (!there.has(plan.name)) await create(admin, plan, deps.log);
  const partitions = await countPartitions(admin, plans, deps.clock);
  const faults = await findFaults(admin, plans, partitions);
  if (faults.length === 0) return;
  throw new JobmeshError("BACKEND_UNSUITABLE", { message: faults.join("; "), metadata: { backend: "kafka" } });
}

/**
 * Records carry the broker's time and not the producer's: what is compared with
 * the store's clock, and when a record may be deleted, must not hang on the
 * clock of the executor that wrote it.
 */
async function create(admin: Admin, plan: TopicPlan, log: Logger): Promise<void> {
  const { name, partitions, replication, retentionMs } = plan;
  const configEntries = [
    { name: "cleanup.policy", value: "delete" },
    { name: "retention.ms", value: String(retentionMs) },
    { name: "max.message.bytes", value: String(MAX_MESSAGE_BYTES) },
    { name: "message.timestamp.type", value: "LogAppendTime" },
  ];
  const topic = { topic: name, numPartitions: partitions, replicationFactor: replication, configEntries };
  try {
    const made = await admin.createTopics({ topics: [topic], waitForLeaders: false, timeout: CREATE_TIMEOUT_MS });
    if (made) log.info({ topic: name, partitions, replication }, "the topic was made");
  } catch (thrown) {
    if (!kafkaErrorTypes(thrown).includes("INVALID_REPLICATION_FACTOR")) throw thrown;
    const message = `topic ${name}: ${replication} replicas are wanted and there are fewer brokers`;
    throw new JobmeshError("BACKEND_UNSUITABLE", { message, metadata: { backend: "kafka" }, cause: thrown });
  }
}

/**
 * A topic that was just made, by us or by another process, is unknown to the
 * broker's metadata for a moment, longer with many partitions, and then without
 * leaders; kafkajs gives up on it at once.
 */
async function countPartitions(
  admin: Admin,
  plans: readonly TopicPlan[],
  clock: Clock,
): Promise<ReadonlyMap<string, number>> {
  const untilMs = clock.monotonicMs() + CREATE_TIMEOUT_MS;
  for (;;) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: plans.map(({ name }) => name) });
      const isLed = topics.every(({ partitions }) => partitions.every(({ leader }) => leader >= 0));
      if (isLed || clock.monotonicMs() >= untilMs) {
        return new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
      }
    } catch (thrown) {
      const isYoung = kafkaErrorTypes(thrown).some((type) => YOUNG_TOPIC_ERRORS.has(type));
      if (!isYoung || clock.monotonicMs() >= untilMs) throw thrown;
    }
    await clock.sleep(LEADER_POLL_MS);
  }
}

const YOUNG_TOPIC_ERRORS = new Set(["UNKNOWN_TOPIC_OR_PARTITION", "LEADER_NOT_AVAILABLE"]);

async function findFaults(
  admin: Admin,
  plans: readonly TopicPlan[],
  partitions: ReadonlyMap<string, number>,
): Promise<string[]> {
  const resources = plans.map(({ name }) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name }));
  const described = await admin.describeConfigs({ resources, includeSynonyms: false });
  return plans.flatMap((plan) => {
    const entries = described.resources.find(({ resourceName }) => resourceName === plan.name)?.configEntries ?? [];
    const config = new Map(entries.map((entry) => [entry.configName, entry.configValue]));
    return topicFaults(plan, partitions.get(plan.name) ?? 0, config);
  });
}

/** What of a topic would lose work, each with the value and what is needed. */
export function topicFaults(plan: TopicPlan, partitions: number, config: ReadonlyMap<string, string>): string[] {
  const faults: string[] = [];
  const fault = (name: string, value: string | number, needed: string): void => {
    faults.push(`topic ${plan.name}: ${name} is ${value}, ${needed} is needed`);
  };
  if (partitions < plan.partitions) fault("its number of partitions", partitions, `at least ${plan.partitions}`);
  const retentionMs = Number(config.get("retention.ms") ?? -1);
  if (retentionMs >= 0 && retentionMs < plan.retentionMs) {
    fault("retention.ms", retentionMs, `at least ${plan.retentionMs}`);
  }
  const messageBytes = Number(config.get("max.message.bytes") ?? MAX_MESSAGE_BYTES);
  if (messageBytes < MAX_MESSAGE_BYTES) fault("max.message.bytes", messageBytes, `at least ${MAX_MESSAGE_BYTES}`);
  const policy = config.get("cleanup.policy") ?? "delete";
  if (policy.includes("compact")) fault("cleanup.policy", policy, "delete");
  return faults;
}
