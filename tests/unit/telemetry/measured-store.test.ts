import assert from "node:assert/strict";
import { test } from "node:test";
import type { NewExecution } from "../../../services/common/domain/execution.ts";
import type { JobUid } from "../../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { StoreUnavailable } from "../../../services/common/port/store.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { createMetrics } from "../../../services/common/telemetry/create-metrics.ts";
import { heardStore } from "../../../services/scheduler/heard-store.ts";
import { measured } from "../../../services/scheduler/measured-calls.ts";
import { countingListeners, storeSeconds } from "../../../services/scheduler/measured-store.ts";
import {
  addExecutor,
  dispatched,
  failed,
  newExecution,
  resultOf,
  routeId,
  type StoreSetup,
  slots,
  submitAll,
} from "../../support/execution-store.ts";
import { Scrape } from "../../support/scrape.ts";
import { storeBackends } from "../../support/store.ts";

async function setup() {
  const backend = storeBackends.find(({ name }) => name === "sqlite memory") ?? assert.fail();
  const opened = await backend.open();
  const metrics = await createMetrics({ serviceName: "jobmesh-test", instanceId: "i", version: "1" });
  const store = heardStore(opened.store, [countingListeners(metrics)], storeSeconds(metrics, new SystemClock()));
  return {
    store,
    rig: { kind: opened.kind, store: store.executions, sql: opened.sql } as StoreSetup,
    scrape: async () => new Scrape(await metrics.render()),
    [Symbol.asyncDispose]: async () => {
      await metrics.stop();
      await opened.close();
    },
  };
}

test("submissions, dispatches, results and ends are counted by what the store answered", async () => {
  await using measuring = await setup();
  const { rig } = measuring;
  const executor = await addExecutor(rig);
  const direct = await dispatched(rig, executor);
  await submitAll(rig, [newExecution({ cause: "RUN_JOB" }), newExecution()]);
  const [claimed] = await rig.store.claim({ routeId, slots: slots(executor, 1) });
  assert.ok(claimed);
  await rig.store.storeResults([resultOf(direct), resultOf(claimed, failed())], null);
  // The same once more: the attempts are not current any more.
  await rig.store.storeResults([resultOf(direct)], null);
  const seen = await measuring.scrape();
  assert.equal(seen.value('jobmesh_submissions_total{source="submit"}'), 2);
  assert.equal(seen.value('jobmesh_submissions_total{source="run"}'), 1);
  assert.equal(seen.value('jobmesh_dispatches_total{way="direct"}'), 1);
  assert.equal(seen.value('jobmesh_dispatches_total{way="claim"}'), 1);
  assert.equal(seen.value('jobmesh_results_total{outcome="stored"}'), 2);
  assert.equal(seen.value('jobmesh_results_total{outcome="stale"}'), 1);
  assert.equal(seen.value('jobmesh_attempts_ended_total{state="FAILED"}'), 1);
  assert.equal(seen.value('jobmesh_executions_ended_total{state="SUCCEEDED"}'), 1);
  assert.equal(seen.value("jobmesh_submit_group_rows_count"), 2);
  assert.equal(seen.value('jobmesh_store_seconds_count{call="executions.claim"}'), 1);
});

test("a loss is counted by whoever declared it, and its attempts as LOST", async () => {
  await using measuring = await setup();
  const { store, rig } = measuring;
  const { executorId, incarnation } = await addExecutor(rig);
  await dispatched(rig, { executorId, incarnation, sessionNumber: 1 });
  const [record] = await store.executors.live();
  assert.ok(record);
  assert.equal(await store.executors.declareLost(executorId, incarnation, record.heardUs), true);
  assert.equal(await store.executors.declareLost(executorId, incarnation, record.heardUs), false);
  await store.executions.endLost(executorId, incarnation, 10);
  const seen = await measuring.scrape();
  assert.equal(seen.value("jobmesh_executors_lost_total"), 1);
  assert.equal(seen.value('jobmesh_attempts_ended_total{state="LOST"}'), 1);
});

test("a call that fails goes through as it came: timed, and heard by nobody", async () => {
  const tooks: number[] = [];
  const heard: unknown[] = [];
  let nowMs = 5;
  const part = {
    get: async (id: string): Promise<string> => {
      nowMs += 7;
      if (id === "away") throw new StoreUnavailable("away");
      return `${id}!`;
    },
  };
  const measure = () => ({ nowMs: () => nowMs, took: (ms: number) => void tooks.push(ms) });
  const wrapped = measured(part, "part", measure, [{ get: (answer, id) => void heard.push([answer, id]) }]);
  assert.equal(await wrapped.get("a"), "a!");
  await assert.rejects(wrapped.get("away"), StoreUnavailable);
  assert.deepEqual(heard, [["a!", "a"]]);
  assert.deepEqual(tooks, [7, 7]);
});

test("what its start deadline ends is counted once", async () => {
  await using measuring = await setup();
  const { rig } = measuring;
  await submitAll(rig, [newExecution({ policy: { ...defaultPolicy, startDeadlineMs: 1 }, readyUs: 1_000 })]);
  assert.equal((await rig.store.expire(10)).length, 1);
  assert.equal((await rig.store.expire(10)).length, 0);
  assert.equal((await measuring.scrape()).value('jobmesh_executions_ended_total{state="EXPIRED"}'), 1);
});

test("what a call back and an overlap policy end is counted once", async () => {
  await using measuring = await setup();
  const { rig } = measuring;
  const later = { readyUs: (await measuring.store.nowUs()) + 60_000_000, jobUid: "gone" as JobUid };
  const waiting = (): NewExecution => newExecution({ ...later, gateKeys: ["job:gone"], overlap: "SKIP" });
  const [first, second, third] = await submitAll(rig, [waiting(), waiting(), waiting()]);
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  await submitAll(rig, [newExecution({ gateKeys: ["job:gone"] })]);
  await rig.sql((session) => session.execute("UPDATE executions SET ready_us = 1"));
  assert.deepEqual(await rig.store.makeReady([first.executionId]), [
    { executionId: first.executionId, ended: "SKIPPED" },
  ]);
  // Two that came back, whose job is gone by now.
  const back = "UPDATE executions SET state_reason = 15 WHERE state = 1";
  await rig.sql((session) => session.execute(back));
  const held = { executionId: second.executionId, attempt: 1, jobRevision: 1 };
  assert.deepEqual(await rig.store.releaseHeld([held]), ["cancelled"]);
  assert.deepEqual(await rig.store.releaseHeld([held]), ["back"]);
  await rig.store.makeReady([third.executionId]);
  const seen = await measuring.scrape();
  assert.equal(seen.value('jobmesh_executions_ended_total{state="SKIPPED"}'), 1);
  assert.equal(seen.value('jobmesh_executions_ended_total{state="CANCELLED"}'), 2);
});
