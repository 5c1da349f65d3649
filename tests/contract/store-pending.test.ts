/** Rule 31: one statement says what each loop of a scheduler has to do. */
import assert from "node:assert/strict";
import type { Execution } from "../../services/common/domain/execution.ts";
import type { SchedulerId } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import type { PendingWork } from "../../services/common/port/store-executions.ts";
import {
  addExecutor,
  dispatched,
  home,
  jobUid,
  keyOf,
  newExecution,
  onEveryStore,
  routeId,
  type StoreSetup,
  slots,
  submitAll,
} from "../support/execution-store.ts";

const HOUR_US = 3_600_000_000;
const nothing: PendingWork = { claims: false, gates: false, stops: false, expiries: false };
const limited = { ...defaultPolicy, startDeadlineMs: 3_600_000 };

async function setTime({ sql }: StoreSetup, column: string, { executionId }: Execution, timeUs: number) {
  await sql((session) =>
    session.execute(`UPDATE executions SET ${column} = ? WHERE execution_id = ?`, [timeUs, executionId]),
  );
}

onEveryStore("rule 31: nothing is to be done in an empty store, nor for what waits for its time", async (setup) => {
  const { store } = setup;
  assert.deepEqual(await store.pending(home), nothing);
  const nowUs = await setup.nowUs();
  await submitAll(setup, [newExecution({ readyUs: nowUs + HOUR_US, policy: limited })]);
  assert.deepEqual(await store.pending(home), nothing);
});

onEveryStore("rule 31: READY rows are told of until they are claimed", async (setup) => {
  const { store } = setup;
  await submitAll(setup, [newExecution()]);
  assert.deepEqual(await store.pending(home), { ...nothing, claims: true });
  const placement = await addExecutor(setup);
  await store.claim({ routeId, slots: slots(placement, 5) });
  assert.deepEqual(await store.pending(home), nothing);
});

onEveryStore("rule 25: stops are told of to the home of their executor, and to no other", async (setup) => {
  const { store } = setup;
  const one = await dispatched(setup, await addExecutor(setup));
  assert.deepEqual(await store.pending(home), nothing);
  await store.stopAttempt(keyOf(one), "REROUTE", "");
  assert.deepEqual(await store.pending(home), { ...nothing, stops: true });
  assert.deepEqual(await store.pending("scheduler-2" as SchedulerId), nothing);
});

onEveryStore("rule 24: what waits past its start deadline is told of, what is on its way is not", async (setup) => {
  const { store } = setup;
  const sent = await dispatched(setup, await addExecutor(setup), { policy: limited });
  const readyUs = (await setup.nowUs()) + HOUR_US;
  const [waiting] = await submitAll(setup, [newExecution({ readyUs, policy: limited })]);
  assert.ok(waiting);
  await setTime(setup, "start_deadline_us", sent, 2);
  assert.deepEqual(await store.pending(home), nothing);
  await setTime(setup, "start_deadline_us", waiting, 3);
  assert.deepEqual(await store.pending(home), { ...nothing, expiries: true });
  await store.expire(10);
  assert.deepEqual(await store.pending(home), nothing);
});

onEveryStore("rule 7: a gate is told of once its time to be tried has come", async (setup) => {
  const { store, sql } = setup;
  const uid = jobUid("one");
  const gated = () => newExecution({ jobId: "job-1", jobUid: uid, gateKeys: [`job:${uid}`], overlap: "QUEUE_ALL" });
  await submitAll(setup, [gated(), gated()]);
  await store.admit(10);
  const tryAt = (timeUs: number) => sql((session) => session.execute("UPDATE gates SET try_us = ?", [timeUs]));
  await tryAt((await setup.nowUs()) + HOUR_US);
  assert.deepEqual(await store.pending(home), { ...nothing, claims: true });
  await tryAt(1);
  assert.deepEqual(await store.pending(home), { ...nothing, claims: true, gates: true });
  await store.admit(10);
  assert.deepEqual(await store.pending(home), { ...nothing, claims: true });
});
