import assert from "node:assert/strict";
import { test } from "node:test";
import type { NewExecution } from "../../../services/common/domain/execution.ts";
import type { RouteId } from "../../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { StoreUnavailable } from "../../../services/common/port/store.ts";
import { testExecution } from "../../support/new-execution.ts";
import { type SchedulerCore, schedulerCore } from "../../support/scheduler-core.ts";

const NEVER = new AbortController().signal;

async function queue(core: SchedulerCore, count: number, changes: Partial<NewExecution> = {}): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, () =>
      core.submitter.submit({ execution: testExecution(core.nowUs(), changes), request: null }),
    ),
  );
}

test("rule 6: claims go best head first over all routes, until the room is used", async (t) => {
  const core = await schedulerCore(t);
  await queue(core, 2, { namespace: "low", policy: { ...defaultPolicy, priority: -10 } });
  await queue(core, 2, { namespace: "high", policy: { ...defaultPolicy, priority: 10 } });
  const executor = await core.join("one", 3);
  assert.deepEqual(await core.dispatcher.runOnce(NEVER), { claimed: 3, more: false });
  await core.clock.settle();
  assert.deepEqual(
    executor.orders.map(({ namespace }) => namespace),
    ["high", "high", "low"],
  );
});

test("rule 6: what no executor here can run does not stand in front of what one can", async (t) => {
  const core = await schedulerCore(t);
  const executorLabels = { zone: "elsewhere" };
  await queue(core, 3, { policy: { ...defaultPolicy, priority: 900, executorLabels } });
  await queue(core, 1);
  const executor = await core.join("one", 4);
  assert.equal((await core.dispatcher.runOnce(NEVER)).claimed, 1);
  await core.clock.settle();
  assert.equal(executor.orders.length, 1);
  assert.equal(core.roster.room(core.routes.of(testExecution(core.nowUs()))), 3, "unused slots came back");
});

test("claims take as many rows as there are slots, one pass after the other while room and rows are left", async (t) => {
  const core = await schedulerCore(t);
  await queue(core, 1_200);
  const executor = await core.join("one", 1_100, { slots: 1_100 });
  assert.deepEqual(await core.dispatcher.runOnce(NEVER), { claimed: 500, more: true });
  core.start();
  await core.clock.settle();
  assert.equal(executor.orders.length, 1_100);
  assert.equal(new Set(executor.orders.map(({ key }) => key.executionId)).size, 1_100);
  executor.beat(50, 1_100);
  await core.clock.settle();
  assert.equal(executor.orders.length, 1_150, "the beat's room is claimed without time passing");
});

test("rule 31: a READY row of another scheduler is claimed within 250 ms without any hint", async (t) => {
  const core = await schedulerCore(t);
  const other = await schedulerCore(t, { base: core.base, schedulerId: "scheduler-2" });
  const executor = await core.join("one", 1);
  core.start();
  await core.clock.settle();
  await queue(other, 1);
  await core.clock.advance(250);
  assert.equal(executor.orders.length, 1);
});

test("rule 31: a hint of a peer is claimed at once", async (t) => {
  const core = await schedulerCore(t);
  const other = await schedulerCore(t, { base: core.base, schedulerId: "scheduler-2" });
  other.hints.on("ready", (hint) => core.hints.tell(hint, "peer"));
  const executor = await core.join("one", 1);
  core.start();
  await core.clock.settle();
  await queue(other, 1);
  await core.clock.settle();
  assert.equal(executor.orders.length, 1);
});

test("rule 31: after a hint of a waiting row nothing of equal priority is dispatched directly, until a sweep finds it gone", async (t) => {
  const core = await schedulerCore(t);
  await core.join("one", 4);
  const { routeId } = testExecution(core.nowUs());
  core.waiting.note(routeId, 1_000);
  const submit = () => core.submitter.submit({ execution: testExecution(core.nowUs()), request: null });
  const before = await submit();
  assert.equal(before.kind === "stored" && before.execution.state, "READY");
  await core.dispatcher.runOnce(NEVER);
  assert.equal(core.waiting.size, 0);
  const after = await submit();
  assert.equal(after.kind === "stored" && after.execution.state, "DISPATCHED");
});

