import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fence } from "../../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import type { ActiveAttempt } from "../../../services/common/port/store-executions.ts";
import { judgeAttempt } from "../../../services/scheduler/sessions/attempt-watch.ts";
import { sessionDefaults } from "../../../services/scheduler/sessions/session-config.ts";
import { testExecution } from "../../support/new-execution.ts";
import { type SchedulerCore, schedulerCore } from "../../support/scheduler-core.ts";
import { ScriptedExecutor } from "../../support/scripted-executor.ts";

const NEVER = new AbortController().signal;
const SECOND_US = 1_000_000;

function attempt(changes: Partial<ActiveAttempt>): ActiveAttempt {
  const { executionId } = testExecution(0);
  return {
    key: { executionId, attempt: 1, fence: 1n as Fence },
    executorId: "one" as ActiveAttempt["executorId"],
    incarnation: "one-1" as ActiveAttempt["incarnation"],
    sessionNumber: 1,
    state: "DISPATCHED",
    dispatchUs: 0,
    holdUntilUs: null,
    startUs: null,
    timeoutMs: 60_000,
    stop: null,
    ...changes,
  };
}

test("rule 24: the scheduler's timeout comes at timeout + kill grace + two beats after the start, or the dispatch", () => {
  const judge = (changes: Partial<ActiveAttempt>, nowUs: number) =>
    judgeAttempt(attempt(changes), true, nowUs, sessionDefaults);
  assert.equal(judge({}, 72 * SECOND_US - 1), "leave");
  assert.equal(judge({}, 72 * SECOND_US), "timeout");
  const started = { state: "RUNNING", startUs: 5 * SECOND_US } as const;
  assert.equal(judge(started, 77 * SECOND_US - 1), "leave");
  assert.equal(judge(started, 77 * SECOND_US), "timeout");
  assert.equal(judge({ stop: { reason: "CANCEL", message: "" } }, 99 * SECOND_US), "leave");
});

test("rule 24: without a start the timeout counts from the time that an attempt was held for", () => {
  const held = attempt({ dispatchUs: 1_000 * SECOND_US, holdUntilUs: 1_000 * SECOND_US + 300_000 });
  const verdict = (afterUs: number) => judgeAttempt(held, true, 1_000 * SECOND_US + afterUs, sessionDefaults);
  assert.equal(verdict(72 * SECOND_US), "leave");
  assert.equal(verdict(72 * SECOND_US + 300_000), "timeout");
});

test("rule 24: a start by a clock that is behind or ahead is not believed: the dispatch counts", () => {
  const dispatchUs = 1_000 * SECOND_US;
  const judge = (startUs: number, nowUs: number) =>
    judgeAttempt(attempt({ state: "RUNNING", dispatchUs, startUs }), true, nowUs, sessionDefaults);
  assert.equal(judge(dispatchUs - 500 * SECOND_US, dispatchUs + 3 * SECOND_US), "leave");
  assert.equal(judge(dispatchUs - 500 * SECOND_US, dispatchUs + 72 * SECOND_US), "timeout");
  assert.equal(judge(dispatchUs + 500 * SECOND_US, dispatchUs + 71 * SECOND_US), "leave");
  assert.equal(judge(dispatchUs + 500 * SECOND_US, dispatchUs + 72 * SECOND_US), "timeout");
});

test("rule 19: what the executor is not known to have is sent again; rule 21: what stays unconfirmed is rerouted", () => {
  const judge = (known: boolean, changes: Partial<ActiveAttempt>, nowUs: number) =>
    judgeAttempt(attempt(changes), known, nowUs, sessionDefaults);
  assert.equal(judge(false, {}, 2 * SECOND_US), "resend");
  assert.equal(judge(true, {}, 2 * SECOND_US), "leave");
  assert.equal(judge(false, { state: "RUNNING", startUs: 1 }, 20 * SECOND_US), "resend");
  assert.equal(judge(false, {}, 10 * SECOND_US), "reroute");
  assert.equal(judge(true, {}, 10 * SECOND_US), "leave");
  assert.equal(judge(false, { stop: { reason: "REROUTE", message: "" } }, 5 * SECOND_US), "leave");
});

/** A core whose executor was sent one attempt. */
async function setup(t: Parameters<typeof schedulerCore>[0], timeoutMs = 3_600_000) {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 4);
  await submit(core, timeoutMs);
  const order = executor.orders[0];
  assert.ok(order);
  return { core, executor, order };
}

async function submit(core: SchedulerCore, timeoutMs = 3_600_000): Promise<void> {
  const policy = { ...defaultPolicy, timeoutMs };
  await core.submitter.submit({ execution: testExecution(core.nowUs(), { policy }), request: null });
  await core.clock.settle();
}

