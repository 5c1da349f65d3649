/** Results: from executors to the schedulers that read their partitions. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyText } from "../../services/common/domain/identifier.ts";
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import {
  BusUnavailable,
  type ExecutorBus,
  type ResultRecord,
  type SchedulerBus,
} from "../../services/common/port/bus.ts";
import { busBackends, Gathering, gatherResults, numberOf, numbers, result, type TestBus } from "../support/bus.ts";
import { sampleResult } from "../unit/wire/samples.ts";

type Setup = { readonly scheduler: SchedulerBus; readonly executor: ExecutorBus };

/** Both ends of a bus, started. */
async function setup(bus: TestBus, t: { after(end: () => Promise<void>): void }): Promise<Setup> {
  t.after(bus.close);
  const [scheduler, executor] = [bus.scheduler(), bus.executor()];
  await Promise.all([scheduler.start(), executor.start(0)]);
  return { scheduler, executor };
}

/** The number of a record's result. */
function numberIn({ result: read }: ResultRecord): number {
  assert.ok(read !== null);
  return numberOf(read);
}

/** Sends results of these numbers to a partition, one after the other. */
async function send(executor: ExecutorBus, partition: number, which: readonly number[]): Promise<void> {
  await Promise.all(which.map((number) => executor.sendResult(partition, result(number))));
}

/** Hands a handler's batches out one by one: it returns when the test lets it. */
class SteppedHandler {
  readonly batches = new Gathering<{ partition: number; records: readonly ResultRecord[]; done: () => void }>();

  constructor(bus: SchedulerBus) {
    bus.onResults((partition, records) => new Promise<void>((done) => this.batches.add({ partition, records, done })));
  }
}

for (const { name, open } of busBackends) {
  test(`${name}: a result arrives as it was produced, with its place, key and time`, async (t) => {
    const { scheduler, executor } = await setup(open(), t);
    const records = gatherResults(scheduler);
    const beginMs = Date.now();
    const position = await executor.sendResult(1, sampleResult());
    assert.deepEqual(position, { partition: 1, offset: 0 });
    scheduler.readResults([{ partition: 1, offset: 0 }]);
    await records.reached(1);
    const [{ result: read, timeMs, ...record }] = records.items as [(typeof records.items)[0]];
    assert.deepEqual(record, { partition: 1, offset: 0, keyText: keyText(sampleResult().key) });
    assert.ok(timeMs >= beginMs - 1_000 && timeMs <= Date.now() + 1_000, `produced at ${timeMs}`);
    assert.deepEqual({ ...read, outcome: null }, { ...sampleResult(), outcome: null });
    assert.ok(read?.outcome.kind === "succeeded");
    assert.equal(Buffer.from(read.outcome.result).toString(), "answer");
  });

  test(`${name}: a thousand results sent at once have offsets of their own, in the order they were sent`, async (t) => {
    const { scheduler, executor } = await setup(open(), t);
    const records = gatherResults(scheduler);
    scheduler.readResults([{ partition: 2, offset: 0 }]);
    const positions = await Promise.all(numbers(1_000).map((number) => executor.sendResult(2, result(number))));
    assert.deepEqual(
      positions.map(({ offset }) => offset),
      numbers(1_000),
    );
    await records.reached(1_000);
    assert.deepEqual(records.items.map(numberIn), numbers(1_000));
    assert.deepEqual(
      records.items.map(({ offset }) => offset),
      numbers(1_000),
    );
  });

  test(`${name}: only the partitions that are named are read, from where they are named`, async (t) => {
    const { scheduler, executor } = await setup(open(), t);
    const records = gatherResults(scheduler);
    for (const partition of [0, 1, 2]) await send(executor, partition, numbers(3, partition * 10));
    scheduler.readResults([
      { partition: 0, offset: 1 },
      { partition: 1, offset: 3 },
    ]);
    await records.reached(2);
    await send(executor, 1, [19]);
    await send(executor, 2, [29]);
    await records.reached(3);
    assert.deepEqual(records.items.map(numberIn), [1, 2, 19]);
    // Partition 2 takes the place of 0, which is read no more.
    scheduler.readResults([
      { partition: 1, offset: 4 },
      { partition: 2, offset: 2 },
    ]);
    await records.reached(5);
    await send(executor, 0, [9]);
    await send(executor, 2, [30]);
    await records.reached(6);
    assert.deepEqual(records.items.slice(3).map(numberIn), [22, 29, 30]);
  });

  test(`${name}: a partition that is named again elsewhere is read from there`, async (t) => {
    const { scheduler, executor } = await setup(open(), t);
    const records = gatherResults(scheduler);
    await send(executor, 0, numbers(10));
    scheduler.readResults([{ partition: 0, offset: 0 }]);
    await records.reached(10);
    scheduler.readResults([{ partition: 0, offset: 4 }]);
    await records.reached(16);
    scheduler.readResults([{ partition: 0, offset: 0 }]);
    await records.reached(26);
    // Where it stands already: nothing comes twice.
    scheduler.readResults([{ partition: 0, offset: 10 }]);
    await send(executor, 0, [10]);
    await records.reached(27);
    const expected = [...numbers(10), ...numbers(6, 4), ...numbers(10), 10];
    assert.deepEqual(records.items.map(numberIn), expected);
  });

  test(`${name}: positions that are named before the start are read after it`, async (t) => {
    const bus = open();
    t.after(bus.close);
    const [scheduler, executor] = [bus.scheduler(), bus.executor()];
    const records = gatherResults(scheduler);
    await executor.start(0);
    await send(executor, 3, numbers(3));
    scheduler.readResults([{ partition: 3, offset: 1 }]);
    await scheduler.start();
    await records.reached(2);
    assert.deepEqual(records.items.map(numberIn), [1, 2]);
  });
}

