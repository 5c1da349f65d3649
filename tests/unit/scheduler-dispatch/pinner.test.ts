import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { NewExecution } from "../../../services/common/domain/execution.ts";
import type { RouteId } from "../../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { type Route, TO_BE_PINNED } from "../../../services/common/domain/route.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { Pinner, type PinnerDeps } from "../../../services/scheduler/dispatch/pinner.ts";
import { submission } from "../../support/execution-store.ts";
import { testExecution } from "../../support/new-execution.ts";
import { type SchedulerCore, schedulerCore } from "../../support/scheduler-core.ts";
import type { ScriptedExecutor } from "../../support/scripted-executor.ts";

const policy = { ...defaultPolicy, routingStrategy: "ROUND_ROBIN" } as const;

async function submitInTurn(core: SchedulerCore, count: number): Promise<void> {
  for (let left = count; left > 0; left--) {
    await core.submitter.submit({ execution: testExecution(core.nowUs(), { policy }), request: null });
    await core.clock.settle();
  }
}

const counts = (executors: readonly ScriptedExecutor[]): number[] => executors.map(({ orders }) => orders.length);

test("rule 32: submissions go to each executor in turn, whatever room each has, without time passing", async (t) => {
  const core = await schedulerCore(t);
  const executors = [
    await core.join("a", 2, { slots: 2 }),
    await core.join("b", 9, { slots: 9 }),
    await core.join("c", 4),
  ];
  core.start();
  await core.clock.settle();
  await submitInTurn(core, 6);
  assert.deepEqual(counts(executors), [2, 2, 2]);
});

test("rule 32: pinned work waits for its executor though another has room, and goes when it has some", async (t) => {
  const core = await schedulerCore(t);
  const full = await core.join("a", 1, { slots: 1 });
  const free = await core.join("b", 8, { slots: 8 });
  core.start();
  await core.clock.settle();
  await submitInTurn(core, 6);
  await core.clock.advance(2_000);
  assert.deepEqual(counts([full, free]), [1, 3]);
  const plain = testExecution(core.nowUs());
  await core.submitter.submit({ execution: plain, request: null });
  await core.clock.settle();
  assert.deepEqual(counts([full, free]), [1, 4], "what waits for the full one stands in nobody's way");
  full.beat(2, 1);
  await core.clock.advance(300);
  assert.deepEqual(counts([full, free]), [3, 4]);
});

test("rule 32: without an executor it waits unpinned, and is pinned when some have come", async (t) => {
  const core = await schedulerCore(t);
  core.start();
  await core.clock.settle();
  await submitInTurn(core, 4);
  await core.clock.advance(1_000);
  const executors = [await core.join("a", 4), await core.join("b", 4)];
  await core.clock.advance(500);
  assert.equal(
    counts(executors).reduce((sum, count) => sum + count),
    4,
  );
});

test("rule 32: what waits for one that drains goes to another; so does what waits for one that is lost elsewhere", async (t) => {
  const core = await schedulerCore(t);
  const other = await schedulerCore(t, { base: core.base, schedulerId: "scheduler-2" });
  const full = await core.join("a", 0);
  const elsewhere = await other.join("b", 0);
  const free = await core.join("c", 8, { slots: 8 });
  core.start();
  await core.clock.settle();
  await submitInTurn(core, 6);
  assert.deepEqual(counts([full, elsewhere, free]), [0, 0, 2]);
  await core.store.executors.drain(full.profile.executorId, 60_000);
  await core.clock.advance(2_500);
  const moved = free.orders.length;
  assert.ok(moved > 2 && moved < 6, `${moved}: those of a, in turn over b and c`);
  await core.store.executors.leave(elsewhere.profile.executorId, elsewhere.profile.incarnation);
  await core.clock.advance(2_500);
  assert.deepEqual(counts([full, elsewhere, free]), [0, 0, 6]);
});

test("rule 32: what another scheduler made ready, and told nobody of, is pinned by the sweep", async (t) => {
  const core = await schedulerCore(t);
  const other = await schedulerCore(t, { base: core.base, schedulerId: "scheduler-2" });
  const executor = await core.join("a", 4);
  core.start();
  await core.clock.settle();
  await submitInTurn(other, 1);
  await core.clock.advance(500);
  assert.equal(executor.orders.length, 1);
});

