import type { KafkaSecurity } from "../../security/kafka-security.ts";

/** Settings of both ends of the Kafka bus. Times in milliseconds, sizes in bytes. */
export type KafkaBusConfig = {
  /** "host:port" of brokers; the others are learned from them. */
  readonly brokers: readonly string[];
  /** TLS and user; neither when left out. */
  readonly security?: KafkaSecurity | undefined;
  /** First part of the names of topics and groups. */
  readonly cluster: string;
  /** Names this process: its scheduler_id, or executor_id and incarnation. Part of its groups' names. */
  readonly member: string;
  /** Partitions of the dispatch topic. */
  readonly lanes: number;
  /** Partitions of the result topic. */
  readonly resultPartitions: number;
  /** The execution topic is made, checked and written. */
  readonly executionEvents: boolean;
  /** Replicas of topics that are made. */
  readonly replication: number;
  /** A record that is not known to be there after this rejects; what becomes of it later is ignored. */
  readonly sendTimeoutMs: number;
  /** Silence of the broker after which the bus says that it is away. */
  readonly silenceMs: number;
  /** Silence after which a consumer that believes itself well is replaced. */
  readonly stuckMs: number;
  /** Longest that start may take before it rejects. */
  readonly startTimeoutMs: number;
  /** Longest that an orderly leave may take before its connections are cut. */
  readonly stopTimeoutMs: number;
  /** Longest that a question to the broker may take. */
  readonly askTimeoutMs: number;
  /** Longest that the broker holds an empty fetch of results open; a seek waits for it. */
  readonly resultWaitMs: number;
  /** The same for a lane, which never seeks. */
  readonly laneWaitMs: number;
  /** Records that may wait to be sent, those in flight among them. */
  readonly maxQueuedRecords: number;
  /** Their size. */
  readonly maxQueuedBytes: number;
  /** Records of one batch. */
  readonly maxBatchRecords: number;
  /** Size of one batch over all partitions. */
  readonly maxBatchBytes: number;
  /** Results handed to the handler at once. */
  readonly maxDelivered: number;
  /** Results of a partition that wait for the handler, beyond which it is fetched no further. */
  readonly maxWaitingBytes: number;
};

/** What a KafkaBusConfig is where nothing else is said. */
export const kafkaBusDefaults = {
  cluster: "jobmesh",
  lanes: 256,
  resultPartitions: 16,
  executionEvents: false,
  replication: 1,
  sendTimeoutMs: 1_000,
  silenceMs: 2_000,
  stuckMs: 10_000,
  startTimeoutMs: 30_000,
  stopTimeoutMs: 2_000,
  askTimeoutMs: 5_000,
  resultWaitMs: 200,
  laneWaitMs: 500,
  maxQueuedRecords: 100_000,
  maxQueuedBytes: 64 * 1024 * 1024,
  maxBatchRecords: 10_000,
  maxBatchBytes: 8 * 1024 * 1024,
  maxDelivered: 1_000,
  maxWaitingBytes: 1024 * 1024,
} as const satisfies Partial<KafkaBusConfig>;

/** The defaults with what is said. */
export function kafkaBusConfig(
  given: Pick<KafkaBusConfig, "brokers" | "member"> & Partial<KafkaBusConfig>,
): KafkaBusConfig {
  return { ...kafkaBusDefaults, ...given };
}

/** Rule 28: bytes of one partition in a batch; a larger record travels alone. */
export const MAX_PARTITION_BATCH_BYTES = 900 * 1024;
/** Rule 28: max.message.bytes of both topics. */
export const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;
/** A batch's own head, and room for what Kafka adds. */
const BATCH_HEAD_BYTES = 1_024;
/** The largest record that the topics take. */
export const MAX_RECORD_BYTES = MAX_MESSAGE_BYTES - BATCH_HEAD_BYTES;
