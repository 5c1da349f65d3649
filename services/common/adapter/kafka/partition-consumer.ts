/**
 * Rules 27 and 29: reads given partitions of a topic from given offsets.
 * kafkajs reads as a member of a group only, so each reader has a group of its
 * own, whose one member gets the partitions; offsets are never committed, they
 * are set at each join. kafkajs' consumer can crash for good or hang, so it
 * lives until it crashes or the broker is silent for too long, and then another
 * one takes its place, in another group: in the old one it would wait for the
 * dead member. It subscribes from the beginning, because an offset that the
 * topic does not have would otherwise be taken for its end (rule 27). Groups
 * are deleted when the reader stops (rule 29).
 */
import type { Consumer, EachBatchPayload, KafkaMessage } from "kafkajs";
import { BusUnavailable } from "../../port/bus.ts";
import type { Clock } from "../../port/clock.ts";
import type { Logger } from "../../runtime/log.ts";
import type { KafkaSecurity } from "../../security/kafka-security.ts";
import { KafkaClient, RETRY } from "./client.ts";
import { faultText } from "./fault.ts";
import { ownPartitions } from "./own-partitions.ts";
import type { Questions } from "./questions.ts";

/** What a reader needs. */
export type PartitionConsumerDeps = {
  readonly clock: Clock;
  readonly log: Logger;
  readonly questions: Questions;
  /** Called before each consumer but the first: the topics may be gone. */
  readonly prepare: () => Promise<void>;
};

/** Where and how it reads. */
export type PartitionConsumerConfig = {
  readonly brokers: readonly string[];
  readonly security?: KafkaSecurity | undefined;
  readonly topic: string;
  readonly partitions: readonly number[];
  /** First part of its groups' names. */
  readonly groupPrefix: string;
  /** Longest that the broker holds an empty fetch open. */
  readonly waitMs: number;
  readonly silenceMs: number;
  readonly stuckMs: number;
  readonly stopTimeoutMs: number;
};

/** Whom it reads for. Neither may throw. */
export type PartitionSink = {
  /** Where each partition is fetched from; null for one that is not read. Asked at each join. */
  fetchOffset(partition: number): number | null;
  /** Records that were fetched, in order. Must return at once: the next fetch waits for it. */
  take(partition: number, messages: readonly KafkaMessage[]): void;
};

/** Before another consumer is made. */
const RESTART_MS = 250;
/** Between two looks at whether the broker is silent. */
const WATCH_MS = 500;
const REQUEST_TIMEOUT_MS = 5_000;
/** Values of kafkajs' group: a member that is gone is noticed by these. */
const GROUP_TIMES = { heartbeatInterval: 700, sessionTimeout: 10_000, rebalanceTimeout: 15_000 } as const;
const MAX_BYTES_PER_PARTITION = 1024 * 1024;
const MAX_FETCH_BYTES = 8 * 1024 * 1024;

/** PartitionConsumer keeps one consumer alive. */
export class PartitionConsumer {
  readonly #deps: PartitionConsumerDeps;
  readonly #config: PartitionConsumerConfig;
  readonly #sink: PartitionSink;
  readonly #stopping = new AbortController();
  readonly #firstJoin = Promise.withResolvers<void>();
  readonly #groups: string[] = [];
  #running: Promise<void> | null = null;
  /** The one that has joined. */
  #joined: Consumer | null = null;
  #answeredMs = Number.NEGATIVE_INFINITY;
  #fault = "it was not reached yet";
  #wasAway = false;
  #hasStarted = false;
  /** Whether the last consumer told the broker that it leaves. */
  #leftInOrder = false;

  constructor(deps: PartitionConsumerDeps, config: PartitionConsumerConfig, sink: PartitionSink) {
    this.#deps = deps;
    this.#config = config;
    this.#sink = sink;
    // Nobody may wait for it.
    this.#firstJoin.promise.catch(() => {});
  }

  /** Resolves when it has joined and stands at its positions; rejects with BusUnavailable when it is stopped before. */
  start(): Promise<void> {
    this.#running ??= this.#run();
    return this.#firstJoin.promise;
  }