/** Executions that wait to be pinned, as a sweep finds them; answers the groups that are pinned from then on. */
async function waiting(t: TestContext, core: SchedulerCore, parts: readonly Partial<NewExecution>[]) {
  const executions = parts.map((part) => testExecution(core.nowUs(), { policy, ...part }));
  const found = new Map(executions.map((execution) => [execution.routeId, core.routes.of(execution)]));
  await core.routes.ensure(found.keys());
  await core.store.executions.submit(executions.map((execution) => submission(execution)));
  const groups: number[] = [];
  const pin = core.store.executions.pin.bind(core.store.executions);
  t.mock.method(core.store.executions, "pin", async (...given: Parameters<typeof pin>) => {
    const outcome = await pin(...given);
    groups.push(outcome.count);
    return outcome;
  });
  return { groups, found };
}

test("500 rows of a route are pinned in one group, and the next round goes on with the rest", async (t) => {
  const core = await schedulerCore(t);
  await core.join("a", 4);
  const { groups, found } = await waiting(
    t,
    core,
    Array.from({ length: 501 }, () => ({})),
  );
  core.pinner.look(found);
  assert.deepEqual([await core.pinner.runOnce(), groups], [true, [500]]);
  assert.deepEqual([await core.pinner.runOnce(), groups], [false, [500, 1]]);
});

test("1,000 routes are pinned in one round, and the next goes on with the rest", async (t) => {
  const core = await schedulerCore(t);
  await core.join("a", 4);
  const namespaces = Array.from({ length: 1_001 }, (_, at) => ({ namespace: `n${at}` }));
  const { groups, found } = await waiting(t, core, namespaces);
  assert.equal(found.size, 1_001);
  core.pinner.look(found);
  assert.deepEqual([await core.pinner.runOnce(), groups.length], [true, 1_000]);
  assert.deepEqual([await core.pinner.runOnce(), groups.length, new Set(groups)], [false, 1_001, new Set([1])]);
});

test("1,000 routes without an executor do not keep the one after them from its own", async (t) => {
  const core = await schedulerCore(t);
  const { found } = await waiting(
    t,
    core,
    Array.from({ length: 1_001 }, (_, at) => ({ namespace: `n${at}` })),
  );
  const last = (await core.store.executions.waitingRoutes()).at(-1) ?? assert.fail("they wait");
  const { namespace } = found.get(last.routeId) ?? assert.fail("it is known");
  core.start();
  const executor = await core.join("a", 4, { namespaces: [namespace] });
  await core.clock.advance(1_000);
  assert.equal(new Set(executor.orders.map(({ key }) => key.executionId)).size, 1);
});

test("rule 32: what nobody matches is not pinned, and looked at each 250 ms however busy its scheduler is", async (t) => {
  const core = await schedulerCore(t);
  const executor = await core.join("a", 4, { slots: 4 });
  core.start();
  await core.clock.settle();
  for (let at = 0; at < 5; at++) {
    const nobodys = { ...policy, executorLabels: { zone: `none-${at}` } };
    await core.submitter.submit({ execution: testExecution(core.nowUs(), { policy: nobodys }), request: null });
    await core.clock.settle();
  }
  const statements = { pin: 0, live: 0 };
  core.base.before.statement = (name) => {
    if (name === "pin") statements.pin++;
    if (name === "executor.live") statements.live++;
  };
  for (let at = 0; at < 100; at++) {
    executor.beat(3 + (at % 2));
    await core.clock.settle();
    await core.clock.advance(10);
  }
  assert.equal(statements.pin, 0);
  assert.ok(statements.live > 0 && statements.live <= 5, `${statements.live} in a second`);
});

test("rule 32: a thousand routes that nobody matches keep no other from its pin", async (t) => {
  const core = await schedulerCore(t);
  const pinned: RouteId[] = [];
  const id = (at: number) => BigInt(at) as RouteId;
  const routes = Array.from({ length: 1_002 }, (_, at): [RouteId, Route] => {
    const labels: Record<string, string> = at <= 1_000 ? { zone: "none" } : {};
    return [id(at), { kind: "command", method: "", namespace: "default", labels, pin: TO_BE_PINNED }];
  });
  const { hints, clock, roster, routes: book } = core;
  const pinner = new Pinner({
    ...{ hints, clock, roster, routes: book, log: silentLogger },
    store: {
      executors: core.store.executors,
      executions: {
        pin: (routeId: RouteId) => {
          pinned.push(routeId);
          return Promise.resolve({ routeIds: [], count: 0 });
        },
      },
    } as unknown as PinnerDeps["store"],
  });
  await core.join("a", 4);
  pinner.look(new Map(routes));
  assert.equal(await pinner.runOnce(), false);
  assert.deepEqual(pinned, [id(1_001)]);
});
