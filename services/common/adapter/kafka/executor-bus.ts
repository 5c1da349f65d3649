import type { KafkaMessage } from "kafkajs";
import { assert } from "../../domain/assert.ts";
import type { AttemptResult } from "../../domain/attempt.ts";
import type { DispatchOrder } from "../../domain/dispatch.ts";
import { BusUnavailable, type ExecutorBus, type Health, type ResultPosition } from "../../port/bus.ts";
import type { KafkaBusConfig } from "./config.ts";
import { type KafkaBusDeps, KafkaLink } from "./link.ts";
import { PartitionConsumer, type PartitionSink } from "./partition-consumer.ts";
import { readOrder, resultRecord } from "./records.ts";
import { within } from "./start-limit.ts";
import { dispatchTopic, resultTopic } from "./topics.ts";

type Running = { readonly link: KafkaLink; readonly consumer: PartitionConsumer };

/**
 * An executor's end of the bus on Kafka. Rule 29: the lane's consumer has
 * joined and stands at its position when `start` resolves. The position is the
 * end as it was when start first asked, kept over starts that fail, so that
 * nothing produced after that is missed.
 */
export class KafkaExecutorBus implements ExecutorBus {
  readonly kind = "kafka";
  readonly resultPartitions: number;
  readonly #deps: KafkaBusDeps;
  readonly #config: KafkaBusConfig;
  readonly #dispatchTopic: string;
  readonly #resultTopic: string;
  #onOrder: (order: DispatchOrder) => void = () => {};
  /** The next offset of the lane; null before the first start. */
  #position: number | null = null;
  #running: Running | null = null;

  constructor(deps: KafkaBusDeps, config: KafkaBusConfig) {
    this.#deps = deps;
    this.#config = config;
    this.resultPartitions = config.resultPartitions;
    this.#dispatchTopic = dispatchTopic(config).name;
    this.#resultTopic = resultTopic(config).name;
  }

  /** Rejects with BACKEND_UNSUITABLE, or BusUnavailable when Kafka is away; it can be called again then. */
  async start(lane: number): Promise<void> {
    assert(lane >= 0 && lane < this.#config.lanes, "the lane is one of the topic's");
    if (this.#running !== null) return;
    const link = new KafkaLink(this.#deps, this.#config);
    const consumer = this.#consumer(link, lane);
    this.#running = { link, consumer };
    try {
      await within(this.#deps.clock, this.#config.startTimeoutMs, async () => {
        await link.ensureTopics();
        this.#position ??= await this.#endOf(link, lane);
        await Promise.all([consumer.start(), link.connect()]);
      });
    } catch (thrown) {
      await this.#unwind();
      throw thrown;
    }
  }

  async stop(): Promise<void> {
    await this.#unwind();
    this.#position = null;
  }

  health(): Health {
    if (this.#running === null) return { healthy: false, message: "the bus is not started" };
    const trouble = this.#running.consumer.trouble || this.#running.link.batcher.trouble;
    return trouble === "" ? { healthy: true, message: "" } : { healthy: false, message: `Kafka: ${trouble}` };
  }

  onOrder(handler: (order: DispatchOrder) => void): void {
    this.#onOrder = handler;
  }

  async sendResult(partition: number, result: AttemptResult): Promise<ResultPosition> {
    if (this.#running === null) throw new BusUnavailable("the bus is not started");
    const offset = await this.#running.link.batcher.add(resultRecord(this.#resultTopic, partition, result));
    return { partition, offset };
  }

  async #unwind(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    if (running === null) return;
    await running.consumer.stop();
    await running.link.close();
  }

  async #endOf(link: KafkaLink, lane: number): Promise<number> {
    const bounds = await link.questions.bounds(this.#dispatchTopic, this.#config.lanes);
    const bound = bounds.find(({ partition }) => partition === lane);
    assert(bound !== undefined, "the topic was checked to have the lane");
    return bound.endOffset;
  }

  #consumer(link: KafkaLink, lane: number): PartitionConsumer {
    const { cluster, member, laneWaitMs } = this.#config;
    const sink: PartitionSink = {
      fetchOffset: () => this.#position,
      take: (_, messages) => this.#take(messages),
    };
    return new PartitionConsumer(
      { ...this.#deps, questions: link.questions, prepare: () => link.ensureTopics() },
      {
        ...this.#config,
        topic: this.#dispatchTopic,
        partitions: [lane],
        groupPrefix: `${cluster}.lane.${member}`,
        waitMs: laneWaitMs,
      },
      sink,
    );
  }

  #take(messages: readonly KafkaMessage[]): void {
    for (const message of messages) {
      try {
        this.#onOrder(readOrder(message));
      } catch (err) {
        // The scheduler that sent it sends it again down the session (rule 19).
        this.#deps.log.error({ err, offset: message.offset }, "a record of the lane was not taken");
      }
    }
    const last = messages.at(-1);
    if (last !== undefined) this.#position = Number(last.offset) + 1;
  }
}
