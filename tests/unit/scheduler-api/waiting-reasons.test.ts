/** Why executions wait for an executor: in GetExecution, in lists, and as a filter. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutionState, ExecutionView, StateReason } from "../../../gen/jobmesh/v1/execution.ts";
import { type DeepPartial, ExecutionFilter } from "../../../gen/jobmesh/v1/execution_service.ts";
import { RoutingStrategy } from "../../../gen/jobmesh/v1/job.ts";
import { routeIdOf } from "../../../services/common/domain/route.ts";
import { errorOf, jsonHandler, REPORT, registerReport, type TestApi, testApi } from "./setup.ts";

const {
  STATE_REASON_UNSPECIFIED: PLAIN,
  STATE_REASON_NO_MATCHING_EXECUTOR: NO_EXECUTOR,
  STATE_REASON_NO_FREE_SLOT: NO_SLOT,
  STATE_REASON_CANCEL_REQUESTED: CANCELLED,
} = StateReason;

const zone = (name: string) => ({ policy: { routing: { executorLabels: { zone: name } } } });

/** Executions by name: `full` waits for a slot, `nobody` and `handler` for an executor, `soon` for its dispatch. */
async function sample(api: TestApi): Promise<void> {
  await registerReport(api);
  const executor = await api.join("e", 1, { labels: { zone: "full" } });
  await api.submit({ name: "runs", ...zone("full") });
  executor.beat(0, 1);
  await api.clock.settle();
  await api.beats.runOnce();
  await api.submit({ name: "full", ...zone("full") });
  await api.submit({ name: "nobody", ...zone("nowhere") });
  await api.submit({ name: "handler", target: jsonHandler(REPORT, {}) });
  const { executionId } = await api.submit({ name: "cancelled", ...zone("nowhere") });
  await api.executions.cancelExecution({ executionId, reason: "" });
  await api.submit({ name: "later", scheduledTime: { seconds: 9_000_000_000n }, ...zone("nowhere") });
  await api.submit({ name: "soon", ...zone("free") });
  await api.join("f", 1, { labels: { zone: "free" } });
  await api.beats.runOnce();
}

async function filtered(api: TestApi, filter: DeepPartial<ExecutionFilter>): Promise<string[]> {
  const { executions } = await api.list({ filter });
  const { counts } = await api.executions.countExecutions({ filter: ExecutionFilter.fromPartial(filter) });
  const count = counts.reduce((sum, one) => sum + Number(one.count), 0);
  assert.equal(count, executions.length, "CountExecutions counts what ListExecutions lists");
  return executions.map(({ name }) => name).sort();
}

test("a list shows why each execution waits, as GetExecution does, in both views", async (t) => {
  const api = await testApi(t);
  await sample(api);
  const wanted: Readonly<Record<string, StateReason>> = {
    runs: PLAIN,
    full: NO_SLOT,
    nobody: NO_EXECUTOR,
    handler: NO_EXECUTOR,
    cancelled: CANCELLED,
    later: PLAIN,
    soon: PLAIN,
  };
  for (const view of [ExecutionView.EXECUTION_VIEW_BASIC, ExecutionView.EXECUTION_VIEW_FULL]) {
    const { executions } = await api.list({ view });
    assert.deepEqual(Object.fromEntries(executions.map(({ name, stateReason }) => [name, stateReason])), wanted);
    for (const execution of executions) {
      const { stateReason, stateMessage } = await api.get(execution.executionId);
      assert.deepEqual([stateReason, stateMessage], [execution.stateReason, execution.stateMessage], execution.name);
    }
  }
  const { executions } = await api.list({ filter: { labels: {} } });
  const messages = Object.fromEntries(executions.map(({ name, stateMessage }) => [name, stateMessage]));
  assert.equal(
    messages.nobody,
    "no registered executor runs a command of namespace default with the labels zone=nowhere",
  );
  assert.equal(messages.handler, `no registered executor runs ${REPORT} of namespace default`);
  assert.equal(messages.full, "no executor that can run it has a free slot; 1 could run it");
});

test("a page asks for the executors once, however many of it wait, and not at all when none does", async (t) => {
  const api = await testApi(t);
  for (let at = 0; at < 50; at += 1) await api.submit(zone(`z${at % 5}`));
  const reads = new Map<string, number>();
  api.base.before.statement = (name) => void reads.set(name, (reads.get(name) ?? 0) + 1);
  const { executions } = await api.list({});
  assert.deepEqual([executions.length, executions.every(({ stateReason }) => stateReason === NO_EXECUTOR)], [50, true]);
  const ofFifty = Object.fromEntries(reads);
  assert.deepEqual(Object.keys(ofFifty).sort(), ["executor.live", "list_executions", "route.texts"]);
  reads.clear();
  await api.list({ pageSize: 1 });
  assert.deepEqual(Object.fromEntries(reads), ofFifty, "as many statements for one as for fifty");
  reads.clear();
  await api.list({ filter: { states: [ExecutionState.EXECUTION_STATE_SUCCEEDED] } });
  assert.deepEqual([...reads.keys()], ["list_executions"]);
});

