/** Orders: from a scheduler to the lanes of executors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import { BusUnavailable } from "../../services/common/port/bus.ts";
import { busBackends, gatherOrders, numberOf, numbers, order } from "../support/bus.ts";
import { sampleOrder } from "../unit/wire/samples.ts";

const well = { healthy: true, message: "" };

for (const { name, open } of busBackends) {
  test(`${name}: an order arrives as it was sent, its trace context too`, async (t) => {
    const bus = open();
    t.after(bus.close);
    const [scheduler, executor] = [bus.scheduler(), bus.executor()];
    const orders = gatherOrders(executor);
    await Promise.all([scheduler.start(), executor.start(2)]);
    await scheduler.sendOrder(2, sampleOrder());
    await orders.reached(1);
    const [{ target, ...received }] = orders.items as [ReturnType<typeof sampleOrder>];
    const { target: sent, ...rest } = sampleOrder();
    assert.deepEqual(received, rest);
    assert.deepEqual(Buffer.from(target.bytes), Buffer.from(sent.bytes));
  });

  test(`${name}: a thousand orders sent at once arrive in the order they were sent, each once`, async (t) => {
    const bus = open();
    t.after(bus.close);
    const [scheduler, executor] = [bus.scheduler(), bus.executor()];
    const orders = gatherOrders(executor);
    await Promise.all([scheduler.start(), executor.start(0)]);
    await Promise.all(numbers(1_000).map((number) => scheduler.sendOrder(0, order(number))));
    await orders.reached(1_000);
    assert.deepEqual(orders.items.map(numberOf), numbers(1_000));
  });

  test(`${name}: rule 29: what is sent after the lane stands is seen, what was sent before is not`, async (t) => {
    const bus = open();
    t.after(bus.close);
    const scheduler = bus.scheduler();
    await scheduler.start();
    for (const number of numbers(5)) {
      const executor = bus.executor();
      const orders = gatherOrders(executor);
      await scheduler.sendOrder(1, order(number * 10));
      await executor.start(1);
      await scheduler.sendOrder(1, order(number * 10 + 1));
      await orders.reached(1);
      assert.deepEqual(orders.items.map(numberOf), [number * 10 + 1]);
      await executor.stop();
    }
  });

  test(`${name}: rule 29: executors of one lane see all of it, and nothing of another lane`, async (t) => {
    const bus = open();
    t.after(bus.close);
    const scheduler = bus.scheduler();
    const executors = [0, 0, 1].map((lane) => ({ lane, end: bus.executor() }));
    const orders = executors.map(({ end }) => gatherOrders(end));
    await Promise.all([scheduler.start(), ...executors.map(({ lane, end }) => end.start(lane))]);
    await Promise.all(numbers(20).map((number) => scheduler.sendOrder(number % 2, order(number))));
    await Promise.all(orders.map((gathering) => gathering.reached(10)));
    const even = numbers(20).filter((number) => number % 2 === 0);
    const odd = numbers(20).filter((number) => number % 2 === 1);
    assert.deepEqual(
      orders.map(({ items }) => items.map(numberOf)),
      [even, even, odd],
    );
  });

  test(`${name}: rule 28: an order that is too large fails alone`, async (t) => {
    const bus = open();
    t.after(bus.close);
    const [scheduler, executor] = [bus.scheduler(), bus.executor()];
    const orders = gatherOrders(executor);
    await Promise.all([scheduler.start(), executor.start(3)]);
    const large = { ...order(1), target: { ...order(1).target, bytes: Buffer.alloc(2 * 1024 * 1024) } };
    const sent = [order(0), large, order(2)].map((one) => scheduler.sendOrder(3, one));
    const outcomes = await Promise.allSettled(sent);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    const fault = outcomes[1]?.status === "rejected" ? outcomes[1].reason : null;
    assert.ok(fault instanceof JobmeshError && fault.reason === "MESSAGE_TOO_LARGE", String(fault));
    await orders.reached(2);
    assert.deepEqual(orders.items.map(numberOf), [0, 2]);
  });

  test(`${name}: it starts and stops as often as it is told, and sends nothing while it is stopped`, async (t) => {
    const bus = open();
    t.after(bus.close);
    const [scheduler, executor] = [bus.scheduler(), bus.executor()];
    const orders = gatherOrders(executor);
    assert.equal(scheduler.health().healthy, false);
    await assert.rejects(scheduler.sendOrder(0, order(0)), BusUnavailable);
    for (const number of numbers(2)) {
      await Promise.all([scheduler.start(), executor.start(0)]);
      await Promise.all([scheduler.start(), executor.start(0)]);
      assert.deepEqual([scheduler.health(), executor.health()], [well, well]);
      await scheduler.sendOrder(0, order(number));
      await orders.reached(number + 1);
      await Promise.all([scheduler.stop(), executor.stop(), scheduler.stop(), executor.stop()]);
      await assert.rejects(scheduler.sendOrder(0, order(9)), BusUnavailable);
      assert.notEqual(executor.health().message, "");
    }
    assert.deepEqual(orders.items.map(numberOf), [0, 1]);
  });
}
