/** Rule 13: timers are rows. */
import assert from "node:assert/strict";
import { SHARD_COUNT } from "../../services/common/domain/job.ts";
import {
  addExecutor,
  newExecution,
  onEveryStore,
  routeId,
  type StoreSetup,
  slots,
  submitAll,
} from "../support/execution-store.ts";

const ALL = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);
const HOUR_US = 3_600_000_000;

async function moveBack({ sql }: StoreSetup): Promise<void> {
  await sql((session) => session.execute(`UPDATE executions SET ready_us = ready_us - ${10 * HOUR_US}`));
}

onEveryStore("rule 13: due ones come earliest first, up to the limit, of these shards", async (setup) => {
  const nowUs = await setup.nowUs();
  const executions = Array.from({ length: 30 }, (_, index) =>
    newExecution({ readyUs: nowUs + (30 - index) * HOUR_US }),
  );
  await submitAll(setup, [...executions, newExecution()]);
  const due = await setup.store.due(ALL, nowUs + 20 * HOUR_US, 5);
  assert.deepEqual(
    due,
    executions
      .slice(25)
      .reverse()
      .map(({ executionId, readyUs }) => ({ executionId, readyUs })),
  );
  assert.equal((await setup.store.due(ALL, nowUs + 20 * HOUR_US, 100)).length, 20);
  const halves = [ALL.slice(0, 128), ALL.slice(128)];
  const counts = await Promise.all(halves.map((shards) => setup.store.due(shards, nowUs + 40 * HOUR_US, 100)));
  assert.equal((counts[0]?.length ?? 0) + (counts[1]?.length ?? 0), 30);
  assert.deepEqual(await setup.store.due([], nowUs + 40 * HOUR_US, 100), []);
});

onEveryStore("rule 13: only what is due by the store's clock becomes READY, once", async (setup) => {
  const { store } = setup;
  const nowUs = await setup.nowUs();
  const [early, late] = [newExecution({ readyUs: nowUs + HOUR_US }), newExecution({ readyUs: nowUs + 50 * HOUR_US })];
  await submitAll(setup, [early, late]);
  const ids = [late.executionId, early.executionId, early.executionId];
  assert.deepEqual(await store.makeReady(ids), []);
  await moveBack(setup);
  assert.deepEqual(await store.makeReady(ids), [{ executionId: early.executionId, routeId }]);
  assert.deepEqual(await store.makeReady(ids), []);
  assert.equal((await store.get(late.executionId))?.state, "SCHEDULED");
  const [claimed] = await store.claim({ routeId, slots: slots(await addExecutor(setup), 5) });
  assert.equal(claimed?.executionId, early.executionId);
});
