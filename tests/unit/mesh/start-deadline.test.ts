/** Rule 24 in a whole mesh: nothing starts after its start deadline, wherever it was when it passed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { meshRig } from "./setup.ts";

const policy = { ...defaultPolicy, startDeadlineMs: 2_000 };

for (const bus of [false, true]) {
  const way = bus ? "bus" : "session";

  test(`rule 24: what finds no slot in time is EXPIRED and does not run when there is one, by ${way}`, async (t) => {
    const mesh = await meshRig(t, { bus });
    await mesh.scheduler("s-1");
    const one = await mesh.executor("one", { slots: 1 });
    await mesh.submit(1);
    await mesh.pass(500);
    const [late] = await mesh.submit(1, { policy });
    await mesh.pass(2_500);
    assert.equal((await mesh.get(late ?? assert.fail())).state, "EXPIRED");
    one.started[0]?.end.resolve(Buffer.from("done"));
    const [inTime] = await mesh.submit(1, { policy });
    await mesh.pass(2_000);
    assert.equal(one.started.length, 2);
    assert.equal((await mesh.get(inTime ?? assert.fail())).state, "RUNNING");
    await mesh.pass(5_000);
    assert.equal((await mesh.get(inTime ?? assert.fail())).state, "RUNNING", "what runs has no start deadline");
  });

  test(`rule 24: what was sent too late comes back and is EXPIRED, by ${way}`, async (t) => {
    const mesh = await meshRig(t, { bus });
    const first = await mesh.scheduler("s-1");
    const one = await mesh.executor("one");
    await mesh.scheduler("s-2");
    if (mesh.bus !== null) mesh.bus.away = true;
    const [id] = await mesh.submit(1, { policy });
    const execution = await mesh.get(id ?? assert.fail());
    const [record] = await mesh.store.executors.live();
    assert.ok(record !== undefined);
    const { executorId, incarnation, sessionNumber } = record;
    const slot = { executorId, incarnation, sessionNumber, fence: 7n as never };
    // Claimed as by a scheduler that is dead before it sent it: the next home does, seconds later.
    first.kill();
    assert.equal((await mesh.store.executions.claim({ routeId: execution.routeId, slots: [slot] })).length, 1);
    await mesh.pass(2_500);
    assert.equal((await mesh.get(execution.executionId)).state, "DISPATCHED", "nobody takes it from its executor");
    await mesh.pass(12_000);
    const { state, stateReason, attempt } = await mesh.get(execution.executionId);
    assert.deepEqual([state, stateReason, attempt], ["EXPIRED", "START_DEADLINE", 1]);
    assert.equal(one.started.length, 0);
    const { items } = await mesh.store.executions.attempts(execution.executionId, 10, null);
    assert.deepEqual(
      items.map((item) => [item.state, item.returnReason, item.counted]),
      [["SKIPPED", "NOT_STARTED", false]],
    );
  });
}
