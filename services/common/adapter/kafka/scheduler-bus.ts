import { assert } from "../../domain/assert.ts";
import type { DispatchOrder } from "../../domain/dispatch.ts";
import {
  BusUnavailable,
  type ExecutionChange,
  type Health,
  type PartitionBounds,
  type ResultRecord,
  type SchedulerBus,
} from "../../port/bus.ts";
import type { KafkaBusConfig } from "./config.ts";
import { ExecutionSender } from "./execution-sender.ts";
import { type KafkaBusDeps, KafkaLink } from "./link.ts";
import { PartitionConsumer } from "./partition-consumer.ts";
import { orderRecord } from "./records.ts";
import { ResultDelivery } from "./result-delivery.ts";
import { within } from "./start-limit.ts";
import { dispatchTopic, resultTopic } from "./topics.ts";

type Running = {
  readonly link: KafkaLink;
  readonly consumer: PartitionConsumer;
  /** null where execution.v1 is switched off. */
  readonly events: ExecutionSender | null;
};

/** A scheduler's end of the bus on Kafka. */
export class KafkaSchedulerBus implements SchedulerBus {
  readonly kind = "kafka";
  readonly resultPartitions: number;
  readonly #deps: KafkaBusDeps;
  readonly #config: KafkaBusConfig;
  readonly #delivery: ResultDelivery;
  readonly #dispatchTopic: string;
  readonly #resultTopic: string;
  #running: Running | null = null;

  constructor(deps: KafkaBusDeps, config: KafkaBusConfig) {
    this.#deps = deps;
    this.#config = config;
    this.resultPartitions = config.resultPartitions;
    this.#dispatchTopic = dispatchTopic(config).name;
    this.#resultTopic = resultTopic(config).name;
    this.#delivery = new ResultDelivery({ ...deps, fetch: () => this.#running?.consumer ?? noFetch }, config);
  }

  /** Rejects with BACKEND_UNSUITABLE, or BusUnavailable when Kafka is away; it can be called again then. */
  async start(): Promise<void> {
    if (this.#running !== null) return;
    const link = new KafkaLink(this.#deps, this.#config);
    const consumer = this.#consumer(link);
    const events = this.#config.executionEvents
      ? new ExecutionSender(this.#deps, this.#config, () => link.ensureTopics())
      : null;
    this.#running = { link, consumer, events };
    this.#delivery.open();
    try {
      await within(this.#deps.clock, this.#config.startTimeoutMs, async () => {
        await link.ensureTopics();
        await Promise.all([consumer.start(), link.connect(), events?.connect()]);
      });
    } catch (thrown) {
      await this.stop();
      throw thrown;
    }
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    if (running === null) return;
    this.#delivery.close();
    await Promise.all([running.consumer.stop(), running.events?.close()]);
    await running.link.close();
  }

  health(): Health {
    if (this.#running === null) return { healthy: false, message: "the bus is not started" };
    const trouble = this.#running.consumer.trouble || this.#running.link.batcher.trouble;
    return trouble === "" ? { healthy: true, message: "" } : { healthy: false, message: `Kafka: ${trouble}` };
  }

  async sendOrder(lane: number, order: DispatchOrder): Promise<void> {
    await this.#link().batcher.add(orderRecord(this.#dispatchTopic, lane, order));
  }

  async sendExecution(change: ExecutionChange): Promise<void> {
    assert(this.#config.executionEvents, "the topic is switched on");
    if (this.#running?.events == null) throw new BusUnavailable("the bus is not started");
    await this.#running.events.send(change);
  }

  readResults(positions: readonly { readonly partition: number; readonly offset: number }[]): void {
    this.#delivery.read(positions);
  }

  onResults(handler: (partition: number, records: readonly ResultRecord[]) => Promise<void>): void {
    this.#delivery.handler = handler;
  }

  async resultBounds(): Promise<readonly PartitionBounds[]> {
    return await this.#link().questions.bounds(this.#resultTopic, this.resultPartitions);
  }

  async offsetSince(partition: number, timeMs: number): Promise<number> {
    return await this.#link().questions.offsetSince(this.#resultTopic, partition, timeMs);
  }

  #consumer(link: KafkaLink): PartitionConsumer {
    const { cluster, member, resultWaitMs, resultPartitions } = this.#config;
    const partitions = Array.from({ length: resultPartitions }, (_, partition) => partition);
    return new PartitionConsumer(
      { ...this.#deps, questions: link.questions, prepare: () => link.ensureTopics() },
      {
        ...this.#config,
        topic: this.#resultTopic,
        partitions,
        groupPrefix: `${cluster}.result.${member}`,
        waitMs: resultWaitMs,
      },
      this.#delivery,
    );
  }

  #link(): KafkaLink {
    if (this.#running === null) throw new BusUnavailable("the bus is not started");
    return this.#running.link;
  }
}

/** Positions that are named before the start are taken up at the first join. */
const noFetch = { seek: () => {}, pause: () => {}, resume: () => {} };
