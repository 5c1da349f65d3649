/** Rules 9 and 10: a fire is one transaction that is compared with its job. */
import assert from "node:assert/strict";
import { SqlJobStore } from "../../services/common/adapter/sql/jobs.ts";
import type { NewExecution } from "../../services/common/domain/execution.ts";
import { fireExecutionId } from "../../services/common/domain/execution-id.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import type { Job } from "../../services/common/domain/job.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import type { Fire } from "../../services/common/port/store-jobs.ts";
import {
  addExecutor,
  newExecution,
  onEveryStore,
  resultOf,
  routeId,
  type StoreSetup,
  slots,
} from "../support/execution-store.ts";

const uid = "22222222-2222-4222-8222-222222222222" as JobUid;
const T0_US = 1_700_000_000_000_000;
const STEP_US = 10_000_000;

type FireSetup = StoreSetup & { readonly jobs: SqlJobStore };

async function withJob(setup: StoreSetup): Promise<FireSetup> {
  const jobs = new SqlJobStore(setup.database);
  const outcome = await jobs.create(
    {
      namespace: "default",
      jobId: "job-1",
      name: "",
      description: "",
      labels: {},
      target: newExecution().target,
      schedule: null,
      policy: defaultPolicy,
      jobUid: uid,
      shard: 9,
      nextFireUs: T0_US,
    },
    null,
  );
  assert.equal(outcome.kind, "created");
  return { ...setup, jobs };
}

async function job({ jobs }: FireSetup): Promise<Job> {
  return (await jobs.getByUid(uid)) ?? assert.fail();
}

function fired(nominalUs: number, more: Partial<NewExecution> = {}): NewExecution {
  return newExecution({
    executionId: fireExecutionId(uid, nominalUs / 1_000, 0),
    jobId: "job-1",
    jobUid: uid,
    jobRevision: 1,
    cause: "SCHEDULE",
    scheduledUs: nominalUs,
    readyUs: nominalUs,
    ...more,
  });
}

function fireAt(nominalUs: number, more: Partial<Fire> = {}): Fire {
  return {
    jobUid: uid,
    revision: 1,
    nominalUs,
    nextUs: nominalUs + STEP_US,
    executions: [fired(nominalUs)],
    skipped: [],
    ...more,
  };
}

const gateKeys = [`job:${uid}`];

onEveryStore("rule 9: a fire makes its execution and moves the job, in one", async (plain) => {
  const setup = await withJob(plain);
  const outcome = await setup.jobs.fire(fireAt(T0_US));
  const id = fireExecutionId(uid, T0_US / 1_000, 0);
  assert.deepEqual(outcome, { kind: "fired", readyIds: [id], skippedIds: [] });
  const made = await setup.store.get(id);
  assert.deepEqual([made?.state, made?.cause, made?.scheduledUs], ["READY", "SCHEDULE", T0_US]);
  const { nextFireUs, lastFireUs, fireCount } = await job(setup);
  assert.deepEqual([nextFireUs, lastFireUs, fireCount], [T0_US + STEP_US, T0_US, 1]);
  assert.equal((await setup.jobs.due([9], T0_US + STEP_US, 5)).length, 1);
});

onEveryStore("rule 9: a schedule that ends leaves the timers", async (plain) => {
  const setup = await withJob(plain);
  await setup.jobs.fire(fireAt(T0_US, { nextUs: null }));
  assert.equal((await job(setup)).nextFireUs, null);
  assert.deepEqual(await setup.jobs.due([9], T0_US + 99 * STEP_US, 5), []);
});