  /** Why nothing is read; "" when all is well. */
  get trouble(): string {
    if (this.#joined === null) return this.#fault;
    const silentMs = this.#deps.clock.monotonicMs() - this.#answeredMs;
    return silentMs > this.#config.silenceMs ? `it has not answered for ${Math.round(silentMs)} ms` : "";
  }

  /** Reads a partition from an offset on; records of it that were fetched before are not handed over any more. */
  seek(partition: number, offset: number): void {
    const { topic } = this.#config;
    this.#touch((consumer) => {
      consumer.seek({ topic, partition, offset: String(offset) });
      consumer.resume([{ topic, partitions: [partition] }]);
    });
  }

  /** Fetches a partition no further. */
  pause(partition: number): void {
    this.#touch((consumer) => consumer.pause([{ topic: this.#config.topic, partitions: [partition] }]));
  }

  /** Fetches a partition on from where it was paused. */
  resume(partition: number): void {
    this.#touch((consumer) => consumer.resume([{ topic: this.#config.topic, partitions: [partition] }]));
  }

  /** Leaves, and deletes its groups as far as the broker is there. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#firstJoin.reject(new BusUnavailable("the bus was stopped"));
    await this.#running;
    if (this.#groups.length === 0 || !this.#leftInOrder) return;
    await this.#deps.questions
      .ask((admin) => admin.deleteGroups(this.#groups.splice(0)))
      .catch((err: unknown) => this.#deps.log.debug({ err }, "a group was not deleted; the broker does it in time"));
  }

  async #run(): Promise<void> {
    for (let life = 1; !this.#stopping.signal.aborted; life++) {
      this.#fault = await this.#live(life);
      this.#joined = null;
      if (this.#stopping.signal.aborted) return;
      this.#tellHealth();
      await this.#deps.clock.sleep(RESTART_MS, this.#stopping.signal);
    }
  }

  /** The life of one consumer. Gives why it ended. */
  async #live(life: number): Promise<string> {
    const { brokers, security, groupPrefix, topic, partitions, waitMs } = this.#config;
    const groupId = `${groupPrefix}.${life}`;
    const client = new KafkaClient(this.#deps, {
      brokers,
      security,
      clientId: groupId,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    });
    const consumer = client.kafka.consumer({
      groupId,
      partitionAssigners: [ownPartitions(topic, partitions)],
      ...GROUP_TIMES,
      metadataMaxAge: 30_000,
      minBytes: 1,
      maxBytes: MAX_FETCH_BYTES,
      maxBytesPerPartition: MAX_BYTES_PER_PARTITION,
      maxWaitTimeInMs: waitMs,
      allowAutoTopicCreation: false,
      // Lives are ours: kafkajs' own restart cannot be stopped while it is under way.
      retry: { ...RETRY, restartOnFailure: async () => false },
    });
    const ended = Promise.withResolvers<string>();
    this.#listen(consumer, ended.resolve);
    const unwatch = this.#watch(() => ended.resolve("it has not answered for long; connecting anew"));
    const stop = (): void => ended.resolve("the bus was stopped");
    this.#stopping.signal.addEventListener("abort", stop, { once: true });
    const opened = this.#open(consumer, groupId, life).catch((thrown: unknown) => ended.resolve(faultText(thrown)));
    const fault = await ended.promise;
    this.#stopping.signal.removeEventListener("abort", stop);
    unwatch();
    await this.#close(consumer, client, opened);
    return fault;
  }

  async #open(consumer: Consumer, groupId: string, life: number): Promise<void> {
    if (life > 1) await this.#deps.prepare();
    await consumer.connect();
    await consumer.subscribe({ topic: this.#config.topic, fromBeginning: true });
    this.#groups.push(groupId);
    await consumer.run({ autoCommit: false, eachBatch: (payload) => this.#take(payload) });
  }

  #listen(consumer: Consumer, end: (fault: string) => void): void {
    const { CRASH, GROUP_JOIN, REQUEST } = consumer.events;
    consumer.on(REQUEST, () => {
      this.#answeredMs = this.#deps.clock.monotonicMs();
    });
    consumer.on(CRASH, ({ payload }) => end(faultText(payload.error)));
    consumer.on(GROUP_JOIN, () => {
      if (this.#stopping.signal.aborted) return;
      this.#joined = consumer;
      this.#answeredMs = this.#deps.clock.monotonicMs();
      this.#position(consumer);
      this.#firstJoin.resolve();
      this.#hasStarted = true;
      this.#tellHealth();
    });
  }

  /** kafkajs forgets positions at each join; what is set here is used by the first fetch after it. */
  #position(consumer: Consumer): void {
    const { topic, partitions } = this.#config;
    const unread = partitions.filter((partition) => this.#sink.fetchOffset(partition) === null);
    consumer.pause([{ topic, partitions: unread }]);
    for (const partition of partitions) {
      const offset = this.#sink.fetchOffset(partition);
      if (offset !== null) this.seek(partition, offset);
    }
  }

  async #take({ batch, isStale }: EachBatchPayload): Promise<void> {
    // A seek came after the fetch: what it brought is from the old position.
    if (this.#joined === null || isStale()) return;
    this.#sink.take(batch.partition, batch.messages);
  }

  /** What is asked of a consumer that is just crashing is lost, and set again when the next one joins. */
  #touch(act: (consumer: Consumer) => void): void {
    if (this.#joined === null) return;
    try {
      act(this.#joined);
    } catch (err) {
      this.#deps.log.debug({ err }, "the consumer is ending");
    }
  }

  /** Looks now and then whether the broker is silent for too long; gives what ends that. */
  #watch(stuck: () => void): () => void {
    const { clock } = this.#deps;
    const sinceMs = clock.monotonicMs();
    const look = (): void => {
      this.#tellHealth();
      if (clock.monotonicMs() - Math.max(sinceMs, this.#answeredMs) > this.#config.stuckMs) stuck();
      timer = clock.setTimer(WATCH_MS, look);
    };
    let timer = clock.setTimer(WATCH_MS, look);
    return () => timer.cancel();
  }

  /** Logs that the broker went away and that it came back, once each. What goes wrong before, start throws. */
  #tellHealth(): void {
    const { trouble } = this;
    const isAway = trouble !== "";
    if (isAway === this.#wasAway || !this.#hasStarted) return;
    this.#wasAway = isAway;
    const { topic } = this.#config;
    if (isAway) this.#deps.log.warn({ topic, detail: trouble }, "Kafka is away");
    else this.#deps.log.info({ topic }, "Kafka is back");
  }

  /** Leaves the group where that is possible; then cuts what is left. */
  async #close(consumer: Consumer, client: KafkaClient, opened: Promise<void>): Promise<void> {
    const hasJoined = this.#joined === consumer;
    this.#joined = null;
    if (!hasJoined) client.cut();
    const disconnected = await client.close(this.#config.stopTimeoutMs, async () => {
      await opened;
      await consumer.disconnect();
    });
    this.#leftInOrder = hasJoined && disconnected;
  }
}
