import assert from "node:assert/strict";
import { test } from "node:test";
import { LostPolicy } from "../../../gen/jobmesh/v1/job.ts";
import { meshRig } from "./setup.ts";

for (const bus of [false, true]) {
  const way = bus ? "bus" : "session";

  test(`rule 21: what is on its way to an executor that leaves comes back and runs elsewhere, also under LOST_POLICY_FAIL, by ${way}`, async (t) => {
    const mesh = await meshRig(t, { bus });
    const one = await mesh.scheduler("s-1");
    const leaving = await mesh.executor("one");
    await mesh.pass(1_000);
    const policy = { lostPolicy: LostPolicy.LOST_POLICY_FAIL };
    const asked = [1, 2, 3].map(() => one.submit({ policy }));
    leaving.way.cut = true;
    const left = leaving.executor.stop();
    const ids = await Promise.all(asked);
    await mesh.clock.advance(60);
    leaving.way.cut = false;
    await mesh.pass(4_000);
    await left;
    const stays = await mesh.executor("two");
    await mesh.pass(10_000);
    for (const { end } of stays.started) end.resolve(Buffer.from("done"));
    await mesh.pass(3_000);
    assert.equal(leaving.started.length, 0);
    const states = await Promise.all(ids.map(async (id) => (await mesh.get(id)).state));
    assert.deepEqual(states, ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]);
  });
}