test("rule 31: a sweep forgets what does not wait any more, and knows of rows that nobody hinted", async (t) => {
  const core = await schedulerCore(t);
  const other = await schedulerCore(t, { base: core.base, schedulerId: "scheduler-2" });
  core.waiting.note(testExecution(core.nowUs(), { namespace: "gone" }).routeId, 0);
  await queue(other, 1);
  const executor = await core.join("one", 0);
  await core.dispatcher.runOnce(NEVER);
  assert.equal(core.waiting.size, 1);
  executor.beat(1);
  await core.clock.settle();
  const outcome = await core.submitter.submit({ execution: testExecution(core.nowUs()), request: null });
  assert.equal(outcome.kind === "stored" && outcome.execution.state, "READY");
});

test("rule 31: what is noted while a sweep reads outlives its answer", async (t) => {
  const core = await schedulerCore(t);
  await core.join("one", 1);
  const { routeId } = testExecution(core.nowUs());
  core.base.before.statement = (name) => {
    if (name === "waiting_routes") core.waiting.note(routeId, 1_000);
  };
  await core.dispatcher.runOnce(NEVER);
  assert.equal(core.waiting.size, 1);
});

test("with more waiting routes than are remembered nothing is dispatched directly, until a sweep finds fewer", async (t) => {
  const core = await schedulerCore(t);
  await core.join("one", 1);
  for (let id = 1; id <= 1_000; id += 1) core.waiting.note(BigInt(id) as RouteId, 1_500);
  const own = testExecution(core.nowUs());
  const route = core.routes.of(own);
  assert.equal(core.waiting.blocks(own.routeId, route, 1_000), false);
  core.waiting.note(1_001n as RouteId, 1_500);
  assert.equal(core.waiting.blocks(own.routeId, route, 1_000), true);
  await core.dispatcher.runOnce(NEVER);
  assert.equal(core.waiting.blocks(own.routeId, route, 1_000), false);
});

test("two schedulers that claim the same route never get the same row", async (t) => {
  const core = await schedulerCore(t);
  const other = await schedulerCore(t, { base: core.base, schedulerId: "scheduler-2" });
  await queue(core, 30);
  const one = await core.join("one", 20, { slots: 20 });
  const two = await other.join("two", 20, { slots: 20 });
  await Promise.all([core.dispatcher.runOnce(NEVER), other.dispatcher.runOnce(NEVER)]);
  await core.clock.settle();
  const claimed = [...one.orders, ...two.orders].map(({ key }) => key.executionId);
  assert.equal(claimed.length, 30);
  assert.equal(new Set(claimed).size, 30);
});

test("a claim that finds the store away gives its slots back, and the loop goes on", async (t) => {
  const core = await schedulerCore(t);
  await queue(core, 1);
  const executor = await core.join("one", 1);
  core.outage.names = ["claim"];
  await assert.rejects(core.dispatcher.runOnce(NEVER), StoreUnavailable);
  assert.equal(core.roster.anyRoom(), true);
  core.start();
  await core.clock.settle();
  core.outage.names = null;
  await core.clock.advance(250);
  assert.equal(executor.orders.length, 1);
});

test("without an executor nothing is asked of the store; without room, only what direct dispatch must know", async (t) => {
  const core = await schedulerCore(t);
  await queue(core, 1);
  core.outage.names = [];
  assert.deepEqual(await core.dispatcher.runOnce(NEVER), { claimed: 0, more: false });
  core.outage.names = null;
  await core.join("one", 0);
  await core.dispatcher.runOnce(NEVER);
  core.outage.names = [];
  assert.deepEqual(await core.dispatcher.runOnce(NEVER), { claimed: 0, more: false });
  await core.clock.advance(250);
  await assert.rejects(core.dispatcher.runOnce(NEVER), StoreUnavailable, "the sweep is due again");
});
