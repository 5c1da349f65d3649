/** Rule 32: pins of ROUND_ROBIN, chosen from the executors table, each in turn. */
import assert from "node:assert/strict";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import type { ExecutorId, RouteId } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { parseRoute, routeIdOf, routeOf, routeText, TO_BE_PINNED } from "../../services/common/domain/route.ts";
import {
  addExecutor,
  loseExecutor,
  newExecution,
  onEveryStore,
  type StoreSetup,
  slot,
  slots,
  submitAll,
} from "../support/execution-store.ts";

const policy = { ...defaultPolicy, routingStrategy: "ROUND_ROBIN" } as const;

function inTurn(more: Partial<NewExecution> = {}): NewExecution {
  const execution = newExecution({ policy, ...more });
  return { ...execution, routeId: routeIdOf(routeText(routeOf(execution))) };
}

const open = inTurn().routeId;

/** Submissions under ROUND_ROBIN that are READY and wait for their pins. */
async function waiting(setup: StoreSetup, count: number, more: Partial<NewExecution> = {}): Promise<Execution[]> {
  await setup.sql((session) => session.execute("DELETE FROM pin_turns"));
  return await submitInTurn(setup, count, more);
}

async function submitInTurn(setup: StoreSetup, count: number, more: Partial<NewExecution> = {}): Promise<Execution[]> {
  const given = Array.from({ length: count }, () => inTurn(more));
  await ensure(setup, routeText(routeOf(given[0] ?? assert.fail())));
  return await submitAll(setup, given);
}

async function ensure({ sql }: StoreSetup, text: string): Promise<void> {
  const routeId = routeIdOf(text);
  const [known] = await sql((session) => session.query("SELECT 1 FROM routes WHERE route_id = ?", [routeId]));
  if (known !== undefined) return;
  await sql((session) => session.execute("INSERT INTO routes (route_id, text) VALUES (?, ?)", [routeId, text]));
}

/** Who each of them is pinned to, "" for nobody yet. */
async function pinsOf({ store, sql }: StoreSetup, executions: readonly Execution[]): Promise<string[]> {
  const routes = await store.claimRoutes(executions.map(({ executionId }) => executionId));
  return await Promise.all(
    executions.map(async ({ executionId }) => {
      const routeId = routes.get(executionId) ?? assert.fail(`${executionId} is not claimable`);
      const [row] = await sql((session) => session.query("SELECT text FROM routes WHERE route_id = ?", [routeId]));
      return String(parseRoute(String(row?.text)).pin);
    }),
  );
}

function shares(pins: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of pins) counts[one] = (counts[one] ?? 0) + 1;
  return counts;
}

const pinnedTo = (executorId: string, at = inTurn()): RouteId =>
  routeIdOf(routeText({ ...routeOf(at), pin: executorId as ExecutorId }));

onEveryStore("rule 32: each in turn, over groups and whatever its slots: shares are equal", async (setup) => {
  for (const name of ["a", "b", "c"]) await addExecutor(setup, name);
  await setup.sql((session) =>
    session.execute("UPDATE executors SET slots = 1, free_slots = 0 WHERE executor_id = 'b'"),
  );
  const all = await waiting(setup, 7);
  assert.deepEqual(await pinsOf(setup, all), Array(7).fill(TO_BE_PINNED));
  const first = await setup.store.pin(open, 4);
  assert.deepEqual(
    [first.count, [...first.routeIds].sort()],
    [4, ["a", "b", "c"].map((name) => pinnedTo(name)).sort()],
  );
  assert.equal((await setup.store.pin(open, 500)).count, 3);
  const [taken] = await setup.rows("SELECT taken FROM pin_turns");
  assert.equal(Number(taken?.taken), 7, "the turn moved once a group, by its size");
  const two = await submitInTurn(setup, 2);
  await setup.store.pin(open, 500);
  assert.deepEqual(shares(await pinsOf(setup, [...all, ...two])), { a: 3, b: 3, c: 3 });
  assert.deepEqual(await setup.store.pin(open, 500), { routeIds: [], count: 0 });
});

onEveryStore(
  "rule 32: what is pinned is claimed by its pin alone, also when that is full and others are not",
  async (setup) => {
    const a = await addExecutor(setup, "a");
    const b = await addExecutor(setup, "b");
    const [one] = await waiting(setup, 1);
    assert.deepEqual(await setup.store.claim({ routeId: pinnedTo("a"), slots: slots(b, 1) }), [], "not pinned yet");
    await setup.store.pin(open, 500);
    assert.deepEqual(await setup.store.claim({ routeId: pinnedTo("b"), slots: slots(b, 1) }), []);
    const [claimed] = await setup.store.claim({ routeId: pinnedTo("a"), slots: slots(a, 1) });
    assert.deepEqual([claimed?.executionId, claimed?.executorId], [one?.executionId, "a"]);
  },
);

