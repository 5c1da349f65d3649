/** Rules 15, 19, 21, 26: losses, returns, and what homes watch. */
import assert from "node:assert/strict";
import type { Execution } from "../../services/common/domain/execution.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import {
  addExecutor,
  dispatched,
  keyOf,
  loseExecutor,
  onEveryStore,
  plain,
  resultOf,
  routeId,
  type StoreSetup,
  slots,
} from "../support/execution-store.ts";

/** Makes what waits for another attempt due. */
async function makeDue(setup: StoreSetup, { executionId }: Execution): Promise<void> {
  await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1"));
  await setup.store.makeReady([executionId]);
}

onEveryStore(
  "rule 15: attempts of a lost executor end as LOST and run again, those of a live one stay",
  async (setup) => {
    const { store } = setup;
    const [lost, alive] = [await addExecutor(setup, "executor-1"), await addExecutor(setup, "executor-2")];
    const victims = [await dispatched(setup, lost), await dispatched(setup, lost), await dispatched(setup, lost)];
    const other = await dispatched(setup, alive);
    assert.deepEqual(await store.endLost(lost.executorId, lost.incarnation, 10), []);
    await loseExecutor(setup, lost);
    assert.equal((await store.endLost(lost.executorId, lost.incarnation, 2)).length, 2);
    const rest = await store.endLost(lost.executorId, lost.incarnation, 2);
    assert.deepEqual(
      rest.map(({ applied, state }) => [applied, state]),
      [[true, "READY"]],
    );
    assert.deepEqual(await store.endLost(lost.executorId, lost.incarnation, 2), []);
    assert.equal((await store.get(other.executionId))?.state, "DISPATCHED");
    for (const victim of victims) {
      const execution = await store.get(victim.executionId);
      assert.deepEqual([execution?.state, execution?.lossCount, execution?.countedAttempts], ["READY", 1, 0]);
      const { items } = await store.attempts(victim.executionId, 10, null);
      assert.deepEqual(
        [items[0]?.state, items[0]?.counted, items[0]?.failure?.reason],
        ["LOST", false, "EXECUTOR_LOST"],
      );
    }
    const again = await store.claim({ routeId, slots: slots(alive, 5) });
    assert.deepEqual(
      again.map(({ attempt }) => attempt),
      [2, 2, 2],
    );
  },
);

onEveryStore("rule 16: a result of a lost executor whose attempt has ended changes nothing", async (setup) => {
  const { store } = setup;
  const lost = await addExecutor(setup);
  const running = await dispatched(setup, lost);
  await loseExecutor(setup, lost);
  await store.endLost(lost.executorId, lost.incarnation, 10);
  const before = await store.get(running.executionId);
  const outcome = await store.storeResults([resultOf(running)], null);
  assert.equal(outcome.kind === "stored" && outcome.results[0]?.applied, false);
  assert.deepEqual(await store.get(running.executionId), before);
});

onEveryStore(
  "rule 26: after max_losses executors an execution is LOST, and between losses it backs off",
  async (setup) => {
    const { store } = setup;
    const states: (string | undefined)[] = [];
    const first = await dispatched(setup, await addExecutor(setup, "executor-0"), {
      policy: { ...defaultPolicy, maxLosses: 3 },
    });
    for (let life = 0; life < 3; life++) {
      const { executorId, incarnation } = (await store.get(first.executionId)) ?? assert.fail();
      assert.ok(executorId !== null && incarnation !== null);
      await setup.sql((session) =>
        session.execute("UPDATE executors SET lost_us = 2 WHERE executor_id = ?", [executorId]),
      );
      states.push((await store.endLost(executorId, incarnation, 10))[0]?.state ?? undefined);
      if (life === 2) break;
      if (states.at(-1) === "SCHEDULED") await makeDue(setup, first);
      const next = await addExecutor(setup, `executor-${life + 1}`);
      assert.equal((await store.claim({ routeId, slots: slots(next, 1) })).length, 1);
    }
    assert.deepEqual(states, ["READY", "SCHEDULED", "LOST"]);
    const ended = await store.get(first.executionId);
    assert.deepEqual([ended?.stateReason, ended?.lossCount], ["LOSS_LIMIT", 3]);
    assert.equal((await store.attempts(first.executionId, 10, null)).items.length, 3);
  },
);

onEveryStore("rule 24: under LOST_POLICY_FAIL a loss is the end", async (setup) => {
  const lost = await addExecutor(setup);
  const running = await dispatched(setup, lost, { policy: { ...defaultPolicy, lostPolicy: "FAIL" } });
  await loseExecutor(setup, lost);
  await setup.store.endLost(lost.executorId, lost.incarnation, 10);
  const ended = await setup.store.get(running.executionId);
  assert.deepEqual([ended?.state, ended?.stateReason], ["LOST", "EXECUTOR_LOST"]);
  assert.deepEqual(await setup.store.waitingRoutes(), []);
});