test("the filter by reasons finds what waits for an executor, among reasons that are stored", async (t) => {
  const api = await testApi(t);
  await sample(api);
  assert.deepEqual(await filtered(api, { reasons: [NO_EXECUTOR] }), ["handler", "nobody"]);
  assert.deepEqual(await filtered(api, { reasons: [NO_SLOT] }), ["full"]);
  assert.deepEqual(await filtered(api, { reasons: [NO_SLOT, NO_EXECUTOR] }), ["full", "handler", "nobody"]);
  assert.deepEqual(await filtered(api, { reasons: [PLAIN] }), ["later", "runs", "soon"]);
  assert.deepEqual(await filtered(api, { reasons: [PLAIN, NO_SLOT] }), ["full", "later", "runs", "soon"]);
  assert.deepEqual(await filtered(api, { reasons: [CANCELLED] }), ["cancelled"]);
  assert.deepEqual(await filtered(api, { reasons: [CANCELLED, NO_SLOT] }), ["cancelled", "full"]);
  assert.deepEqual(await filtered(api, { reasons: [NO_EXECUTOR], handlerMethod: REPORT }), ["handler"]);
  assert.deepEqual(await filtered(api, { reasons: [NO_EXECUTOR], namespace: "other" }), []);
  const running = [ExecutionState.EXECUTION_STATE_DISPATCHED];
  assert.deepEqual(await filtered(api, { reasons: [PLAIN, NO_EXECUTOR], states: running }), ["runs"]);
});

test("an executor that joins changes the reason, and what the filter finds", async (t) => {
  const api = await testApi(t);
  const { executionId } = await api.submit({ name: "one", ...zone("a") });
  assert.deepEqual(await filtered(api, { reasons: [NO_EXECUTOR] }), ["one"]);
  await api.join("e", 0, { labels: { zone: "a" } });
  await api.beats.runOnce();
  assert.deepEqual(await filtered(api, { reasons: [NO_EXECUTOR] }), []);
  assert.deepEqual(await filtered(api, { reasons: [NO_SLOT] }), ["one"]);
  assert.equal((await api.get(executionId)).stateReason, NO_SLOT);
});

test("pages of the filter go on while executions are added", async (t) => {
  const api = await testApi(t);
  for (let at = 0; at < 7; at += 1) await api.submit({ name: `n${at}`, ...zone(`z${at % 3}`) });
  const filter = { reasons: [NO_EXECUTOR] };
  const first = await api.list({ filter, pageSize: 4 });
  await api.clock.advance(1);
  await api.submit({ name: "new", ...zone("z9") });
  const rest = await api.list({ filter, pageSize: 4, pageToken: first.nextPageToken });
  const names = [...first.executions, ...rest.executions].map(({ name }) => name);
  assert.deepEqual(names.sort(), ["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
});

test("work on more routes than a filter tells apart is RESOURCE_EXHAUSTED, and other filters answer", async (t) => {
  const api = await testApi(t);
  const waitingRoutes = Array.from({ length: 5_001 }, (_, at) => ({ routeId: routeIdOf(`route ${at}`), bestRank: 0 }));
  const { executions } = api.store;
  const real = executions.waitingRoutes.bind(executions);
  t.after(() => Object.assign(executions, { waitingRoutes: real }));
  Object.assign(executions, { waitingRoutes: async () => waitingRoutes });
  const error = await errorOf(api.list({ filter: { reasons: [NO_SLOT] } }));
  assert.deepEqual([error.code, error.reason, error.retryDelayMs], ["RESOURCE_EXHAUSTED", "OVERLOADED", 10_000]);
  assert.deepEqual(await filtered(api, { reasons: [CANCELLED] }), []);
  waitingRoutes.pop();
  assert.deepEqual(await filtered(api, { reasons: [NO_SLOT] }), []);
});

test("rule 32: what is pinned waits for a slot of its own executor, and says whose turn it is", async (t) => {
  const api = await testApi(t);
  const full = await api.join("full", 0);
  await api.join("room", 4);
  full.beat(0);
  await api.clock.settle();
  await api.beats.runOnce();
  const routing = { strategy: RoutingStrategy.ROUTING_STRATEGY_ROUND_ROBIN };
  const first = await api.submit({ policy: { routing } });
  const reasonOf = async () => {
    const { execution } = await api.executions.getExecution({
      executionId: first.executionId,
      waitUntilEnded: false,
      view: 0,
    });
    return [execution?.stateReason, execution?.stateMessage];
  };
  assert.deepEqual(await reasonOf(), [PLAIN, ""], "not pinned yet");
  const { executions } = api.store;
  for (const { routeId } of await executions.waitingRoutes()) await executions.pin(routeId, 10);
  assert.deepEqual(await reasonOf(), [NO_SLOT, "executor full, whose turn it is, has no free slot"]);
  assert.deepEqual(await filtered(api, { reasons: [NO_SLOT] }), [""]);
});
