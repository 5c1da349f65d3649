import assert from "node:assert/strict";
import { test } from "node:test";
import type { DispatchOrder } from "../../../services/common/domain/dispatch.ts";
import { BusUnavailable, type SchedulerBus } from "../../../services/common/port/bus.ts";
import { testExecution } from "../../support/new-execution.ts";
import { type SchedulerCore, schedulerCore } from "../../support/scheduler-core.ts";

/** A bus whose sends the test answers: as a broker that is slow, or refuses. */
class HeldBus implements SchedulerBus {
  readonly kind = "memory";
  readonly resultPartitions = 1;
  readonly sent: { readonly lane: number; readonly order: DispatchOrder }[] = [];
  readonly answers: { readonly take: () => void; readonly refuse: () => void }[] = [];
  healthy = true;

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  health() {
    return { healthy: this.healthy, message: "" };
  }

  sendOrder(lane: number, order: DispatchOrder): Promise<void> {
    this.sent.push({ lane, order });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.answers.push({ take: resolve, refuse: () => reject(new BusUnavailable("refused")) });
    return promise;
  }

  async sendExecution(): Promise<void> {}

  readResults(): void {}

  onResults(): void {}

  async resultBounds() {
    return [];
  }

  async offsetSince(): Promise<number> {
    return 0;
  }
}

async function setup(t: Parameters<typeof schedulerCore>[0], lane: number | null) {
  const bus = new HeldBus();
  const core = await schedulerCore(t, { bus });
  const executor = await core.join("one", 4, { lane });
  return { bus, core, executor };
}

async function submit(core: SchedulerCore): Promise<void> {
  await core.submitter.submit({ execution: testExecution(core.nowUs()), request: null });
  await core.clock.settle();
}

test("an executor with a lane gets its orders by the bus, and by the session none of them", async (t) => {
  const { bus, core, executor } = await setup(t, 7);
  await submit(core);
  assert.equal(bus.sent[0]?.lane, 7);
  bus.answers[0]?.take();
  await core.clock.advance(5_000);
  assert.deepEqual(executor.orders, []);
  assert.equal(core.sender.underWay, 0);
});

test("an executor without a lane gets them by its session", async (t) => {
  const { bus, core, executor } = await setup(t, null);
  await submit(core);
  assert.equal(executor.orders.length, 1);
  assert.deepEqual(bus.sent, []);
});

test("rule 19: what the bus refuses goes down the session at once, the same order", async (t) => {
  const { bus, core, executor } = await setup(t, 7);
  await submit(core);
  bus.answers[0]?.refuse();
  await core.clock.settle();
  assert.deepEqual(executor.orders, [bus.sent[0]?.order]);
});

test("rule 19: what the bus has not taken within a second goes down the session, once", async (t) => {
  const { bus, core, executor } = await setup(t, 7);
  await submit(core);
  await core.clock.advance(600);
  await submit(core);
  await core.clock.advance(399);
  assert.deepEqual(executor.orders, []);
  await core.clock.advance(1);
  assert.deepEqual(
    executor.orders.map(({ key }) => key),
    [bus.sent[0]?.order.key],
    "the second order has 600 ms left",
  );
  bus.answers[0]?.refuse();
  bus.answers[1]?.take();
  await core.clock.advance(5_000);
  assert.equal(executor.orders.length, 1);
});

test("while the bus is not well orders go down the sessions without asking it", async (t) => {
  const { bus, core, executor } = await setup(t, 7);
  bus.healthy = false;
  await submit(core);
  assert.equal(executor.orders.length, 1);
  assert.deepEqual(bus.sent, []);
});

test("an order that loses the bus after its executor went is left to the next home's resend", async (t) => {
  const { bus, core, executor } = await setup(t, 7);
  await submit(core);
  executor.drop();
  const again = await core.join("one", 4, { lane: 7 }, 2);
  bus.answers[0]?.refuse();
  await core.clock.advance(1_000);
  assert.deepEqual(again.orders, [], "it was sent under another session");
  await core.clock.advance(1_500);
  await core.watch.runOnce(new AbortController().signal);
  await core.clock.settle();
  assert.deepEqual(
    again.orders.map(({ key, sessionNumber }) => ({ key, sessionNumber })),
    [{ key: bus.sent[0]?.order.key, sessionNumber: 2 }],
  );
  assert.equal(bus.sent.length, 1, "a resend never goes by the bus");
});
