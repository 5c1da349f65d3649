/** Rules 9 and 11 on every store: what a fire stores that is sent ahead of its time, and what keeps it from it. */
import assert from "node:assert/strict";
import { fireExecutionId } from "../../services/common/domain/execution-id.ts";
import type { Fire } from "../../services/common/port/store-jobs.ts";
import { loseExecutor, newExecution, onEveryStore, slot, submission } from "../support/execution-store.ts";
import { fire, gateKeys, gates, hold, id, NOMINAL_US, PERIOD_US, type Rig, rig, uid } from "../support/held-store.ts";

onEveryStore(
  "rule 11: ahead of its time a fire is stored as DISPATCHED, takes its gates, and moves its job",
  async (setup) => {
    const on = await rig(setup);
    const sent = await hold(on, { gateKeys, overlap: "SKIP" });
    assert.deepEqual(
      [sent.state, sent.attempt, sent.readyUs, sent.dispatchUs],
      ["DISPATCHED", 1, NOMINAL_US, on.clock.us],
    );
    assert.deepEqual(await gates(on), [[1, 0]]);
    const { nextFireUs, lastFireUs, fireCount } = (await on.jobs.getByUid(uid)) ?? assert.fail();
    assert.deepEqual([nextFireUs, lastFireUs, fireCount], [NOMINAL_US + PERIOD_US, NOMINAL_US, 1]);
    const [active] = await on.store.active(
      sent.executorId ?? assert.fail(),
      sent.incarnation ?? assert.fail(),
      Number.MAX_SAFE_INTEGER,
      5,
    );
    assert.equal(active?.holdUntilUs, NOMINAL_US);
  },
);

/** What keeps a fire from going ahead. */
const REASONS: readonly (readonly [string, (on: Rig) => Promise<Fire>])[] = [
  [
    "its gate is held",
    async (on) => {
      const execution = newExecution({ gateKeys, overlap: "SKIP", readyUs: 1, jobUid: uid });
      await on.store.submit([submission(execution)]);
      return fire(slot(on.executor), { gateKeys, overlap: "SKIP" });
    },
  ],
  ["its slot is of an older session", async (on) => fire({ ...slot(on.executor), sessionNumber: 7 })],
  [
    "its executor is lost",
    async (on) => {
      await loseExecutor(on.setup, on.executor);
      return fire(slot(on.executor));
    },
  ],
  [
    "its time is more than 300 ms away",
    async (on) => {
      on.clock.us = NOMINAL_US - 300_001;
      return fire(slot(on.executor));
    },
  ],
];

for (const [why, prepare] of REASONS) {
  onEveryStore(`rule 11: nothing is stored or decided ahead of its time where ${why}`, async (setup) => {
    const on = await rig(setup);
    const request = await prepare(on);
    const before = [await gates(on), await on.jobs.getByUid(uid)];
    assert.deepEqual(await on.jobs.fire(request), { kind: "early" });
    assert.equal(await on.store.get(id), null);
    assert.deepEqual([await gates(on), await on.jobs.getByUid(uid)], before);
    on.clock.us = NOMINAL_US;
    assert.equal((await on.jobs.fire({ ...request, slot: null })).kind, "fired", "at its time it is made");
  });
}

onEveryStore("rule 11: nothing goes ahead of those that wait at its gate", async (setup) => {
  const on = await rig(setup);
  for (const overlap of ["SKIP", "QUEUE_ALL"] as const) {
    await on.store.submit([submission(newExecution({ gateKeys, overlap, readyUs: 1 }))]);
  }
  await setup.sql((session) => session.execute("UPDATE gates SET held = 0"));
  assert.deepEqual(await on.jobs.fire(fire(slot(on.executor), { gateKeys, overlap: "QUEUE_ALL" })), { kind: "early" });
});

onEveryStore("rule 11: at 300 ms, and at its time, a fire with a slot is dispatched", async (setup) => {
  const on = await rig(setup);
  on.clock.us = NOMINAL_US - 300_000;
  await hold(on);
  on.clock.us = NOMINAL_US + PERIOD_US;
  const next = fireExecutionId(uid, on.clock.us / 1_000, 0);
  const request = fire(slot(on.executor), { executionId: next, scheduledUs: on.clock.us, readyUs: on.clock.us });
  const outcome = await on.jobs.fire({ ...request, nominalUs: on.clock.us, nextUs: null });
  assert.ok(outcome.kind === "fired");
  assert.equal(outcome.dispatched?.executionId, next);
});

onEveryStore("rules 9, 11: one fire of a job is held at a time, and none of a job that has changed", async (setup) => {
  const on = await rig(setup);
  assert.equal((await on.jobs.fire({ ...fire(slot(on.executor)), revision: 2 })).kind, "stale");
  await hold(on);
  const second = fireExecutionId(uid, NOMINAL_US / 1_000 + 50, 0);
  await setup.sql((session) => session.execute("UPDATE jobs SET next_fire_us = ?", [NOMINAL_US + 50_000]));
  const at = { executionId: second, scheduledUs: NOMINAL_US + 50_000, readyUs: NOMINAL_US + 50_000 };
  const request = { ...fire(slot(on.executor), at), nominalUs: NOMINAL_US + 50_000 };
  assert.equal((await on.jobs.fire(request)).kind, "stale");
  assert.equal(await on.store.get(second), null);
});