onEveryStore(
  "rule 7: a fire under CANCEL_RUNNING stops the one before it, in its own transaction, and counts",
  async (plain) => {
    const setup = await withJob(plain);
    const more = { gateKeys, overlap: "CANCEL_RUNNING" } as const;
    const first = fired(T0_US, more);
    await setup.jobs.fire(fireAt(T0_US, { executions: [first] }));
    const placement = await addExecutor(setup);
    const [running] = await setup.store.claim({ routeId: first.routeId, slots: slots(placement, 1) });
    assert.equal(running?.executionId, first.executionId);
    const nextUs = T0_US + STEP_US;
    const second = fired(nextUs, more);
    const outcome = await setup.jobs.fire(fireAt(nextUs, { executions: [second] }));
    assert.deepEqual(outcome, { kind: "fired", readyIds: [], skippedIds: [] });
    const stopped = await setup.store.get(first.executionId);
    assert.deepEqual([stopped?.state, stopped?.stop?.reason], ["DISPATCHED", "CANCEL"]);
    assert.equal((await setup.store.get(second.executionId))?.stateReason, "OVERLAP");
    assert.equal((await job(setup)).fireCount, 2);
  },
);

onEveryStore("rule 9: two owners that make the same fire make it once", async (plain) => {
  const setup = await withJob(plain);
  const outcomes = await Promise.all(Array.from({ length: 6 }, () => setup.jobs.fire(fireAt(T0_US))));
  assert.deepEqual(outcomes.map(({ kind }) => kind).sort(), ["fired", "stale", "stale", "stale", "stale", "stale"]);
  assert.equal((await setup.rows("SELECT execution_id FROM executions")).length, 1);
  assert.equal((await job(setup)).fireCount, 1);
});

onEveryStore("rule 9: a fire of a changed, paused or deleted job is stale and makes nothing", async (plain) => {
  const setup = await withJob(plain);
  assert.deepEqual(await setup.jobs.fire(fireAt(T0_US, { revision: 2 })), { kind: "stale" });
  assert.deepEqual(await setup.jobs.fire(fireAt(T0_US + STEP_US)), { kind: "stale" });
  await setup.sql((session) => session.execute("UPDATE jobs SET paused = 1"));
  assert.deepEqual(await setup.jobs.fire(fireAt(T0_US)), { kind: "stale" });
  await setup.sql((session) => session.execute("UPDATE jobs SET paused = 0"));
  await setup.jobs.pause("default", "job-1", "why");
  assert.deepEqual(await setup.jobs.fire(fireAt(T0_US)), { kind: "stale" });
  await setup.jobs.resume("default", "job-1", 1, T0_US);
  await setup.jobs.update({ ...(await job(setup)), name: "new" }, T0_US, null);
  assert.deepEqual(await setup.jobs.fire(fireAt(T0_US)), { kind: "stale" });
  assert.equal((await setup.jobs.fire(fireAt(T0_US, { revision: 2, executions: [] }))).kind, "fired");
  await setup.jobs.delete("default", "job-1", null);
  assert.deepEqual(await setup.jobs.fire(fireAt(T0_US + STEP_US, { revision: 2 })), { kind: "stale" });
  assert.deepEqual(await setup.rows("SELECT execution_id FROM executions"), []);
});

onEveryStore("rule 9: an execution that exists stays, and the fire moves on", async (plain) => {
  const setup = await withJob(plain);
  await setup.jobs.fire(fireAt(T0_US));
  const placement = await addExecutor(setup);
  const [claimed] = await setup.store.claim({ routeId, slots: slots(placement, 1) });
  assert.ok(claimed !== undefined);
  await setup.store.storeResults([resultOf(claimed)], null);
  const before = await setup.store.get(claimed.executionId);
  await setup.sql((session) => session.execute("UPDATE jobs SET next_fire_us = ?", [T0_US]));
  const outcome = await setup.jobs.fire(fireAt(T0_US));
  assert.deepEqual(outcome, { kind: "fired", readyIds: [], skippedIds: [] });
  assert.deepEqual(await setup.store.get(claimed.executionId), before);
  const { nextFireUs, fireCount } = await job(setup);
  assert.deepEqual([nextFireUs, fireCount], [T0_US + STEP_US, 1]);
});

