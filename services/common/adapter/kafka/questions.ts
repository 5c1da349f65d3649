import type { Admin } from "kafkajs";
import { JobmeshError } from "../../error/jobmesh-error.ts";
import { BusUnavailable, type PartitionBounds } from "../../port/bus.ts";
import type { Clock } from "../../port/clock.ts";
import type { Logger } from "../../runtime/log.ts";
import type { KafkaSecurity } from "../../security/kafka-security.ts";
import { KafkaClient, RETRY } from "./client.ts";
import { faultText, kafkaErrorTypes } from "./fault.ts";

/** What Questions needs. */
export type QuestionsDeps = { readonly clock: Clock; readonly log: Logger };

/** How Questions connects. */
export type QuestionsConfig = {
  readonly brokers: readonly string[];
  readonly security?: KafkaSecurity | undefined;
  readonly clientId: string;
  /** Longest that a question may take with its tries, milliseconds, where nothing else is said. */
  readonly askTimeoutMs: number;
  /** The longest that is said anywhere. */
  readonly startTimeoutMs: number;
};

type Connection = { readonly client: KafkaClient; readonly admin: Admin; readonly ready: Promise<void> };

const CLOSE_TIMEOUT_MS = 500;

/** Before a question is asked again that the broker could not answer yet. */
const AGAIN_MS = 100;

/**
 * Questions asks the broker about topics, offsets and groups. What it answers
 * with an error is asked again until the time is over: a topic that was just
 * made, or a coordinator that just moved, takes a moment to be known. Where no
 * answer comes it is asked once more over new connections, because those of an
 * admin client do not outlive every restart of a broker.
 */
export class Questions {
  readonly #deps: QuestionsDeps;
  readonly #config: QuestionsConfig;
  #connection: Connection | null = null;
  #closed = false;

  constructor(deps: QuestionsDeps, config: QuestionsConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  /** Asks. Rejects with BusUnavailable when there is no answer in time, or with the JobmeshError that `ask` throws. */
  async ask<T>(ask: (admin: Admin) => Promise<T>, timeoutMs: number = this.#config.askTimeoutMs): Promise<T> {
    const { clock } = this.#deps;
    const untilMs = clock.monotonicMs() + timeoutMs;
    for (let failures = 0; ; ) {
      try {
        return await this.#askOnce(ask, untilMs);
      } catch (thrown) {
        if (thrown instanceof JobmeshError) throw thrown;
        const isAnswer = kafkaErrorTypes(thrown).length > 0;
        if (!isAnswer) {
          failures++;
          await this.#disconnect();
        }
        if (failures > 1 || clock.monotonicMs() + AGAIN_MS >= untilMs || this.#closed) {
          throw new BusUnavailable(`the broker did not answer: ${faultText(thrown)}`, { cause: thrown });
        }
        if (isAnswer) await clock.sleep(AGAIN_MS);
      }
    }
  }

  /** Low and end offsets of the first `count` partitions of a topic. */
  async bounds(topic: string, count: number): Promise<readonly PartitionBounds[]> {
    const offsets = await this.ask((admin) => admin.fetchTopicOffsets(topic));
    return offsets
      .filter(({ partition }) => partition < count)
      .map(({ partition, low, high }) => ({ partition, lowOffset: Number(low), endOffset: Number(high) }))
      .sort((a, b) => a.partition - b.partition);
  }

  /** First offset of a partition whose record is not older than a time; the end when there is none. */
  async offsetSince(topic: string, partition: number, timeMs: number): Promise<number> {
    const offsets = await this.ask((admin) => admin.fetchTopicOffsetsByTimestamp(topic, timeMs));
    const found = offsets.find((candidate) => candidate.partition === partition);
    if (found === undefined) throw new BusUnavailable(`${topic} has no partition ${partition}`);
    return Number(found.offset);
  }

  /** Disconnects for good; connections that hang are cut. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#disconnect();
  }

  async #askOnce<T>(ask: (admin: Admin) => Promise<T>, untilMs: number): Promise<T> {
    if (this.#closed) throw new BusUnavailable("the bus is stopped");
    this.#connection ??= this.#open();
    const { client, admin, ready } = this.#connection;
    const limitMs = Math.max(untilMs - this.#deps.clock.monotonicMs(), 1);
    return await client.use(limitMs, () => ready.then(() => ask(admin)));
  }

  async #disconnect(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    if (connection === null) return;
    const { client, admin, ready } = connection;
    await client.close(CLOSE_TIMEOUT_MS, () => ready.then(() => admin.disconnect()));
  }

  #open(): Connection {
    const { brokers, security, clientId, startTimeoutMs } = this.#config;
    // Each question has its own time; the client is cut when that is over.
    const client = new KafkaClient(this.#deps, { brokers, security, clientId, requestTimeoutMs: startTimeoutMs });
    const admin = client.kafka.admin({ retry: RETRY });
    return { client, admin, ready: admin.connect() };
  }
}
