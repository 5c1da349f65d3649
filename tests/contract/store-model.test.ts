/** Rules 1, 2 and 7 under random operations, one after the other and side by side. */
import assert from "node:assert/strict";
import { onEveryStore, onMysql } from "../support/execution-store.ts";
import { RandomWork, sharedWork } from "../support/random-work.ts";
import { checkInvariants, type EndedExecutions } from "../support/store-invariants.ts";

for (const seed of [1, 2, 3]) {
  onEveryStore(`rules 2 and 7: whatever is done, the invariants hold after each step, seed ${seed}`, async (setup) => {
    const work = new RandomWork(setup, seed);
    const ended: EndedExecutions = new Map();
    for (let step = 0; step < 200; step++) {
      await work.step();
      await setup.sql((session) => checkInvariants(session, ended));
    }
    assert.ok(ended.size > 10, `only ${ended.size} executions ended`);
    assert.deepEqual(await setup.store.recountGates(), []);
  });
}

onMysql("rule 1: results, claims, stops, losses and timers side by side lose nothing", async (setup) => {
  const shared = sharedWork();
  const workers = Array.from({ length: 8 }, (_, index) => new RandomWork(setup, 100 + index, shared));
  const ended: EndedExecutions = new Map();
  for (let round = 0; round < 12; round++) {
    await Promise.all(
      workers.map(async (worker) => {
        for (let step = 0; step < 6; step++) await worker.step();
      }),
    );
    await setup.sql((session) => checkInvariants(session, ended));
  }
  assert.ok(ended.size > 50, `only ${ended.size} executions ended`);
  assert.deepEqual(await setup.store.recountGates(), []);
});