onEveryStore("rule 10: fire_count counts what was made, not what was skipped", async (plain) => {
  const setup = await withJob(plain);
  const skipped = [
    {
      execution: fired(T0_US, { mergedCount: 11, mergedUntilUs: T0_US + 11 * STEP_US }),
      reason: "MISSED" as const,
      message: "12 fires were missed",
    },
  ];
  const last = T0_US + 12 * STEP_US;
  const outcome = await setup.jobs.fire(fireAt(T0_US, { skipped, executions: [fired(last)], nextUs: last + STEP_US }));
  assert.deepEqual(outcome.kind === "fired" && outcome.skippedIds, []);
  const record = await setup.store.get(fireExecutionId(uid, T0_US / 1_000, 0));
  assert.deepEqual(
    [record?.state, record?.stateReason, record?.stateMessage, record?.mergedCount],
    ["SKIPPED", "MISSED", "12 fires were missed", 11],
  );
  const { fireCount, lastFireUs, nextFireUs } = await job(setup);
  assert.deepEqual([fireCount, lastFireUs, nextFireUs], [1, last, last + STEP_US]);
});

onEveryStore("rule 7: the overlap policy is decided in the fire's transaction", async (plain) => {
  const setup = await withJob(plain);
  const one = (nominalUs: number, overlap: NewExecution["overlap"]) =>
    setup.jobs.fire(fireAt(nominalUs, { executions: [fired(nominalUs, { gateKeys, overlap })] }));
  const seen: unknown[] = [];
  for (const [index, overlap] of (["SKIP", "SKIP", "QUEUE_ONE", "QUEUE_ONE", "QUEUE_ALL"] as const).entries()) {
    const outcome = await one(T0_US + index * STEP_US, overlap);
    assert.equal(outcome.kind, "fired");
    seen.push([overlap, outcome.readyIds.length, outcome.skippedIds.length]);
  }
  assert.deepEqual(seen, [
    ["SKIP", 1, 0],
    ["SKIP", 0, 1],
    ["QUEUE_ONE", 0, 0],
    ["QUEUE_ONE", 0, 1],
    ["QUEUE_ALL", 0, 0],
  ]);
  assert.equal((await job(setup)).fireCount, 3);
  assert.deepEqual(await setup.store.recountGates(), []);
});

onEveryStore("rule 9: a jittered fire waits for its time, and refused then takes its one back", async (plain) => {
  const setup = await withJob(plain);
  const later = (await setup.nowUs()) + 60_000_000;
  const next = T0_US + STEP_US;
  await setup.jobs.fire(fireAt(T0_US, { executions: [fired(T0_US, { gateKeys, overlap: "SKIP", readyUs: later })] }));
  await setup.jobs.fire(fireAt(next, { executions: [fired(next, { gateKeys, overlap: "SKIP" })] }));
  assert.equal((await job(setup)).fireCount, 2);
  await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1"));
  const first = fireExecutionId(uid, T0_US / 1_000, 0);
  assert.deepEqual(await setup.store.makeReady([first]), [{ executionId: first, ended: "SKIPPED" }]);
  assert.equal((await setup.store.get(first))?.state, "SKIPPED");
  assert.equal((await job(setup)).fireCount, 1);
});

onEveryStore("rule 7: a gate begins with its job's limit, and a change of the job is felt at once", async (plain) => {
  const setup = await withJob(plain);
  const policy = { ...defaultPolicy, maxConcurrency: 1 };
  await setup.jobs.update({ ...(await job(setup)), policy }, T0_US, null);
  const two = [fired(T0_US, { gateKeys }), fired(T0_US + 1_000, { gateKeys })];
  const outcome = await setup.jobs.fire(fireAt(T0_US, { revision: 2, executions: two }));
  assert.equal(outcome.kind === "fired" && outcome.readyIds.length, 1);
  assert.deepEqual(await setup.store.admit(10), []);
  await setup.jobs.update({ ...(await job(setup)), policy: { ...policy, maxConcurrency: 2 } }, T0_US, null);
  assert.deepEqual(await setup.store.admit(10), [routeId]);
});