for (const { name, open } of busBackends) {
  test(`${name}: a partition waits for its handler, the others do not`, async (t) => {
    const { scheduler, executor } = await setup(open(), t);
    const { batches } = new SteppedHandler(scheduler);
    scheduler.readResults([
      { partition: 0, offset: 0 },
      { partition: 1, offset: 0 },
    ]);
    await send(executor, 0, [0]);
    await batches.reached(1);
    await send(executor, 0, [1, 2]);
    for (const number of numbers(3)) {
      await send(executor, 1, [10 + number]);
      await batches.reached(2 + number);
      batches.items.at(-1)?.done();
    }
    assert.deepEqual(
      batches.items.map(({ partition }) => partition),
      [0, 1, 1, 1],
    );
    batches.items[0]?.done();
    await batches.reached(5);
    assert.deepEqual(
      batches.items.slice(4).flatMap(({ records }) => records.map(numberIn)),
      [1, 2],
    );
    batches.items[4]?.done();
  });

  test(`${name}: what waits behind a slow handler comes whole, once and in order`, async (t) => {
    const { scheduler, executor } = await setup(open(), t);
    const { batches } = new SteppedHandler(scheduler);
    scheduler.readResults([{ partition: 0, offset: 0 }]);
    const output = "x".repeat(4_000);
    await Promise.all(numbers(1_500).map((number) => executor.sendResult(0, result(number, { output }))));
    const seen: number[] = [];
    for (let at = 0; seen.length < 1_500; at++) {
      await batches.reached(at + 1);
      assert.equal(batches.items.length, at + 1, "one batch at a time");
      const batch = batches.items[at];
      seen.push(...(batch?.records ?? []).map(numberIn));
      assert.ok((batch?.records.length ?? 0) <= 1_000);
      batch?.done();
    }
    assert.deepEqual(seen, numbers(1_500));
  });

  test(`${name}: what a handler rejects is handed to it again`, async (t) => {
    const { scheduler, executor } = await setup(open(), t);
    const records = new Gathering<number>();
    let failures = 1;
    scheduler.onResults(async (_, batch) => {
      records.add(...batch.map(numberIn));
      if (failures-- > 0) throw new Error("the store is away");
    });
    await send(executor, 0, [0]);
    scheduler.readResults([{ partition: 0, offset: 0 }]);
    await records.reached(2);
    await send(executor, 0, [1]);
    await records.reached(3);
    assert.deepEqual(records.items, [0, 0, 1]);
  });

  test(`${name}: a new position counts also while the handler has older records`, async (t) => {
    const { scheduler, executor } = await setup(open(), t);
    const { batches } = new SteppedHandler(scheduler);
    await send(executor, 0, numbers(6));
    scheduler.readResults([{ partition: 0, offset: 4 }]);
    await batches.reached(1);
    scheduler.readResults([{ partition: 0, offset: 1 }]);
    await send(executor, 1, [10]);
    assert.equal(batches.items.length, 1, "one batch at a time, whatever its position");
    batches.items[0]?.done();
    const seen: number[] = [];
    for (let at = 1; seen.length < 5; at++) {
      await batches.reached(at + 1);
      seen.push(...(batches.items[at]?.records ?? []).map(numberIn));
      batches.items[at]?.done();
    }
    assert.deepEqual(seen, numbers(5, 1));
  });
}

