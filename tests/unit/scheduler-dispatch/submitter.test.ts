import assert from "node:assert/strict";
import { test } from "node:test";
import type { NewExecution } from "../../../services/common/domain/execution.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { uniqueKey } from "../../../services/common/domain/unique-key.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import type { SubmitOutcome } from "../../../services/common/port/store-executions.ts";
import type { Hint } from "../../../services/scheduler/hints.ts";
import { testExecution } from "../../support/new-execution.ts";
import { type SchedulerCore, schedulerCore } from "../../support/scheduler-core.ts";

const withPriority = (priority: number): Partial<NewExecution> => ({ policy: { ...defaultPolicy, priority } });

/** Submits all in one turn. */
async function submitAll(core: SchedulerCore, ...changes: Partial<NewExecution>[]): Promise<SubmitOutcome[]> {
  const submitted = changes.map((change) =>
    core.submitter.submit({ execution: testExecution(core.nowUs(), change), request: null }),
  );
  const outcomes = await Promise.all(submitted);
  await core.clock.settle();
  return outcomes;
}

function stored(outcome: SubmitOutcome | undefined) {
  assert.equal(outcome?.kind, "stored");
  return outcome.execution;
}

function hintsOf(core: SchedulerCore, kind: Hint["kind"]): Hint[] {
  const heard: Hint[] = [];
  core.hints.on(kind, (hint) => void heard.push(hint));
  return heard;
}

test("a submission goes to a free slot right after its commit, as DISPATCHED with a fence", async (t) => {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 1);
  const [outcome] = await submitAll(core, {});
  const execution = stored(outcome);
  assert.equal(execution.state, "DISPATCHED");
  assert.equal(executor.orders.length, 1);
  const [order] = executor.orders;
  assert.deepEqual(order?.key, { executionId: execution.executionId, attempt: 1, fence: execution.fence });
  assert.equal(order?.sessionNumber, 1);
  assert.equal(order?.dispatchUs, execution.dispatchUs);
  assert.equal((await core.store.executions.get(execution.executionId))?.state, "DISPATCHED");
});

test("what finds no slot is READY and hinted with its best rank, once a route", async (t) => {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 1);
  const ready = hintsOf(core, "ready");
  const outcomes = await submitAll(core, {}, withPriority(-5), withPriority(-2));
  assert.deepEqual(
    outcomes.map((outcome) => stored(outcome).state),
    ["DISPATCHED", "READY", "READY"],
  );
  assert.equal(executor.orders.length, 1);
  const { routeId } = stored(outcomes[1]);
  assert.deepEqual(ready, [{ kind: "ready", routeId, bestRank: 1_002, count: 2 }]);
});

test("rule 31: nothing is dispatched directly past a waiting row of the same or a higher priority", async (t) => {
  const core = await schedulerCore(t);
  await submitAll(core, {});
  const executor = await core.join("one", 4);
  const [equal, lower, higher] = await submitAll(core, {}, withPriority(-1), withPriority(1));
  assert.equal(stored(equal).state, "READY");
  assert.equal(stored(lower).state, "READY");
  assert.equal(stored(higher).state, "DISPATCHED");
  assert.equal(executor.orders.length, 1);
});

test("rule 6: nothing is dispatched directly past another route that waits for the same executor's room", async (t) => {
  const core = await schedulerCore(t);
  await submitAll(core, { ...withPriority(5), namespace: "other" });
  await core.join("one", 4);
  const [own] = await submitAll(core, {});
  assert.equal(stored(own).state, "READY");
  const [elsewhere] = await submitAll(core, withPriority(6));
  assert.equal(stored(elsewhere).state, "DISPATCHED");
});

test("a row that waits for its time or at a gate takes no slot, and its time is hinted", async (t) => {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 4);
  const due = hintsOf(core, "due");
  const readyUs = core.nowUs() + 5_000_000;
  const [later, gated] = await submitAll(core, { readyUs }, { gateKeys: ["limit:default:one"] });
  assert.equal(stored(later).state, "SCHEDULED");
  assert.equal(stored(gated).state, "READY");
  assert.deepEqual(due, [{ kind: "due", executionId: stored(later).executionId, readyUs }]);
  assert.equal(executor.orders.length, 0);
  assert.equal(core.roster.anyRoom(), true);
});

