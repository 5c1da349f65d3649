/**
 * Buses for the contract suite: memory always, Kafka when JOBMESH_TEST_KAFKA names brokers. `busBackends` gives one
 * entry for each, so that a suite is registered once for each adapter.
 */
import { randomBytes } from "node:crypto";
import { type KafkaBusConfig, kafkaBusConfig } from "../../services/common/adapter/kafka/config.ts";
import { KafkaExecutorBus } from "../../services/common/adapter/kafka/executor-bus.ts";
import { KafkaSchedulerBus } from "../../services/common/adapter/kafka/scheduler-bus.ts";
import { MemoryBus } from "../../services/common/adapter/memory/bus.ts";
import type { AttemptResult } from "../../services/common/domain/attempt.ts";
import type { DispatchOrder } from "../../services/common/domain/dispatch.ts";
import type { ExecutionId } from "../../services/common/domain/identifier.ts";
import type { ExecutorBus, ResultRecord, SchedulerBus } from "../../services/common/port/bus.ts";
import { silentLogger } from "../../services/common/runtime/log.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { sampleKey, sampleOrder, sampleResult } from "../unit/wire/samples.ts";

/** One bus of one test: as many ends of it as the test wants. */
export type TestBus = {
  readonly resultPartitions: number;
  scheduler(): SchedulerBus;
  executor(): ExecutorBus;
  /** Stops all ends. */
  close(): Promise<void>;
};

/** An adapter under test. */
export type BusBackend = {
  readonly name: string;
  /** A new, empty bus; with the topic of executions where that is said. */
  open(given?: Pick<KafkaBusConfig, "executionEvents">): TestBus;
};

const clock = new SystemClock();
/** Topics of a test; small, since making 256 partitions takes a broker seconds. */
const sizes = { lanes: 4, resultPartitions: 4 } as const;

/** The ends that were made, to be stopped. */
class Ends {
  readonly #ends: { stop(): Promise<void> }[] = [];

  keep<T extends { stop(): Promise<void> }>(end: T): T {
    this.#ends.push(end);
    return end;
  }

  async close(): Promise<void> {
    await Promise.all(this.#ends.map((end) => end.stop()));
  }
}

/** A bus in memory, and the thing itself for what only it can do. */
export function openMemoryBus(): TestBus & { readonly memory: MemoryBus } {
  const ends = new Ends();
  const memory = new MemoryBus(clock, sizes);
  return {
    ...sizes,
    memory,
    scheduler: () => ends.keep(memory.scheduler()),
    executor: () => ends.keep(memory.executor()),
    close: () => ends.close(),
  };
}

/**
 * A bus on brokers, in topics of its own unless a cluster is named. A send may take long: the machine of a test may
 * be busy, and how long a send waits has tests of its own.
 */
export function openKafkaBus(
  brokers: readonly string[],
  given: Partial<KafkaBusConfig> = {},
): TestBus & { readonly cluster: string } {
  const ends = new Ends();
  const deps = { clock, log: silentLogger };
  const cluster = given.cluster ?? `test-${randomBytes(6).toString("hex")}`;
  let members = 0;
  const config = (kind: string) =>
    kafkaBusConfig({ ...sizes, brokers, sendTimeoutMs: 10_000, member: `${kind}${++members}`, ...given, cluster });
  return {
    ...sizes,
    cluster,
    scheduler: () => ends.keep(new KafkaSchedulerBus(deps, config("scheduler"))),
    executor: () => ends.keep(new KafkaExecutorBus(deps, config("executor"))),
    close: () => ends.close(),
  };
}

const brokers = (process.env.JOBMESH_TEST_KAFKA ?? "").split(",").filter((broker) => broker !== "");

/** All adapters that can be had here. */
export const busBackends: readonly BusBackend[] = [
  { name: "memory", open: () => openMemoryBus() },
  ...(brokers.length > 0
    ? [{ name: "kafka", open: (given?: Partial<KafkaBusConfig>) => openKafkaBus(brokers, given) }]
    : []),
];

/** An order that its number names. */
export function order(number: number): DispatchOrder {
  return { ...sampleOrder(), key: { ...sampleKey, executionId: nameOf(number) } };
}

/** A result that its number names. */
export function result(number: number, parts: Partial<AttemptResult> = {}): AttemptResult {
  return sampleResult({ key: { ...sampleKey, executionId: nameOf(number) }, ...parts });
}

/** The number of an order or a result. */
export function numberOf({ key }: { readonly key: { readonly executionId: string } }): number {
  return Number(key.executionId.slice(1));
}

function nameOf(number: number): ExecutionId {
  return `n${number}` as ExecutionId;
}

/** Whole numbers from `from` on. */
export function numbers(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, at) => from + at);
}

/** Waits for a state that no event tells, such as health. The test's own time limit ends it. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await clock.sleep(10);
}

/** Gathers what comes, and tells when enough is there. */
export class Gathering<T> {
  readonly items: T[] = [];
  readonly #waiting: { count: number; resolve: () => void }[] = [];

  add(...items: readonly T[]): void {
    this.items.push(...items);
    for (const { count, resolve } of this.#waiting) if (this.items.length >= count) resolve();
  }

  /** Resolves when that many are there. */
  reached(count: number): Promise<void> {
    if (this.items.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }
}

/** The orders that an executor gets. */
export function gatherOrders(bus: ExecutorBus): Gathering<DispatchOrder> {
  const orders = new Gathering<DispatchOrder>();
  bus.onOrder((received) => orders.add(received));
  return orders;
}

/** The records that a scheduler gets, each with its partition. */
export function gatherResults(bus: SchedulerBus): Gathering<ResultRecord & { readonly partition: number }> {
  const records = new Gathering<ResultRecord & { readonly partition: number }>();
  bus.onResults(async (partition, batch) => records.add(...batch.map((record) => ({ ...record, partition }))));
  return records;
}
