import type { Producer, ProducerBatch, RecordMetadata } from "kafkajs";
import { BusUnavailable } from "../../port/bus.ts";
import type { Clock } from "../../port/clock.ts";
import type { Logger } from "../../runtime/log.ts";
import { RecordsRefused } from "./batcher.ts";
import { type ClientOptions, KafkaClient, RETRY } from "./client.ts";
import { faultText, kafkaErrorTypes } from "./fault.ts";
import type { OutgoingRecord } from "./records.ts";

/** What a RecordProducer needs. */
export type RecordProducerDeps = { readonly clock: Clock; readonly log: Logger };

/** How a RecordProducer connects. */
export type RecordProducerConfig = Pick<ClientOptions, "brokers" | "security" | "clientId">;

type Connection = { readonly client: KafkaClient; readonly producer: Producer; readonly ready: Promise<void> };

/** How long one answer may take; and one batch with its tries, after which its connections are cut. */
const REQUEST_TIMEOUT_MS = 2_000;
const BATCH_TIMEOUT_MS = 5_000;
/** How long the broker may wait for its replicas. */
const REPLICAS_TIMEOUT_MS = 1_500;
const CLOSE_TIMEOUT_MS = 1_000;

/** Errors of Kafka that are about the records and not about the broker. */
const REFUSALS = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD", "CORRUPT_MESSAGE"]);

/**
 * RecordProducer sends batches with acks from all. After a batch that failed it
 * connects anew for the next one: kafkajs' producer does not get over every
 * kind of outage by itself, and a new one always does.
 */
export class RecordProducer {
  readonly #deps: RecordProducerDeps;
  readonly #config: RecordProducerConfig;
  #connection: Connection | null = null;
  #closed = false;

  constructor(deps: RecordProducerDeps, config: RecordProducerConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  /** Connects ahead of the first batch. Throws when there is no broker. */
  async connect(): Promise<void> {
    await this.#use(async () => {});
  }

  /** Sends records in their order; gives the offset of each. */
  send(records: readonly OutgoingRecord[]): Promise<readonly number[]> {
    return this.#use(async (producer) => offsetsOf(records, await producer.sendBatch(batchOf(records))));
  }

  /** Disconnects for good; connections that hang are cut. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#disconnect();
  }

  async #use<T>(use: (producer: Producer) => Promise<T>): Promise<T> {
    if (this.#closed) throw new BusUnavailable("the bus is stopped");
    this.#connection ??= this.#open();
    const { client, producer, ready } = this.#connection;
    try {
      return await client.use(BATCH_TIMEOUT_MS, () => ready.then(() => use(producer)));
    } catch (thrown) {
      const isRefused = kafkaErrorTypes(thrown).some((type) => REFUSALS.has(type));
      if (isRefused) throw new RecordsRefused(faultText(thrown), { cause: thrown });
      await this.#disconnect();
      throw thrown;
    }
  }

  async #disconnect(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    if (connection === null) return;
    const { client, producer, ready } = connection;
    await client.close(CLOSE_TIMEOUT_MS, () => ready.then(() => producer.disconnect()));
  }

  #open(): Connection {
    const client = new KafkaClient(this.#deps, { ...this.#config, requestTimeoutMs: REQUEST_TIMEOUT_MS });
    const producer = client.kafka.producer({
      createPartitioner: () => partitionOfMessage,
      allowAutoTopicCreation: false,
      metadataMaxAge: 30_000,
      retry: RETRY,
    });
    return { client, producer, ready: producer.connect() };
  }
}

/** Every record names its partition. */
function partitionOfMessage({ message }: { readonly message: { readonly partition?: number } }): number {
  return message.partition ?? 0;
}

function batchOf(records: readonly OutgoingRecord[]): ProducerBatch {
  const topics = new Map<string, OutgoingRecord[]>();
  for (const record of records) {
    const own = topics.get(record.topic);
    if (own === undefined) topics.set(record.topic, [record]);
    else own.push(record);
  }
  const topicMessages = [...topics].map(([topic, messages]) => ({ topic, messages }));
  return { acks: -1, timeout: REPLICAS_TIMEOUT_MS, topicMessages };
}

/** The broker tells the first offset of each partition; its records follow one another. */
function offsetsOf(records: readonly OutgoingRecord[], written: readonly RecordMetadata[]): number[] {
  const next = new Map<string, number>();
  for (const { topicName, partition, baseOffset } of written) next.set(`${partition}/${topicName}`, Number(baseOffset));
  return records.map(({ topic, partition }) => {
    const place = `${partition}/${topic}`;
    const offset = next.get(place);
    if (offset === undefined || Number.isNaN(offset)) throw new Error(`the broker named no offset for ${topic}`);
    next.set(place, offset + 1);
    return offset;
  });
}
