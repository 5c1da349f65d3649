import assert from "node:assert/strict";
import { test } from "node:test";
import { type Execution, ExecutionState, ExecutionView } from "../../../gen/jobmesh/v1/execution.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import type { CallOptions } from "../../../services/common/rpc/call-options.ts";
import { errorOf, type TestApi, testApi } from "./setup.ts";

/** A wait for an execution's end, once the server has taken it. */
async function startWait(api: TestApi, executionId: string, options: CallOptions = {}): Promise<Wait> {
  const before = api.waits.count;
  const request = { executionId, waitUntilEnded: true, view: ExecutionView.EXECUTION_VIEW_BASIC };
  const ended = api.executions.getExecution(request, options).then(({ execution }) => execution);
  ended.catch(() => undefined);
  while (api.waits.count === before) await new Promise((resolve) => setImmediate(resolve));
  return { ended };
}

/** A call that waits; await on the call itself would wait with it. */
type Wait = { readonly ended: Promise<Execution | undefined> };

/** Ends it in the store, as another scheduler does of which no hint comes. */
const endElsewhere = (api: TestApi, { executionId }: Execution) =>
  api.store.executions.requestStop(executionId as ExecutionId, "CANCEL", "elsewhere");

test("a wait for what has ended answers at once", async (t) => {
  const api = await testApi(t);
  const { executionId } = await api.submit();
  await api.executions.cancelExecution({ executionId, reason: "" });
  const request = { executionId, waitUntilEnded: true, view: ExecutionView.EXECUTION_VIEW_FULL };
  assert.equal((await api.executions.getExecution(request)).execution?.state, ExecutionState.EXECUTION_STATE_CANCELLED);
});

test("a hint ends a wait at once; others go on", async (t) => {
  const api = await testApi(t);
  api.waits.start();
  const one = await api.submit();
  const two = await api.submit();
  const waits = [await startWait(api, one.executionId), await startWait(api, one.executionId)];
  const other = await startWait(api, two.executionId);
  await api.executions.cancelExecution({ executionId: one.executionId, reason: "" });
  for (const wait of waits) assert.equal((await wait.ended)?.state, ExecutionState.EXECUTION_STATE_CANCELLED);
  assert.equal(api.waits.count, 1);
  await api.executions.cancelExecution({ executionId: two.executionId, reason: "" });
  assert.equal((await other.ended)?.executionId, two.executionId);
  assert.equal(api.waits.count, 0);
});

test("an end that no hint told is found in the store within 250 ms", async (t) => {
  const api = await testApi(t);
  api.waits.start();
  const execution = await api.submit();
  const wait = await startWait(api, execution.executionId);
  await endElsewhere(api, execution);
  await api.clock.advance(249);
  assert.equal(api.waits.count, 1);
  await api.clock.advance(1);
  assert.equal((await wait.ended)?.state, ExecutionState.EXECUTION_STATE_CANCELLED);
});

test("a wait outlives the store's absence", async (t) => {
  const api = await testApi(t);
  api.waits.start();
  const execution = await api.submit();
  const wait = await startWait(api, execution.executionId);
  await endElsewhere(api, execution);
  api.outage.names = ["states"];
  await api.clock.advance(1_000);
  assert.equal(api.waits.count, 1);
  api.outage.names = null;
  await api.clock.advance(250);
  assert.equal((await wait.ended)?.state, ExecutionState.EXECUTION_STATE_CANCELLED);
});

test("a wait ends at the call's deadline with DEADLINE_EXCEEDED, and is forgotten", async (t) => {
  const api = await testApi(t);
  api.waits.start();
  const { executionId } = await api.submit();
  const { ended } = await startWait(api, executionId, { timeoutMs: 100 });
  const error = await errorOf(ended);
  assert.deepEqual([error.code, error.reason], ["DEADLINE_EXCEEDED", "DEADLINE"]);
  while (api.waits.count > 0) await new Promise((resolve) => setImmediate(resolve));
});

test("a wait whose caller goes is forgotten", async (t) => {
  const api = await testApi(t);
  api.waits.start();
  const { executionId } = await api.submit();
  const caller = new AbortController();
  const call = await startWait(api, executionId, { signal: caller.signal });
  caller.abort();
  await assert.rejects(call.ended);
  while (api.waits.count > 0) await new Promise((resolve) => setImmediate(resolve));
});

test("a server that stops ends its waits as UNAVAILABLE, so that they go on elsewhere", async (t) => {
  const api = await testApi(t);
  api.waits.start();
  const { executionId } = await api.submit();
  const call = await startWait(api, executionId);
  const stopped = api.server.stop(10_000);
  const error = await errorOf(call.ended);
  assert.deepEqual([error.code, error.reason], ["UNAVAILABLE", "SHUTTING_DOWN"]);
  await stopped;
});

test("a wait that a stopping scheduler wakes does not spin", async (t) => {
  const api = await testApi(t);
  api.waits.start();
  const { executionId } = await api.submit();
  const reads: string[] = [];
  const call = await startWait(api, executionId, { timeoutMs: 5_000 });
  api.base.before.statement = (name) => void reads.push(name);
  await api.waits.stop();
  const error = await errorOf(call.ended);
  assert.equal(error.code, "UNAVAILABLE");
  assert.ok(reads.length < 5, `${reads.length} statements`);
});

test("one more wait than can be held is refused as OVERLOADED, with how long to wait", async (t) => {
  const api = await testApi(t, { maxWaiters: 2 });
  api.waits.start();
  const { executionId } = await api.submit();
  const held = [await startWait(api, executionId), await startWait(api, executionId)];
  const request = { executionId, waitUntilEnded: true, view: ExecutionView.EXECUTION_VIEW_FULL };
  const error = await errorOf(api.executions.getExecution(request));
  assert.deepEqual([error.code, error.reason, error.retryDelayMs], ["RESOURCE_EXHAUSTED", "OVERLOADED", 1_000]);
  await api.executions.cancelExecution({ executionId, reason: "" });
  await Promise.all(held.map(({ ended }) => ended));
});

test("100,000 calls wait on one scheduler; one more is OVERLOADED", async (t) => {
  const api = await testApi(t);
  const { executionId } = await api.submit();
  api.waits.start();
  const wait = () => api.waits.wait(executionId as ExecutionId, new AbortController().signal);
  const waits = Array.from({ length: 100_000 }, wait);
  assert.throws(wait, { reason: "OVERLOADED", message: "100000 calls wait already" });
  await api.executions.cancelExecution({ executionId, reason: "" });
  await Promise.all(waits);
  assert.equal(api.waits.count, 0);
});
