/** Rule 7: OVERLAP_POLICY_CANCEL_RUNNING, at its job's gate. */
import assert from "node:assert/strict";
import { holdersSql, waitersSql } from "../../services/common/adapter/sql/overlapped.ts";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { routeIdOf, routeText } from "../../services/common/domain/route.ts";
import {
  addExecutor,
  failed,
  newExecution,
  onEveryStore,
  onMysql,
  resultOf,
  routeId,
  type StoreSetup,
  slots,
  submitAll,
} from "../support/execution-store.ts";

const uid = "22222222-2222-4222-8222-222222222222" as JobUid;
const gateKey = `job:${uid}`;
const REASON = "a later execution of the job cancels it (OVERLAP_POLICY_CANCEL_RUNNING)";

function cancelling(more: Partial<NewExecution> = {}): NewExecution {
  const overlap = "CANCEL_RUNNING";
  return newExecution({ cause: "RUN_JOB", jobId: "job-1", jobUid: uid, gateKeys: [gateKey], overlap, ...more });
}

async function submitOne(setup: StoreSetup, execution = cancelling()): Promise<Execution> {
  return (await submitAll(setup, [execution]))[0] ?? assert.fail();
}

async function claimOne(setup: StoreSetup, placement: Awaited<ReturnType<typeof addExecutor>>): Promise<Execution> {
  const claimed = await setup.store.claim({ routeId, slots: slots(placement, 5) });
  assert.equal(claimed.length, 1);
  return claimed[0] ?? assert.fail();
}

async function get({ store }: StoreSetup, { executionId }: Pick<Execution, "executionId">): Promise<Execution> {
  return (await store.get(executionId)) ?? assert.fail();
}

async function heldAndWaiting({ rows }: StoreSetup): Promise<number[]> {
  const [row] = await rows("SELECT held, waiting FROM gates WHERE gate_key = ?", gateKey);
  return [Number(row?.held), Number(row?.waiting)];
}

onEveryStore("the new one stops what runs, waits until that has really ended, then runs", async (setup) => {
  const placement = await addExecutor(setup);
  await submitOne(setup);
  const running = await claimOne(setup, placement);
  const next = await submitOne(setup);
  assert.deepEqual([next.state, next.stateReason, next.blockedKey], ["READY", "OVERLAP", gateKey]);
  const stopped = await get(setup, running);
  assert.deepEqual([stopped.state, stopped.stop?.reason, stopped.stop?.message], ["DISPATCHED", "CANCEL", REASON]);
  assert.deepEqual(await setup.store.admit(10), [], "not while it runs");
  assert.deepEqual(await heldAndWaiting(setup), [1, 1]);
  await setup.store.storeResults([resultOf(running, failed())], null);
  const ended = await get(setup, running);
  assert.deepEqual([ended.state, ended.stateMessage], ["CANCELLED", REASON]);
  assert.deepEqual(await setup.store.admit(10), [routeId]);
  assert.equal((await claimOne(setup, placement)).executionId, next.executionId);
  assert.deepEqual(await heldAndWaiting(setup), [1, 0]);
});

onEveryStore("what succeeded before its stop came has SUCCEEDED", async (setup) => {
  const placement = await addExecutor(setup);
  await submitOne(setup);
  const running = await claimOne(setup, placement);
  await submitOne(setup);
  await setup.store.storeResults([resultOf(running)], null);
  assert.equal((await get(setup, running)).state, "SUCCEEDED");
  assert.deepEqual(await setup.store.admit(10), [routeId]);
});

onEveryStore(
  "one that was let through and has no attempt, or waits for its retry, is cancelled at once",
  async (setup) => {
    const placement = await addExecutor(setup);
    const first = await submitOne(setup);
    const retry = { ...defaultPolicy.retry, maxAttempts: 3, initialIntervalMs: 60_000 };
    const second = await submitOne(setup, cancelling({ policy: { ...defaultPolicy, retry } }));
    assert.deepEqual([(await get(setup, first)).state, (await get(setup, first)).stateMessage], ["CANCELLED", REASON]);
    await setup.store.admit(10);
    const running = await claimOne(setup, placement);
    assert.equal(running.executionId, second.executionId);
    await setup.store.storeResults([resultOf(running, failed())], null);
    assert.equal((await get(setup, second)).state, "SCHEDULED");
    const third = await submitOne(setup);
    assert.equal((await get(setup, second)).state, "CANCELLED");
    await setup.store.admit(10);
    assert.equal((await claimOne(setup, placement)).executionId, third.executionId);
  },
);