test("rule 19: an attempt that the executor does not confirm is sent again down the session, with backoff", async (t) => {
  const { core, executor, order } = await setup(t);
  await core.clock.advance(2_000);
  await core.watch.runOnce(NEVER);
  assert.equal(executor.orders.length, 1, "not older than two beats");
  await core.clock.advance(1);
  const sentIn: number[] = [];
  for (let round = 1; round <= 4; round += 1) {
    const { resent } = await core.watch.runOnce(NEVER);
    if (resent > 0) sentIn.push(round);
    await core.clock.advance(1_800);
  }
  assert.deepEqual(sentIn, [1, 2, 4], "after one round, then two, then four");
  for (const again of executor.orders) assert.deepEqual(again, order, "same key, same dispatch_time, same session");
  assert.equal(executor.orders.length, 4);
});

test("rule 19: AttemptStarted and Hello.taken are known, and are not sent again", async (t) => {
  const { core, executor, order } = await setup(t);
  executor.say({ kind: "started", key: order.key, startUs: core.nowUs() });
  await core.clock.settle();
  assert.equal((await core.store.executions.get(order.key.executionId))?.state, "RUNNING");
  for (let round = 0; round < 10; round += 1) {
    await core.clock.advance(2_000);
    assert.deepEqual(await core.watch.runOnce(NEVER), { resent: 0, stopped: 0 });
  }
  executor.drop();
  const again = new ScriptedExecutor(executor.profile, core.sessions);
  again.hello({ sessionNumber: 2, taken: [order.key] });
  await core.clock.advance(2_000);
  assert.deepEqual(await core.watch.runOnce(NEVER), { resent: 0, stopped: 0 });
});

test("rule 19: a new home sends what the executor does not have, under its own session number", async (t) => {
  const { core, executor, order } = await setup(t);
  const other = await schedulerCore(t, { base: core.base, schedulerId: "scheduler-2" });
  executor.drop();
  await core.clock.settle();
  await core.clock.advance(10);
  const moved = await other.join("one", 4, {}, 2);
  await core.clock.advance(2_000);
  await other.watch.runOnce(NEVER);
  await core.clock.settle();
  assert.deepEqual(moved.orders, [{ ...order, sessionNumber: 2 }]);
});

test("rule 20: a key of an earlier session counts as sent under the present one, once", async (t) => {
  const { core, executor } = await setup(t);
  executor.drop();
  await core.clock.advance(10);
  const again = await core.join("one", 4, {}, 2);
  const homed = core.roster.get(again.profile.executorId);
  assert.equal(homed?.room, 4);
  await core.clock.advance(2_000);
  await core.watch.runOnce(NEVER);
  assert.equal(homed?.room, 3);
  await core.clock.advance(2_000);
  await core.watch.runOnce(NEVER);
  assert.equal(again.orders.length, 2);
  assert.equal(homed?.room, 3, "a copy is no other key");
  again.beat(4, 1);
  await core.clock.settle();
  assert.equal(homed?.room, 4);
});

test("rule 20: a resend of what was sent under this session does not count again", async (t) => {
  const { core, executor } = await setup(t);
  const homed = core.roster.get(executor.profile.executorId);
  assert.equal(homed?.room, 3);
  await core.clock.advance(2_001);
  assert.equal((await core.watch.runOnce(NEVER)).resent, 1);
  assert.equal(homed?.room, 3);
});

test("rule 21: a DISPATCHED attempt that stays unconfirmed is stopped with REROUTE", async (t) => {
  const { core, executor, order } = await setup(t);
  core.start();
  await core.clock.advance(11_900);
  assert.equal(executor.stops.length > 0, true);
  assert.deepEqual(executor.stops[0]?.key, order.key);
  assert.equal(executor.stops[0]?.reason, "REROUTE");
});

test("rule 24: an attempt past its timeout is stopped with TIMEOUT by its home", async (t) => {
  const { core, executor, order } = await setup(t, 5_000);
  executor.say({ kind: "started", key: order.key, startUs: core.nowUs() });
  await core.clock.settle();
  await core.clock.advance(16_999);
  assert.equal((await core.watch.runOnce(NEVER)).stopped, 0);
  await core.clock.advance(1);
  assert.equal((await core.watch.runOnce(NEVER)).stopped, 1);
  await core.stops.runOnce();
  await core.clock.settle();
  assert.deepEqual(
    executor.stops.map(({ reason, graceMs }) => ({ reason, graceMs })),
    [{ reason: "TIMEOUT", graceMs: 10_000 }],
  );
  assert.equal((await core.watch.runOnce(NEVER)).stopped, 0, "once");
});