onEveryStore(
  "rule 21: what is handed back runs again uncounted, at its place, from the third in a row later",
  async (setup) => {
    const { store } = setup;
    const placement = await addExecutor(setup);
    let running = await dispatched(setup, placement, { readyUs: 5 });
    const seen: unknown[] = [];
    for (let round = 0; round < 4; round++) {
      const returned = { kind: "returned", reason: "NOT_STARTED", message: "no slot" } as const;
      const outcome = await store.storeResults([resultOf(running, returned, { startUs: null })], null);
      const now = await store.get(running.executionId);
      seen.push([now?.state, now?.countedAttempts, now?.returnStreak]);
      if (round === 0) assert.equal(now?.readyUs, 5, "it keeps its place in the queue");
      assert.equal(outcome.kind === "stored" && outcome.results[0]?.applied, true);
      if (now?.state === "SCHEDULED") await makeDue(setup, running);
      const [next] = await store.claim({ routeId, slots: slots(placement, 1) });
      running = next ?? assert.fail("not claimable");
    }
    assert.deepEqual(seen, [
      ["READY", 0, 1],
      ["READY", 0, 2],
      ["SCHEDULED", 0, 3],
      ["SCHEDULED", 0, 4],
    ]);
    const { items } = await store.attempts(running.executionId, 10, null);
    assert.deepEqual(
      items.map(({ state, returnReason, startUs }) => [state, returnReason, startUs]),
      [...Array.from({ length: 4 }, () => ["SKIPPED", "NOT_STARTED", null]), ["DISPATCHED", null, null]],
    );
  },
);

onEveryStore("rule 17: what had started and comes back NOT_STARTED by one who forgot it is a loss", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const policy = { ...defaultPolicy, lostPolicy: "FAIL" } as const;
  const returned = { kind: "returned", reason: "NOT_STARTED", message: "no slot" } as const;
  const [ran, slow] = [await dispatched(setup, placement, { policy }), await dispatched(setup, placement, { policy })];
  await store.markStarted([ran, slow].map((one) => ({ key: keyOf(one), startUs: 5 })));
  // An executor that knows of the start says so: the command that it was to be could not be forked.
  const results = [resultOf(ran, returned, { startUs: null }), resultOf(slow, returned, { startUs: 5 })];
  await store.storeResults(results, null);
  const ended = await Promise.all([ran, slow].map(({ executionId }) => store.get(executionId)));
  assert.deepEqual(
    ended.map((one) => [one?.state, one?.stateReason, one?.lossCount]),
    [
      ["LOST", "EXECUTOR_LOST", 1],
      ["READY", "UNSPECIFIED", 0],
    ],
  );
  const { items } = await store.attempts(ran.executionId, 10, null);
  assert.deepEqual(
    items.map(({ state, returnReason, startUs }) => [state, returnReason, startUs]),
    [["LOST", "UNKNOWN", 5]],
  );
});

onEveryStore("rule 19: a home reads its executor's current attempts, oldest first, before a time", async (setup) => {
  const { store } = setup;
  const [own, other] = [await addExecutor(setup, "executor-1"), await addExecutor(setup, "executor-2")];
  const running = [await dispatched(setup, own), await dispatched(setup, own), await dispatched(setup, own)];
  await dispatched(setup, other);
  for (const [index, { executionId }] of running.entries()) {
    await setup.sql((session) =>
      session.execute("UPDATE executions SET dispatch_us = ? WHERE execution_id = ?", [100 - index, executionId]),
    );
  }
  await store.markStarted([{ key: keyOf(running[1] ?? assert.fail()), startUs: 77 }]);
  const active = await store.active(own.executorId, own.incarnation, 100, 10);
  assert.deepEqual(
    active.map(({ key, state, startUs, dispatchUs }) => [key.executionId, state, startUs, dispatchUs]),
    [
      [running[2]?.executionId, "DISPATCHED", null, 98],
      [running[1]?.executionId, "RUNNING", 77, 99],
    ],
  );
  assert.equal((await store.active(own.executorId, own.incarnation, 1_000, 2)).length, 2);
  assert.deepEqual(await store.active(own.executorId, other.incarnation, 1_000, 2), []);
});

onEveryStore("rule 19: only keys that are the store's are sent again", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const [current, ended] = [await dispatched(setup, placement), await dispatched(setup, placement)];
  await store.storeResults([resultOf(ended)], null);
  const keys = [keyOf(ended), { ...keyOf(current), attempt: 9 }, keyOf(current)];
  assert.deepEqual(await store.currentKeys(keys), [keyOf(current)]);
  assert.deepEqual(plain(await store.forResend(keys)), [plain(await store.get(current.executionId))]);
});
