/** What both ends of the bus on Kafka do while the broker is away, and after: on a broker of this test's own. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BusUnavailable } from "../../services/common/port/bus.ts";
import { KafkaServer } from "../support/backends.ts";
import {
  eventually,
  gatherOrders,
  gatherResults,
  numberOf,
  openKafkaBus,
  order,
  result,
  type TestBus,
} from "../support/bus.ts";

const server = new KafkaServer();
let bus: TestBus;

before(async () => {
  await server.start();
  bus = openKafkaBus([server.broker], { sendTimeoutMs: 1_000 });
});

after(async () => {
  await bus.close();
  await server.dispose();
});

/** Milliseconds until a condition holds. */
async function msUntil(condition: () => boolean): Promise<number> {
  const begin = performance.now();
  await eventually(condition);
  return performance.now() - begin;
}

/** Milliseconds until a send is refused as BusUnavailable. */
async function refusedAfterMs(send: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await assert.rejects(send, BusUnavailable);
  return performance.now() - begin;
}

/** Makes the broker go away and come back while both ends run, and checks what they say, refuses and read. */
async function outage(away: () => Promise<void>, back: () => Promise<void>, lane: number): Promise<void> {
  const [scheduler, executor] = [bus.scheduler(), bus.executor()];
  const orders = gatherOrders(executor);
  const records = gatherResults(scheduler);
  await Promise.all([scheduler.start(), executor.start(lane)]);
  const { offset } = await executor.sendResult(lane, result(0));
  scheduler.readResults([{ partition: lane, offset }]);
  await records.reached(1);

  await away();
  const noticedMs = await msUntil(() => !scheduler.health().healthy && !executor.health().healthy);
  assert.ok(noticedMs < 3_000, `noticed after ${noticedMs} ms`);
  assert.match(scheduler.health().message, /^Kafka: ./);
  assert.match(executor.health().message, /^Kafka: ./);
  const refusals = await Promise.all([
    refusedAfterMs(() => scheduler.sendOrder(lane, order(1))),
    refusedAfterMs(() => executor.sendResult(lane, result(1))),
  ]);
  for (const ms of refusals) assert.ok(ms < 2_000, `refused after ${ms} ms`);
  const askedMs = await refusedAfterMs(() => scheduler.resultBounds());
  assert.ok(askedMs < 7_000, `a question was refused after ${askedMs} ms`);

  await back();
  const recoveredMs = await msUntil(() => scheduler.health().healthy && executor.health().healthy);
  assert.ok(recoveredMs < 15_000, `well again after ${recoveredMs} ms`);
  await scheduler.sendOrder(lane, order(2));
  await executor.sendResult(lane, result(2));
  await eventually(() => orders.items.some((one) => numberOf(one) === 2));
  await eventually(() => records.items.some((one) => one.result !== null && numberOf(one.result) === 2));
  // What was refused may be there all the same, but nothing that was read comes again.
  assert.deepEqual(
    records.items.map((record) => record.offset),
    records.items.map((_, at) => offset + at),
  );
  assert.ok((await scheduler.resultBounds()).length > 0);
  await Promise.all([scheduler.stop(), executor.stop()]);
}

test("a broker that was killed is noticed and, when it is there again, used without a restart of ours", async () => {
  await outage(
    () => server.kill(),
    () => server.start(),
    0,
  );
});

test("a broker that does not answer is noticed and, when it answers again, used without a restart of ours", async () => {
  await outage(
    async () => server.pause(),
    async () => server.resume(),
    1,
  );
});

test("nothing hangs on a broker that does not answer: a start is refused, a stop ends", async () => {
  const running = bus.executor();
  await running.start(2);
  server.pause();
  try {
    const begin = performance.now();
    await running.stop();
    assert.ok(performance.now() - begin < 6_000, `stopped after ${performance.now() - begin} ms`);
    const starting = bus.executor();
    const refused = assert.rejects(starting.start(2), BusUnavailable);
    await starting.stop();
    await refused;
    assert.ok(performance.now() - begin < 12_000, `all of it took ${performance.now() - begin} ms`);
  } finally {
    server.resume();
  }
});

test("a start without a broker is refused, and one after the broker came is not", async () => {
  const scheduler = bus.scheduler();
  await server.stop();
  const refusedMs = await refusedAfterMs(() => scheduler.start());
  assert.ok(refusedMs < 10_000, `refused after ${refusedMs} ms`);
  assert.equal(scheduler.health().healthy, false);
  await server.start();
  await scheduler.start();
  assert.deepEqual(scheduler.health(), { healthy: true, message: "" });
});