onEveryStore(
  "of those that wait to cancel what runs only the newest stays; what is queued otherwise stays",
  async (setup) => {
    const placement = await addExecutor(setup);
    await submitOne(setup);
    const running = await claimOne(setup, placement);
    const queued = await submitOne(setup, cancelling({ overlap: "QUEUE_ALL" }));
    assert.equal((await get(setup, running)).stop, null, "QUEUE_ALL cancels nothing");
    const second = await submitOne(setup);
    const third = await submitOne(setup, cancelling({ readyUs: second.readyUs === null ? 0 : second.readyUs + 1_000 }));
    assert.deepEqual(await Promise.all([second, queued, third].map(async (one) => (await get(setup, one)).state)), [
      "CANCELLED",
      "READY",
      "READY",
    ]);
    assert.deepEqual(await heldAndWaiting(setup), [1, 2]);
  },
);

onEveryStore("a wait that is over cancels what runs as a submission does", async (setup) => {
  const placement = await addExecutor(setup);
  await submitOne(setup);
  const running = await claimOne(setup, placement);
  const later = await submitOne(setup, cancelling({ readyUs: (await setup.nowUs()) + 3_600_000_000 }));
  assert.equal(later.state, "SCHEDULED");
  assert.equal((await get(setup, running)).stop, null, "not before its time");
  await setup.sql((session) =>
    session.execute("UPDATE executions SET ready_us = 1 WHERE execution_id = ?", [later.executionId]),
  );
  assert.deepEqual(await setup.store.makeReady([later.executionId]), []);
  assert.equal((await get(setup, running)).stop?.reason, "CANCEL");
  assert.equal((await get(setup, later)).stateReason, "OVERLAP");
});

onEveryStore(
  "several of one group: the newest runs when what ran has ended, the others are cancelled",
  async (setup) => {
    const placement = await addExecutor(setup);
    const nowUs = await setup.nowUs();
    const group = Array.from({ length: 3 }, (_, at) => cancelling({ readyUs: nowUs - 3_000 + at * 1_000 }));
    const all = await submitAll(setup, group);
    const states = await Promise.all(all.map(async (one) => (await get(setup, one)).state));
    assert.deepEqual(states, ["CANCELLED", "CANCELLED", "READY"]);
    await setup.store.admit(10);
    assert.equal((await claimOne(setup, placement)).executionId, group[2]?.executionId);
    assert.deepEqual(await heldAndWaiting(setup), [1, 0]);
  },
);

onEveryStore(
  "it starts once what it cancels has ended, before what was queued, which is not cancelled",
  async (setup) => {
    const placement = await addExecutor(setup);
    await submitOne(setup);
    const running = await claimOne(setup, placement);
    const queued = await submitOne(setup, cancelling({ overlap: "QUEUE_ALL" }));
    const beside = await submitOne(setup, cancelling({ overlap: "ALLOW" }));
    const next = await submitOne(setup, cancelling({ policy: { ...defaultPolicy, priority: -5 } }));
    await setup.store.storeResults([resultOf(running, failed())], null);
    assert.deepEqual(await setup.store.admit(10), [routeId]);
    // ALLOW runs beside others, once it may be let in at all.
    const claimed = await setup.store.claim({ routeId, slots: slots(placement, 5) });
    assert.deepEqual(
      claimed.map(({ executionId }) => executionId).sort(),
      [next, beside].map((one) => one.executionId).sort(),
    );
    const waits = await get(setup, queued);
    assert.deepEqual([waits.state, waits.stateReason, waits.stop], ["READY", "OVERLAP", null]);
    await setup.store.storeResults(
      claimed.map((one) => resultOf(one)),
      null,
    );
    await setup.store.admit(10);
    assert.equal((await claimOne(setup, placement)).executionId, queued.executionId);
  },
);

onEveryStore("nothing is let in while it waits for what it cancels, though there is room beside", async (setup) => {
  const placement = await addExecutor(setup);
  const limited = "INSERT INTO gates (gate_key, held, waiting, max_concurrency, overlap) VALUES (?, 0, 0, 2, 0)";
  await setup.sql((session) => session.execute(limited, [gateKey]));
  const [first, second, third] = await submitAll(
    setup,
    [1, 2, 3].map(() => cancelling({ overlap: "ALLOW" })),
  );
  const running = await setup.store.claim({ routeId, slots: slots(placement, 5) });
  assert.deepEqual(running.length, 2);
  assert.ok(first !== undefined && second !== undefined && third?.blockedKey === gateKey);
  const next = await submitOne(setup);
  await setup.store.storeResults(
    running.slice(0, 1).map((one) => resultOf(one, failed())),
    null,
  );
  assert.deepEqual(await setup.store.admit(10), [], "one of two still runs");
  assert.deepEqual(
    [(await get(setup, third)).stateReason, (await get(setup, next)).stateReason],
    ["BEHIND_EARLIER", "OVERLAP"],
  );
  // With the one that waits to cancel gone, the others have their turn.
  assert.equal((await setup.store.requestStop(next.executionId, "CANCEL", "")).kind, "ended");
  assert.deepEqual(await setup.store.admit(10), [routeId]);
  assert.equal((await claimOne(setup, placement)).executionId, third.executionId);
  assert.deepEqual(await setup.store.recountGates(), []);
});

