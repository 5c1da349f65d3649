/** Rule 6: claims by route, in the order of the index; rule 20: only for sessions that stand. */
import assert from "node:assert/strict";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { routeIdOf } from "../../services/common/domain/route.ts";
import {
  addExecutor,
  loseExecutor,
  newExecution,
  onEveryStore,
  onMysql,
  routeId,
  slots,
  submitAll,
} from "../support/execution-store.ts";

const otherRoute = routeIdOf("another");

onEveryStore("rule 6: a claim takes the highest priority first, then the oldest, and only its route", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const make = (priority: number, readyUs: number, route = routeId) =>
    newExecution({ policy: { ...defaultPolicy, priority }, readyUs, routeId: route });
  const executions = [make(0, 30), make(5, 20), make(0, 10), make(5, 10), make(-5, 1), make(9, 1, otherRoute)];
  await submitAll(setup, executions);
  const claimed = await store.claim({ routeId, slots: slots(placement, 4) });
  assert.deepEqual(
    claimed.map(({ executionId }) => executions.findIndex((one) => one.executionId === executionId)),
    [3, 1, 2, 0],
  );
  assert.deepEqual(await store.waitingRoutes(), [
    { routeId: otherRoute, bestRank: 991 },
    { routeId, bestRank: 1_005 },
  ]);
});

onEveryStore("rule 6: a claim makes the next attempt under the fences of its slots", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  await submitAll(setup, [newExecution(), newExecution()]);
  const wanted = slots(placement, 3);
  const beforeUs = await setup.nowUs();
  const claimed = await store.claim({ routeId, slots: wanted });
  assert.equal(claimed.length, 2);
  for (const [index, execution] of claimed.entries()) {
    assert.deepEqual([execution.state, execution.attempt, execution.fence], ["DISPATCHED", 1, wanted[index]?.fence]);
    assert.ok((execution.dispatchUs ?? 0) >= beforeUs);
    assert.deepEqual(await store.get(execution.executionId), execution);
  }
  assert.deepEqual(await store.claim({ routeId, slots: wanted }), []);
  assert.deepEqual(await store.waitingRoutes(), []);
});

onEveryStore("rule 20: slots of a stale session or a lost executor claim nothing", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup, "executor-1", { session: 3 });
  const lost = await addExecutor(setup, "executor-2");
  await loseExecutor(setup, lost);
  await submitAll(setup, [newExecution(), newExecution(), newExecution()]);
  const stale = { ...placement, sessionNumber: 2 };
  assert.deepEqual(await store.claim({ routeId, slots: [...slots(stale, 2), ...slots(lost, 2)] }), []);
  const mixed = [...slots(stale, 1), ...slots(placement, 1), ...slots(lost, 1), ...slots(placement, 1)];
  const claimed = await store.claim({ routeId, slots: mixed });
  assert.deepEqual(
    claimed.map(({ fence }) => fence),
    [mixed[1]?.fence, mixed[3]?.fence],
  );
});

onEveryStore("rule 6: more slots than one claim takes are filled all the same", async (setup) => {
  const placement = await addExecutor(setup);
  await submitAll(
    setup,
    Array.from({ length: 620 }, () => newExecution()),
  );
  const claimed = await setup.store.claim({ routeId, slots: slots(placement, 700) });
  assert.equal(new Set(claimed.map(({ executionId }) => executionId)).size, 620);
});

onEveryStore("rule 6: concurrent claimers never share a row", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  await submitAll(
    setup,
    Array.from({ length: 300 }, () => newExecution()),
  );
  const claims = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const own: string[] = [];
      for (let round = 0; round < 8; round++) {
        const claimed = await store.claim({ routeId, slots: slots(placement, 7) });
        own.push(...claimed.map(({ executionId }) => executionId));
      }
      return own;
    }),
  );
  const all = claims.flat();
  assert.equal(new Set(all).size, all.length);
  for (let rest = 1; rest > 0; ) {
    rest = (await store.claim({ routeId, slots: slots(placement, 100) })).length;
    all.push(...Array.from({ length: rest }, (_, index) => `rest ${all.length + index}`));
  }
  assert.equal(all.length, 300);
});

onMysql("rule 6: a claim passes over rows that another transaction holds", async (setup) => {
  const placement = await addExecutor(setup);
  const executions = [newExecution({ readyUs: 1 }), newExecution({ readyUs: 2 })];
  await submitAll(setup, executions);
  await setup.sql(async (session) => {
    await session.query("SELECT execution_id FROM executions WHERE execution_id = ? FOR UPDATE", [
      executions[0]?.executionId ?? "",
    ]);
    const claimed = await setup.store.claim({ routeId, slots: slots(placement, 2) });
    assert.deepEqual(
      claimed.map(({ executionId }) => executionId),
      [executions[1]?.executionId],
    );
  });
});
