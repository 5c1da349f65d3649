/** Rule 31: the sweep of a scheduler at rest, on a real store in memory and a manual clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PendingWork } from "../../../services/common/port/store-executions.ts";
import { testExecution } from "../../support/new-execution.ts";
import { schedulerCore } from "../../support/scheduler-core.ts";

test("a scheduler at rest asks its store one thing each 250 ms", async (t) => {
  const core = await schedulerCore(t);
  await core.join("one", 4);
  core.start();
  await core.clock.advance(1_000);
  const asked: string[] = [];
  core.base.before.statement = (name) => void asked.push(name);
  await core.clock.advance(1_000);
  const sweeps = ["pending", "waiting_routes", "due_gates", "stops", "past_deadline"];
  assert.deepEqual(
    asked.filter((name) => sweeps.includes(name)),
    ["pending", "pending", "pending", "pending"],
  );
});

test("rule 31: a READY row that no hint told of is claimed within 250 ms", async (t) => {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 4);
  core.start();
  await core.clock.settle();
  const execution = testExecution(core.nowUs());
  core.routes.of(execution);
  await core.routes.ensure([execution.routeId]);
  await core.store.executions.submit([{ execution, request: null, slot: null }]);
  await core.clock.advance(250);
  assert.equal(executor.orders.length, 1);
});

test("a sweep that fails tells nobody anything, and the next one comes in its time", async (t) => {
  const core = await schedulerCore(t);
  const told: PendingWork[] = [];
  core.hints.on("pending", ({ work }) => void told.push(work));
  core.outage.names = ["pending"];
  core.start();
  await core.clock.advance(600);
  assert.deepEqual(told, []);
  core.outage.names = null;
  await core.clock.advance(250);
  assert.deepEqual(told, [{ claims: false, gates: false, stops: false, expiries: false }]);
});
