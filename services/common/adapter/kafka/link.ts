import type { Clock } from "../../port/clock.ts";
import type { Logger } from "../../runtime/log.ts";
import { Batcher } from "./batcher.ts";
import type { KafkaBusConfig } from "./config.ts";
import { RecordProducer } from "./producer.ts";
import { Questions } from "./questions.ts";
import { dispatchTopic, ensureTopics, executionTopic, resultTopic } from "./topics.ts";

/** What both ends of the bus need. */
export type KafkaBusDeps = { readonly clock: Clock; readonly log: Logger };

/** KafkaLink is what both ends of the bus do alike: they produce in batches, ask the broker, and see to the topics. */
export class KafkaLink {
  readonly batcher: Batcher;
  readonly questions: Questions;
  readonly #producer: RecordProducer;
  readonly #deps: KafkaBusDeps;
  readonly #config: KafkaBusConfig;

  constructor(deps: KafkaBusDeps, config: KafkaBusConfig) {
    const clientId = `${config.cluster}.${config.member}`;
    this.#deps = deps;
    this.#config = config;
    this.#producer = new RecordProducer(deps, { brokers: config.brokers, security: config.security, clientId });
    this.questions = new Questions(deps, { ...config, clientId });
    this.batcher = new Batcher(deps.clock, (records) => this.#producer.send(records), config);
  }

  /** Makes missing topics and checks the others. Throws BACKEND_UNSUITABLE, or BusUnavailable. */
  async ensureTopics(): Promise<void> {
    const config = this.#config;
    const events = config.executionEvents ? [executionTopic(config)] : [];
    const plans = [dispatchTopic(config), resultTopic(config), ...events];
    // A broker takes seconds to make hundreds of partitions: these questions have the whole time of a start.
    await this.questions.ask((admin) => ensureTopics(admin, plans, this.#deps), this.#config.startTimeoutMs);
  }

  /** Connects the producer ahead of the first record. */
  connect(): Promise<void> {
    return this.#producer.connect();
  }

  /** Waits for what is on its way, and disconnects. */
  async close(): Promise<void> {
    await this.batcher.close();
    await Promise.all([this.#producer.close(), this.questions.close()]);
  }
}
