import assert from "node:assert/strict";
import { test } from "node:test";
import type { NewExecution } from "../../../services/common/domain/execution.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { testExecution } from "../../support/new-execution.ts";
import { type SchedulerCore, schedulerCore } from "../../support/scheduler-core.ts";

/** Submits one and answers how it stands. */
async function submit(core: SchedulerCore, changes: Partial<NewExecution> = {}, requestId: string | null = null) {
  const request =
    requestId === null ? null : ({ namespace: "default", method: "submit", requestId, bodyHash: "1" } as const);
  const outcome = await core.submitter.submit({ execution: testExecution(core.nowUs(), changes), request });
  await core.clock.settle();
  return outcome.kind === "stored" ? outcome.execution.state : outcome.kind;
}

function isRefused(error: unknown): boolean {
  assert.ok(error instanceof JobmeshError);
  assert.deepEqual([error.reason, error.code, error.retryDelayMs], ["WAITING_LIMIT", "RESOURCE_EXHAUSTED", 1_000]);
  return true;
}

test("a submission is refused while as many executions are READY as may be, and taken once there is room", async (t) => {
  const core = await schedulerCore(t, { maxWaiting: 2 });
  assert.equal(await submit(core), "READY");
  assert.equal(await submit(core), "READY");
  await assert.rejects(submit(core), isRefused);
  await core.clock.advance(1_000);
  await assert.rejects(submit(core), isRefused, "the store is asked again, and has no room");
  const executor = await core.join("one", 1);
  await core.dispatcher.runOnce(new AbortController().signal);
  await core.clock.settle();
  assert.equal(executor.orders.length, 1);
  await core.clock.advance(1_000);
  assert.equal(await submit(core), "READY");
  await assert.rejects(submit(core), isRefused);
});

test("what goes to a free slot and what waits for its time does not count", async (t) => {
  const core = await schedulerCore(t, { maxWaiting: 1 });
  await core.join("one", 2);
  assert.equal(await submit(core), "DISPATCHED");
  assert.equal(await submit(core, { readyUs: core.nowUs() + 60_000_000 }), "SCHEDULED");
  assert.equal(await submit(core), "DISPATCHED");
  assert.equal(await submit(core), "READY");
  await assert.rejects(submit(core), isRefused);
});

test("what waits at its gate counts", async (t) => {
  const core = await schedulerCore(t, { maxWaiting: 2 });
  const gated = { gateKeys: ["job:1"], overlap: "QUEUE_ALL", jobId: "job-1" } as const;
  assert.equal(await submit(core, gated), "READY");
  assert.equal(await submit(core, gated), "READY");
  await assert.rejects(submit(core, gated), isRefused);
});

test("a repeat of a request_id is answered at the limit, and a new one is refused", async (t) => {
  const core = await schedulerCore(t, { maxWaiting: 1 });
  assert.equal(await submit(core, {}, "first"), "READY");
  assert.equal(await submit(core, {}, "first"), "repeated");
  await assert.rejects(submit(core, {}, "second"), isRefused);
});

test("what is READY since before this scheduler began counts from its second submission on", async (t) => {
  const before = await schedulerCore(t);
  assert.equal(await submit(before), "READY");
  const core = await schedulerCore(t, { base: before.base, schedulerId: "scheduler-2", maxWaiting: 1 });
  assert.equal(await submit(core), "READY");
  await assert.rejects(submit(core), isRefused);
});

test("with the store away a submission says so, not that there is no room", async (t) => {
  const core = await schedulerCore(t, { maxWaiting: 1 });
  assert.equal(await submit(core), "READY");
  await core.clock.advance(1_000);
  core.outage.names = [];
  await assert.rejects(submit(core), (error) => (error as JobmeshError).reason === "STORE_UNAVAILABLE");
});

test("the queue is counted once a second, however many come", async (t) => {
  const core = await schedulerCore(t, { maxWaiting: 1_000 });
  const counted: string[] = [];
  core.base.before.statement = (name) => void (name === "count_ready" && counted.push(name));
  for (let count = 0; count < 5; count++) await submit(core);
  const once = counted.length;
  await core.clock.advance(1_000);
  for (let count = 0; count < 5; count++) await submit(core);
  assert.equal(counted.length, once * 2);
});

test("a count that the store answered late is known for five seconds at most", async (t) => {
  const core = await schedulerCore(t, { maxWaiting: 1 });
  assert.equal(await submit(core), "READY");
  await core.clock.advance(1_000);
  core.base.before.statement = (name) => (name === "count_ready" ? core.clock.advance(2_000) : undefined);
  await assert.rejects(submit(core), isRefused);
  core.base.before.statement = () => undefined;
  const executor = await core.join("one", 1);
  await core.dispatcher.runOnce(new AbortController().signal);
  await core.clock.settle();
  assert.equal(executor.orders.length, 1);
  await core.clock.advance(4_900);
  await assert.rejects(submit(core), isRefused);
  await core.clock.advance(200);
  assert.equal(await submit(core), "READY");
});
