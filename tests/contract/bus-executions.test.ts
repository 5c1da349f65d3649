/** Rule 34: changes of executions, from schedulers to whoever follows the mesh. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JobmeshError } from "../../services/common/error/jobmesh-error.ts";
import { BusUnavailable, type ExecutionChange } from "../../services/common/port/bus.ts";
import { busBackends, numbers, openMemoryBus } from "../support/bus.ts";
import { sampleExecution } from "../unit/wire/samples.ts";

function change(labels: Readonly<Record<string, string>> = {}): ExecutionChange {
  const execution = sampleExecution({ labels });
  return { execution, timeUs: execution.createUs };
}

for (const { name, open } of busBackends) {
  test(`${name}: a thousand changes are taken, and one that is too large is refused alone`, async (t) => {
    const bus = open({ executionEvents: true });
    t.after(bus.close);
    const scheduler = bus.scheduler();
    await scheduler.start();
    const large = change({ text: "x".repeat(2 * 1024 * 1024) });
    const sent = [...numbers(500).map(() => change()), large, ...numbers(500).map(() => change())];
    const outcomes = await Promise.allSettled(sent.map((one) => scheduler.sendExecution(one)));
    const refused = outcomes.flatMap((outcome, at) => (outcome.status === "rejected" ? [{ at, ...outcome }] : []));
    assert.deepEqual(
      refused.map(({ at, reason }) => [at, reason instanceof JobmeshError && reason.reason]),
      [[500, "MESSAGE_TOO_LARGE"]],
    );
  });

  test(`${name}: a change is refused while the bus does not run`, async (t) => {
    const bus = open({ executionEvents: true });
    t.after(bus.close);
    const scheduler = bus.scheduler();
    await assert.rejects(scheduler.sendExecution(change()), BusUnavailable);
    await scheduler.start();
    await scheduler.sendExecution(change());
    await scheduler.stop();
    await assert.rejects(scheduler.sendExecution(change()), BusUnavailable);
  });
}

test("memory: changes are kept in their order, so many, and refused in time while it is away", async (t) => {
  const bus = openMemoryBus();
  t.after(bus.close);
  const scheduler = bus.scheduler();
  await scheduler.start();
  const changes = numbers(3).map(() => change());
  for (const one of changes) await scheduler.sendExecution(one);
  assert.deepEqual(bus.memory.changes, changes);
  bus.memory.away = true;
  await assert.rejects(scheduler.sendExecution(change()), BusUnavailable);
});