onEveryStore(
  "rule 32: a pin is one that runs it: namespace, labels, kind; neither lost nor leaving nor drained",
  async (setup) => {
    const labels = { zone: "b" };
    await addExecutor(setup, "other-label", { profile: { labels: { zone: "a" } } });
    await addExecutor(setup, "other-namespace", { profile: { labels, namespaces: ["n"] } });
    await addExecutor(setup, "other-kind", { profile: { labels, capabilities: [{ kind: "http" }] } });
    await loseExecutor(setup, await addExecutor(setup, "lost", { profile: { labels } }));
    for (const name of ["gone", "leaving", "drained"]) await addExecutor(setup, name, { profile: { labels } });
    await setup.sql(async (session) => {
      await session.execute("UPDATE executors SET left_us = 2 WHERE executor_id = 'gone'");
      await session.execute("UPDATE executors SET draining = 1 WHERE executor_id = 'leaving'");
      await session.execute("UPDATE executors SET drain_us = 2 WHERE executor_id = 'drained'");
    });
    const more = { policy: { ...policy, executorLabels: labels } };
    const all = await waiting(setup, 2, more);
    const routeId = inTurn(more).routeId;
    assert.deepEqual(await setup.store.pin(routeId, 500), { routeIds: [], count: 0 });
    assert.deepEqual(await pinsOf(setup, all), [TO_BE_PINNED, TO_BE_PINNED], "it waits unpinned");
    await addExecutor(setup, "right", { profile: { labels } });
    assert.equal((await setup.store.pin(routeId, 500)).count, 2, "and is pinned when one comes");
    assert.deepEqual(await pinsOf(setup, all), ["right", "right"]);
  },
);

onEveryStore(
  "rule 32: pinned anew when the executor is lost or drains, unpinned when nobody is left",
  async (setup) => {
    const a = await addExecutor(setup, "a");
    await addExecutor(setup, "b");
    const all = await waiting(setup, 4);
    await setup.store.pin(open, 500);
    assert.deepEqual(shares(await pinsOf(setup, all)), { a: 2, b: 2 });
    assert.equal((await setup.store.pin(pinnedTo("a"), 500)).count, 0, "a stands");
    await loseExecutor(setup, a);
    assert.deepEqual(await setup.store.pin(pinnedTo("a"), 500), { routeIds: [pinnedTo("b")], count: 2 });
    assert.deepEqual(shares(await pinsOf(setup, all)), { b: 4 });
    await setup.sql((session) => session.execute("UPDATE executors SET drain_us = 5 WHERE executor_id = 'b'"));
    assert.deepEqual(await setup.store.pin(pinnedTo("b"), 500), { routeIds: [open], count: 4 });
    assert.deepEqual(shares(await pinsOf(setup, all)), { [TO_BE_PINNED]: 4 });
  },
);

onEveryStore(
  "rule 32: what comes back waits for another turn; a slot without a pin dispatches nothing",
  async (setup) => {
    const a = await addExecutor(setup, "a");
    await addExecutor(setup, "b");
    const [one] = await waiting(setup, 1);
    await setup.store.pin(open, 500);
    const [claimed] = await setup.store.claim({ routeId: pinnedTo("a"), slots: [slot(a)] });
    assert.ok(one !== undefined && claimed?.fence != null);
    await loseExecutor(setup, a);
    const [ended] = await setup.store.endLost(a.executorId, a.incarnation, 10);
    assert.deepEqual([ended?.state, ended?.routeId], ["READY", open]);
    await setup.store.pin(open, 500);
    assert.deepEqual(await pinsOf(setup, [one]), ["b"]);
  },
);

onEveryStore("rule 32: two that pin at the same time pin each execution once, each in turn", async (setup) => {
  for (const name of ["a", "b", "c"]) await addExecutor(setup, name);
  const all = await waiting(setup, 60);
  const groups = await Promise.all(Array.from({ length: 6 }, () => setup.store.pin(open, 10)));
  const count = groups.reduce((sum, group) => sum + group.count, 0);
  for (let left = 60 - count; left > 0; ) left -= (await setup.store.pin(open, 10)).count;
  assert.deepEqual(shares(await pinsOf(setup, all)), { a: 20, b: 20, c: 20 });
});

onEveryStore("rule 32: waiters at a gate are admitted although nobody is pinned, and pinned then", async (setup) => {
  await addExecutor(setup, "a");
  const gateKeys = ["job:55555555-5555-4555-8555-555555555555"];
  const [first, second] = await waiting(setup, 2, { gateKeys, overlap: "QUEUE_ALL" });
  assert.ok(first !== undefined && second !== undefined);
  assert.equal((await setup.store.requestStop(first.executionId, "CANCEL", "")).kind, "ended");
  assert.deepEqual(await setup.store.admit(10), [open]);
  assert.equal((await setup.store.pin(open, 500)).count, 1);
  assert.deepEqual(await pinsOf(setup, [second]), ["a"]);
});

onEveryStore("rule 32: a group is found by the index of claims", async (setup) => {
  await addExecutor(setup, "a");
  await waiting(setup, 50);
  const statements = await setup.statementsOf(() => setup.store.pin(open, 20));
  const read = statements.find(({ sql }) => sql.includes("FROM executions WHERE claim_route"));
  assert.ok(read !== undefined);
  const explain = setup.kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
  const [plan] = await setup.sql((session) => session.query(`${explain} ${read.sql}`, read.params));
  assert.match(setup.kind === "mysql" ? `${plan?.key}` : String(plan?.detail), /ix_executions_claim/);
  assert.doesNotMatch(JSON.stringify(plan), /filesort|TEMP B-TREE/);
});