onEveryStore("what came in while nobody could run it is asked to end at its turn", async (setup) => {
  const placement = await addExecutor(setup);
  await submitOne(setup);
  const running = await claimOne(setup, placement);
  const queued = await submitOne(setup, cancelling({ overlap: "QUEUE_ALL" }));
  const route = { kind: "handler", method: "nobody", namespace: "default", labels: {}, pin: null } as const;
  const deadRoute = routeIdOf(routeText(route));
  const insert = "INSERT INTO routes (route_id, text) VALUES (?, ?)";
  await setup.sql((session) => session.execute(insert, [deadRoute, routeText(route)]));
  const next = await submitOne(setup, cancelling({ routeId: deadRoute }));
  await setup.store.storeResults([resultOf(running, failed())], null);
  await setup.store.admit(10);
  const queuedRuns = await claimOne(setup, placement);
  assert.equal(queuedRuns.executionId, queued.executionId, "it is passed over while nobody can run it");
  const timePasses = "UPDATE gates SET try_us = 1 WHERE try_us IS NOT NULL";
  await setup.sql((session) => session.execute(timePasses));
  assert.deepEqual(await setup.store.admit(10), [], "nobody can run it yet");
  await addExecutor(setup, "executor-2", { profile: { capabilities: [{ kind: "handler", method: "nobody" }] } });
  await setup.sql((session) => session.execute(timePasses));
  assert.deepEqual(await setup.store.admit(10), []);
  assert.equal((await get(setup, queued)).stop?.reason, "CANCEL");
  await setup.store.storeResults([resultOf(queuedRuns, failed())], null);
  assert.equal((await setup.store.admit(10)).length, 1);
  assert.equal((await get(setup, next)).blockedKey, null);
});

onEveryStore(
  "several hundred that hold the gate are asked to end a hundred at a time, without their targets",
  async (setup) => {
    const placement = await addExecutor(setup);
    const many = Array.from({ length: 201 }, () => cancelling({ overlap: "ALLOW" }));
    await submitAll(setup, many);
    const running = await setup.store.claim({ routeId, slots: slots(placement, 150) });
    assert.equal(running.length, 150);
    const next = cancelling();
    const statements = await setup.statementsOf(() => submitOne(setup, next));
    const locks = statements.filter(({ sql }) => /SELECT .*waiting_gate, policy.* FROM executions/s.test(sql));
    assert.equal(locks.length, 3, "100, 100, 1");
    assert.deepEqual(
      locks.filter(({ sql }) => /\btarget\b|\bresult\b/.test(sql)),
      [],
    );
    const states = await Promise.all(many.map(async (one) => await get(setup, one)));
    assert.equal(states.filter(({ state }) => state === "CANCELLED").length, 51);
    assert.equal(states.filter(({ state, stop }) => state === "DISPATCHED" && stop?.reason === "CANCEL").length, 150);
    assert.deepEqual(await heldAndWaiting(setup), [150, 1]);
    await setup.store.storeResults(
      running.map((one) => resultOf(one, failed())),
      null,
    );
    assert.equal((await setup.store.admit(10)).length, 1);
    assert.equal((await claimOne(setup, placement)).executionId, next.executionId);
  },
);

onEveryStore("rule 7: what holds a gate, and what waits at it, is found by index", async (setup) => {
  const explain = setup.kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
  const planOf = async (sql: string, params: readonly string[]): Promise<string> => {
    const [first] = await setup.sql((session) => session.query(`${explain} ${sql}`, params));
    return setup.kind === "mysql" ? `${first?.key}` : String(first?.detail);
  };
  assert.match(await planOf(holdersSql, [gateKey, `${gateKey}\n%`]), /ix_executions_held/);
  assert.match(await planOf(waitersSql, [gateKey]), /ix_executions_waiting/);
});

onMysql("twenty at the same time leave one that runs next and no drift", async (setup) => {
  const placement = await addExecutor(setup);
  await submitOne(setup);
  const running = await claimOne(setup, placement);
  await Promise.all(Array.from({ length: 20 }, () => submitOne(setup)));
  await setup.store.storeResults([resultOf(running, failed())], null);
  await setup.store.admit(10);
  await claimOne(setup, placement);
  assert.deepEqual(await setup.store.recountGates(), []);
  assert.deepEqual(await heldAndWaiting(setup), [1, 0]);
});
