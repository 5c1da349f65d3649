/**
 * Rule 34: what is written to execution.v1 goes by a producer of its own, so
 * that a topic which takes nothing keeps no order waiting: orders and events
 * share no batch and no connection. After a batch that failed the topic is
 * looked at again before the next one, and made where it is gone.
 */
import kafkajs from "kafkajs";
import type { ExecutionChange } from "../../port/bus.ts";
import { Batcher, RecordsRefused } from "./batcher.ts";
import type { KafkaBusConfig } from "./config.ts";
import type { KafkaBusDeps } from "./link.ts";
import { RecordProducer } from "./producer.ts";
import { executionRecord, type OutgoingRecord } from "./records.ts";
import { executionTopic } from "./topics.ts";

/** ExecutionSender writes changes, each to the partition that Kafka's own clients choose for its execution_id. */
export class ExecutionSender {
  readonly #topic: string;
  readonly #producer: RecordProducer;
  readonly #batcher: Batcher;
  readonly #prepare: () => Promise<void>;
  readonly #partitionOf: (executionId: string) => number;
  #hasFailed = false;

  /** @param prepare makes the topic where it is missing */
  constructor(deps: KafkaBusDeps, config: KafkaBusConfig, prepare: () => Promise<void>) {
    const { cluster, member, brokers, security, resultPartitions } = config;
    this.#topic = executionTopic(config).name;
    this.#prepare = prepare;
    this.#partitionOf = keyPartitions(this.#topic, resultPartitions);
    this.#producer = new RecordProducer(deps, { brokers, security, clientId: `${cluster}.${member}.events` });
    this.#batcher = new Batcher(deps.clock, (records) => this.#write(records), config);
  }

  /** Connects ahead of the first change. */
  connect(): Promise<void> {
    return this.#producer.connect();
  }

  async send(change: ExecutionChange): Promise<void> {
    const partition = this.#partitionOf(change.execution.executionId);
    await this.#batcher.add(executionRecord(this.#topic, partition, change));
  }

  /** Waits for what is on its way, and disconnects. */
  async close(): Promise<void> {
    await this.#batcher.close();
    await this.#producer.close();
  }

  async #write(records: readonly OutgoingRecord[]): Promise<readonly number[]> {
    if (this.#hasFailed) await this.#prepare();
    this.#hasFailed = false;
    try {
      return await this.#producer.send(records);
    } catch (thrown) {
      this.#hasFailed = !(thrown instanceof RecordsRefused);
      throw thrown;
    }
  }
}

/** Which of so many partitions a key goes to, by murmur2 as in Kafka's Java client. */
function keyPartitions(topic: string, count: number): (key: string) => number {
  const choose = kafkajs.Partitioners.DefaultPartitioner();
  const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
    ...{ partitionErrorCode: 0, partitionId, leader: 0, replicas: [], isr: [] },
  }));
  return (key) => choose({ topic, partitionMetadata, message: { key, value: null } });
}