for (const { name, open } of busBackends) {
  test(`${name}: after a stop and a start the partitions that were read go on, and no others`, async (t) => {
    const { scheduler, executor } = await setup(open(), t);
    const records = gatherResults(scheduler);
    await send(executor, 0, [0]);
    await send(executor, 1, [10]);
    scheduler.readResults([{ partition: 0, offset: 0 }]);
    await records.reached(1);
    await scheduler.stop();
    await send(executor, 0, [1]);
    await scheduler.start();
    await records.reached(2);
    await send(executor, 0, [2]);
    await records.reached(3);
    assert.deepEqual(records.items.map(numberIn), [0, 1, 2]);
  });

  test(`${name}: bounds and offsets by time are asked of the bus`, async (t) => {
    const bus = open();
    t.after(bus.close);
    const [scheduler, executor] = [bus.scheduler(), bus.executor()];
    await Promise.all([scheduler.start(), executor.start(0)]);
    const records = gatherResults(scheduler);
    assert.equal(scheduler.resultPartitions, bus.resultPartitions);
    await send(executor, 1, numbers(3));
    assert.deepEqual(
      await scheduler.resultBounds(),
      numbers(bus.resultPartitions).map((partition) => ({
        partition,
        lowOffset: 0,
        endOffset: partition === 1 ? 3 : 0,
      })),
    );
    scheduler.readResults([{ partition: 1, offset: 0 }]);
    await records.reached(3);
    const lastMs = records.items[2]?.timeMs ?? 0;
    assert.equal(await scheduler.offsetSince(1, 0), 0);
    assert.equal(
      await scheduler.offsetSince(1, lastMs),
      records.items.findIndex(({ timeMs }) => timeMs >= lastMs),
    );
    assert.equal(await scheduler.offsetSince(1, lastMs + 60_000), 3);
    assert.equal(await scheduler.offsetSince(0, 0), 0);
    await scheduler.stop();
    await assert.rejects(scheduler.resultBounds(), BusUnavailable);
    await assert.rejects(scheduler.offsetSince(1, 0), BusUnavailable);
  });

  test(`${name}: rule 28: a result that is too large fails alone`, async (t) => {
    const bus = open();
    t.after(bus.close);
    const executor = bus.executor();
    await executor.start(0);
    const large = result(1, { outcome: { kind: "succeeded", result: Buffer.alloc(2 * 1024 * 1024) } });
    const outcomes = await Promise.allSettled([result(0), large, result(2)].map((one) => executor.sendResult(0, one)));
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value.offset : outcome.reason.reason)),
      [0, "MESSAGE_TOO_LARGE", 1],
    );
    assert.ok(outcomes[1]?.status === "rejected" && outcomes[1].reason instanceof JobmeshError);
  });
}
