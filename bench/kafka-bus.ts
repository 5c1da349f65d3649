/**
 * Measures the bus on Kafka alone, without a store: `node bench/kafka-bus.ts [RECORDS]`. A scheduler's and an
 * executor's end in one process, topics of the default sizes, a broker as scripts/backends.ts starts or finds it.
 * Prints one line of JSON.
 */

import { startBackends } from "../scripts/backends.ts";
import { kafkaBusConfig } from "../services/common/adapter/kafka/config.ts";
import { KafkaExecutorBus } from "../services/common/adapter/kafka/executor-bus.ts";
import { KafkaSchedulerBus } from "../services/common/adapter/kafka/scheduler-bus.ts";
import type { DispatchOrder } from "../services/common/domain/dispatch.ts";
import { silentLogger } from "../services/common/runtime/log.ts";
import { SystemClock } from "../services/common/runtime/system-clock.ts";
import { sampleOrder, sampleResult } from "../tests/unit/wire/samples.ts";

const records = Number(process.argv[2] ?? 50_000);
const senders = 1_000;
const idleMs = 5_000;
const clock = new SystemClock();
const lane = 3;

/** Ends when a counter has reached what is awaited. */
class Arrivals {
  count = 0;
  #target = Number.POSITIVE_INFINITY;
  #resolve: () => void = () => {};

  add(count: number): void {
    this.count += count;
    if (this.count >= this.#target) this.#resolve();
  }

  reached(target: number): Promise<void> {
    this.#target = target;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.add(0);
    });
  }
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Sends all records by so many senders, each with one on its way; until all have arrived. */
async function flood(send: (number: number) => Promise<unknown>, arrivals: Arrivals): Promise<Record<string, number>> {
  const arrived = arrivals.reached(arrivals.count + records);
  const [beginMs, beginUs] = [clock.monotonicMs(), cpuUs()];
  let sent = 0;
  const sender = async (): Promise<void> => {
    while (sent < records) await send(sent++);
  };
  await Promise.all(Array.from({ length: senders }, sender));
  const sentMs = clock.monotonicMs() - beginMs;
  await arrived;
  const allMs = clock.monotonicMs() - beginMs;
  return {
    sentPerSecond: Math.round((records / sentMs) * 1000),
    arrivedPerSecond: Math.round((records / allMs) * 1000),
    cpuUsPerRecord: Math.round((cpuUs() - beginUs) / records),
  };
}

/** Milliseconds from handing a record to the bus until it arrives, one at a time. */
async function latency(send: () => Promise<unknown>, arrivals: Arrivals): Promise<Record<string, number>> {
  const taken: number[] = [];
  for (let round = 0; round < 500; round++) {
    const arrived = arrivals.reached(arrivals.count + 1);
    const beginMs = clock.monotonicMs();
    await Promise.all([send(), arrived.then(() => taken.push(clock.monotonicMs() - beginMs))]);
  }
  taken.sort((a, b) => a - b);
  const at = (part: number): number => Math.round((taken[Math.floor(taken.length * part)] ?? 0) * 100) / 100;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function idle(): Promise<number> {
  const beginUs = cpuUs();
  await clock.sleep(idleMs);
  return Math.round(((cpuUs() - beginUs) / 1000 / idleMs) * 10_000) / 100;
}

const backends = await startBackends({ kafka: true });
const base = { brokers: backends.kafkaBrokers, cluster: `bench-${process.pid}` };
const deps = { clock, log: silentLogger };
const scheduler = new KafkaSchedulerBus(deps, kafkaBusConfig({ ...base, member: "scheduler" }));
const executor = new KafkaExecutorBus(deps, kafkaBusConfig({ ...base, member: "executor" }));
const [orders, results] = [new Arrivals(), new Arrivals()];
executor.onOrder((_: DispatchOrder) => orders.add(1));
scheduler.onResults(async (_, batch) => results.add(batch.length));
try {
  const beginMs = clock.monotonicMs();
  await scheduler.start();
  const topicsMs = Math.round(clock.monotonicMs() - beginMs);
  await executor.start(lane);
  const partitions = scheduler.resultPartitions;
  scheduler.readResults(Array.from({ length: partitions }, (_, partition) => ({ partition, offset: 0 })));
  const [order, result] = [sampleOrder(), sampleResult()];
  // Once for the compiler.
  await flood(() => scheduler.sendOrder(lane, order), orders);
  const measured = {
    records,
    senders,
    startWithTopicsMs: topicsMs,
    executorJoinMs: Math.round(clock.monotonicMs() - beginMs) - topicsMs,
    orders: await flood(() => scheduler.sendOrder(lane, order), orders),
    results: await flood((number) => executor.sendResult(number % partitions, result), results),
    orderLatency: await latency(() => scheduler.sendOrder(lane, order), orders),
    resultLatency: await latency(() => executor.sendResult(0, result), results),
    idlePercentOfCoreBothEnds: await idle(),
  };
  await executor.stop();
  process.stdout.write(`${JSON.stringify({ ...measured, idlePercentOfCoreScheduler: await idle() })}\n`);
} finally {
  await Promise.all([scheduler.stop(), executor.stop()]);
  await backends.stop();
}
