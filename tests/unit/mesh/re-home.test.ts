import assert from "node:assert/strict";
import { test } from "node:test";
import { meshRig } from "./setup.ts";

for (const bus of [false, true]) {
  const way = bus ? "bus" : "session";

  test(`rule 19: what runs goes on when its home dies: the next home knows it, sends nothing twice, stops nothing, by ${way}`, async (t) => {
    const mesh = await meshRig(t, { bus });
    const first = await mesh.scheduler("s-1");
    const one = await mesh.executor("one");
    await mesh.scheduler("s-2");
    const ids = await mesh.submit(3);
    await mesh.pass(1_000);
    assert.equal(one.started.length, 3);
    first.kill();
    await mesh.pass(8_000);
    assert.equal(one.started.length, 3, "nothing was run twice");
    assert.ok(
      one.started.every(({ context }) => !context.signal.aborted),
      "nothing was stopped",
    );
    assert.equal(one.executor.status.sessionNumber, 2);
    for (const { end } of one.started) end.resolve(Buffer.from("done"));
    await mesh.pass(8_000);
    for (const id of ids) {
      const { state, attempt } = await mesh.get(id);
      assert.deepEqual([state, attempt], ["SUCCEEDED", 1]);
    }
    await mesh.pass(3_000);
    assert.equal(one.executor.status.keptResults, 0);
  });

  test(`rule 19: a home that dies after the claim, before it sent: the next home sends it, by ${way}`, async (t) => {
    const mesh = await meshRig(t, { bus });
    const first = await mesh.scheduler("s-1");
    const one = await mesh.executor("one");
    await mesh.scheduler("s-2");
    if (mesh.bus !== null) mesh.bus.away = true;
    const [id] = await mesh.submit(1);
    // Claimed as by a scheduler that is dead before its commit is answered.
    const execution = await mesh.get(id ?? assert.fail());
    const [record] = await mesh.store.executors.live();
    assert.ok(record !== undefined);
    const { executorId, incarnation, sessionNumber } = record;
    const slot = { executorId, incarnation, sessionNumber, fence: 7n as never };
    first.kill();
    assert.equal((await mesh.store.executions.claim({ routeId: execution.routeId, slots: [slot] })).length, 1);
    await mesh.pass(6_000);
    assert.equal(one.started.length, 1);
    one.started[0]?.end.resolve(Buffer.from("done"));
    await mesh.pass(6_000);
    assert.deepEqual(
      [(await mesh.get(execution.executionId)).state, one.executor.status.keptResults],
      ["SUCCEEDED", 0],
    );
    const more = await mesh.submit(4);
    await mesh.pass(2_000);
    assert.equal(one.started.length, 5, "no slot was lost");
    assert.equal(more.length, 4);
  });
}