test("rule 5: a repeated request gives its reservation back and runs nothing", async (t) => {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 1);
  const request = { namespace: "default", method: "submit", requestId: "r", bodyHash: "a".repeat(64) } as const;
  const first = await core.submitter.submit({ execution: testExecution(core.nowUs()), request });
  await core.clock.settle();
  const order = executor.orders[0];
  assert.ok(order);
  executor.succeed(order.key);
  executor.beat(1, 1);
  await core.clock.settle();
  const again = await core.submitter.submit({ execution: testExecution(core.nowUs()), request });
  assert.equal(again.kind, "repeated");
  assert.equal(again.executionId, stored(first).executionId);
  const other = { ...request, bodyHash: "b".repeat(64) };
  const reused = await core.submitter.submit({ execution: testExecution(core.nowUs()), request: other });
  assert.equal(reused.kind, "request_reused");
  assert.equal(executor.orders.length, 1);
  assert.equal(core.roster.anyRoom(), true, "both reservations came back");
});

test("rule 5: hundreds of submissions of one unique_key do not keep other keys waiting", async (t) => {
  const core = await schedulerCore(t);
  const unique = (key: string) => uniqueKey("default", key, "RETURN_EXISTING");
  const submit = (key: string) =>
    core.submitter.submit({ execution: testExecution(core.nowUs()), request: null, unique: unique(key) });
  const done: string[] = [];
  const told = (key: string) => submit(key).then(() => void done.push(key));
  await Promise.all([
    ...Array.from({ length: 300 }, () => told("same")),
    ...Array.from({ length: 20 }, (_, own) => told(`own ${own}`)),
  ]);
  assert.equal(done.filter((key) => key === "same").length, 300);
  assert.deepEqual(
    done.slice(0, 21).filter((key) => key === "same"),
    ["same"],
    "one group stores all other keys",
  );
});

test("rule 20: a slot of a session that the store does not have is not honoured: the row is READY", async (t) => {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 2);
  await core.store.executors.register({
    profile: executor.profile,
    sessionNumber: 2,
    home: core.config.schedulerId,
    previousIncarnation: null,
  });
  const ready = hintsOf(core, "ready");
  const [outcome] = await submitAll(core, {});
  assert.equal(stored(outcome).state, "READY");
  assert.equal(executor.orders.length, 0);
  assert.equal(ready.length, 1);
  assert.equal(core.roster.anyRoom(), true);
});

test("while the store is away a submission is UNAVAILABLE, nothing is sent, and the slot is free again", async (t) => {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 1);
  core.outage.names = [];
  await assert.rejects(
    core.submitter.submit({ execution: testExecution(core.nowUs()), request: null }),
    (error) => error instanceof JobmeshError && error.reason === "STORE_UNAVAILABLE" && error.code === "UNAVAILABLE",
  );
  core.outage.names = null;
  assert.equal(executor.orders.length, 0);
  const [outcome] = await submitAll(core, {});
  assert.equal(stored(outcome).state, "DISPATCHED");
});

test("rule 6: a route's text is in the store before its first row, once a process", async (t) => {
  const core = await schedulerCore(t);
  const [first] = await submitAll(core, {}, {}, { namespace: "other" });
  const { routeId } = stored(first);
  assert.equal((await core.store.routes.texts([routeId])).size, 1);
  core.outage.names = ["route.ensure", "routes.ensure"];
  await submitAll(core, {});
});

test("an order continues the execution's trace and carries what the executor needs", async (t) => {
  const core = await schedulerCore(t);
  const executor = await core.join("one", 1);
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await submitAll(core, { traceparent, tracestate: "a=b", labels: { team: "x" } });
  const [order] = executor.orders;
  assert.equal(order?.traceparent, traceparent);
  assert.equal(order?.tracestate, "a=b");
  assert.deepEqual(order?.labels, { team: "x" });
  assert.equal(order?.timeoutMs, defaultPolicy.timeoutMs);
});
