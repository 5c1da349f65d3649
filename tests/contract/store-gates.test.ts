/** Rule 7: gates of jobs. */
import assert from "node:assert/strict";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import {
  addExecutor,
  failed,
  newExecution,
  onEveryStore,
  onMysql,
  plain,
  resultOf,
  routeId,
  routeTextOfAll,
  type StoreSetup,
  slots,
  submitAll,
} from "../support/execution-store.ts";

const uid = "11111111-1111-4111-8111-111111111111" as JobUid;
const gateKey = `job:${uid}`;
const retrying = { ...defaultPolicy, retry: { ...defaultPolicy.retry, maxAttempts: 2 } };

function gated(overlap: NewExecution["overlap"], more: Partial<NewExecution> = {}): NewExecution {
  return newExecution({ cause: "RUN_JOB", jobId: "job-1", jobUid: uid, gateKeys: [gateKey], overlap, ...more });
}

async function submitOne(setup: StoreSetup, execution: NewExecution): Promise<Execution> {
  return (await submitAll(setup, [execution]))[0] ?? assert.fail();
}

async function gate({ rows }: StoreSetup): Promise<{ held: number; waiting: number; tryUs: number | null }> {
  const [row] = await rows("SELECT held, waiting, try_us FROM gates WHERE gate_key = ?", gateKey);
  assert.ok(row !== undefined);
  return {
    held: Number(row.held),
    waiting: Number(row.waiting),
    tryUs: row.try_us === null ? null : Number(row.try_us),
  };
}

async function setLimit({ sql }: StoreSetup, limit: number): Promise<void> {
  await sql((session) =>
    session.execute("INSERT INTO gates (gate_key, held, waiting, max_concurrency, overlap) VALUES (?, 0, 0, ?, 0)", [
      gateKey,
      limit,
    ]),
  );
}

/** Claims the one claimable execution. */
async function claimOne(setup: StoreSetup, placement: Awaited<ReturnType<typeof addExecutor>>): Promise<Execution> {
  const claimed = await setup.store.claim({ routeId, slots: slots(placement, 5) });
  assert.equal(claimed.length, 1);
  return claimed[0] ?? assert.fail();
}

onEveryStore(
  "rule 7: SKIP is skipped while one holds the gate, QUEUE_ONE lets one wait, QUEUE_ALL all",
  async (setup) => {
    await addExecutor(setup);
    const seen: unknown[] = [];
    for (const overlap of ["QUEUE_ALL", "SKIP", "QUEUE_ONE", "QUEUE_ONE", "QUEUE_ALL", "SKIP"] as const) {
      const one = await submitOne(setup, gated(overlap));
      seen.push([overlap, one.state, one.stateReason, one.blockedKey]);
      assert.deepEqual(plain(await setup.store.get(one.executionId)), plain(one));
    }
    assert.deepEqual(seen, [
      ["QUEUE_ALL", "READY", "UNSPECIFIED", null],
      ["SKIP", "SKIPPED", "OVERLAP", null],
      ["QUEUE_ONE", "READY", "OVERLAP", gateKey],
      ["QUEUE_ONE", "SKIPPED", "OVERLAP", null],
      ["QUEUE_ALL", "READY", "OVERLAP", gateKey],
      ["SKIP", "SKIPPED", "OVERLAP", null],
    ]);
    assert.deepEqual(await gate(setup), { held: 1, waiting: 2, tryUs: null });
  },
);

onEveryStore("rule 7: ALLOW is limited by max_concurrency alone", async (setup) => {
  const placement = await addExecutor(setup);
  await setLimit(setup, 2);
  const states = [];
  for (let count = 0; count < 4; count++) states.push((await submitOne(setup, gated("ALLOW"))).stateReason);
  assert.deepEqual(states, ["UNSPECIFIED", "UNSPECIFIED", "CONCURRENCY_LIMIT", "CONCURRENCY_LIMIT"]);
  assert.equal((await setup.store.claim({ routeId, slots: slots(placement, 9) })).length, 2);
});

onEveryStore("rule 7: the gate is held from admission to the final state, retry waits included", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  const first = await submitOne(setup, gated("QUEUE_ALL", { policy: retrying }));
  const second = await submitOne(setup, gated("QUEUE_ALL"));
  const held = async (): Promise<number> => (await gate(setup)).held;
  assert.equal(await held(), 1);
  await store.storeResults([resultOf(await claimOne(setup, placement), failed())], null);
  assert.equal((await store.get(first.executionId))?.state, "SCHEDULED");
  assert.equal(await held(), 1);
  assert.deepEqual(await store.admit(10), []);
  await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1 WHERE state = 1"));
  assert.equal((await store.makeReady([first.executionId])).length, 1);
  assert.equal(await held(), 1);
  await store.storeResults([resultOf(await claimOne(setup, placement))], null);
  const free = await gate(setup);
  assert.deepEqual([free.held, free.waiting], [0, 1]);
  assert.ok((free.tryUs ?? Number.POSITIVE_INFINITY) <= (await setup.nowUs()), "try_time is now");
  assert.deepEqual(await store.admit(10), [routeId]);
  assert.equal((await claimOne(setup, placement)).executionId, second.executionId);
  assert.deepEqual(await gate(setup), { held: 1, waiting: 0, tryUs: null });
});

onEveryStore("rule 7: waiting ones are admitted by priority, then age", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  await submitOne(setup, gated("QUEUE_ALL"));
  const make = (priority: number, readyUs: number) =>
    gated("QUEUE_ALL", { policy: { ...defaultPolicy, priority }, readyUs });
  const waiters = [make(0, 20), make(0, 10), make(5, 30)];
  for (const waiter of waiters) await submitOne(setup, waiter);
  const order: number[] = [];
  for (let turn = 0; turn < 4; turn++) {
    const claimed = await claimOne(setup, placement);
    order.push(waiters.findIndex(({ executionId }) => executionId === claimed.executionId));
    await store.storeResults([resultOf(claimed)], null);
    await store.admit(10);
  }
  assert.deepEqual(order, [-1, 2, 1, 0]);
  assert.deepEqual(await gate(setup), { held: 0, waiting: 0, tryUs: null });
});

onEveryStore("rule 7: what becomes ready behind waiting ones waits too, and try_time is set", async (setup) => {
  const placement = await addExecutor(setup);
  await submitOne(setup, gated("QUEUE_ALL"));
  await submitOne(setup, gated("QUEUE_ALL"));
  await setup.store.storeResults([resultOf(await claimOne(setup, placement))], null);
  await setup.sql((session) => session.execute("UPDATE gates SET try_us = NULL"));
  const third = await submitOne(setup, gated("ALLOW"));
  assert.deepEqual([third.blockedKey, third.stateReason], [gateKey, "BEHIND_EARLIER"]);
  const { tryUs } = await gate(setup);
  const inUs = (tryUs ?? 0) - (await setup.nowUs());
  assert.ok(inUs > 0 && inUs <= 1_000_000, `in ${inUs} µs`);
});

onEveryStore(
  "rule 7: a route without a live executor is passed over, and looked at again within a second",
  async (setup) => {
    const { store } = setup;
    const placement = await addExecutor(setup);
    await setup.sql((session) =>
      session.execute("INSERT INTO routes (route_id, text) VALUES (?, ?)", [routeId, routeTextOfAll]),
    );
    await submitOne(setup, gated("QUEUE_ALL"));
    const second = await submitOne(setup, gated("QUEUE_ALL"));
    await store.storeResults([resultOf(await claimOne(setup, placement))], null);
    await setup.sql((session) => session.execute("UPDATE executors SET draining = 1"));
    assert.deepEqual(await store.admit(10), []);
    const passed = await gate(setup);
    assert.deepEqual([passed.held, passed.waiting], [0, 1]);
    assert.ok((passed.tryUs ?? 0) > (await setup.nowUs()));
    await setup.sql((session) => session.execute("UPDATE executors SET draining = 0"));
    await setup.sql((session) => session.execute("UPDATE gates SET try_us = 1"));
    assert.deepEqual(await store.admit(10), [routeId]);
    assert.equal((await claimOne(setup, placement)).executionId, second.executionId);
  },
);

onEveryStore("rule 7: what waits for its time holds nothing", async (setup) => {
  const later = gated("SKIP", { readyUs: (await setup.nowUs()) + 60_000_000 });
  await submitOne(setup, later);
  assert.deepEqual(await setup.rows("SELECT held FROM gates"), []);
  assert.equal((await submitOne(setup, gated("SKIP"))).state, "READY");
  await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1"));
  assert.deepEqual(await setup.store.makeReady([later.executionId]), [
    { executionId: later.executionId, ended: "SKIPPED" },
  ]);
  const skipped = await setup.store.get(later.executionId);
  assert.deepEqual([skipped?.state, skipped?.stateReason], ["SKIPPED", "OVERLAP"]);
  assert.ok(skipped?.endedUs !== null);
});

onEveryStore("rule 25: cancelling gives back what is held, or the place in the queue", async (setup) => {
  const { store } = setup;
  const [first, second, third] = await submitAll(setup, [gated("QUEUE_ALL"), gated("QUEUE_ALL"), gated("QUEUE_ALL")]);
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  await store.requestStop(second.executionId, "CANCEL", "");
  assert.deepEqual(await gate(setup), { held: 1, waiting: 1, tryUs: null });
  await store.requestStop(first.executionId, "CANCEL", "");
  const free = await gate(setup);
  assert.deepEqual([free.held, free.waiting], [0, 1]);
  assert.ok(free.tryUs !== null);
  assert.deepEqual(await store.admit(10), [routeId]);
  assert.equal((await store.get(third.executionId))?.blockedKey, null);
});

onEveryStore("rule 7: a recount mends drift and reports it", async (setup) => {
  await submitAll(setup, [gated("QUEUE_ALL"), gated("QUEUE_ALL"), gated("QUEUE_ALL")]);
  assert.deepEqual(await setup.store.recountGates(), []);
  await setup.sql((session) => session.execute("UPDATE gates SET held = 3, waiting = 0"));
  assert.deepEqual(await setup.store.recountGates(), [{ gateKey, drift: 2 }]);
  const mended = await gate(setup);
  assert.deepEqual([mended.held, mended.waiting], [1, 2]);
  await setup.sql((session) => session.execute("DELETE FROM gates"));
  assert.deepEqual(await setup.store.recountGates(), [{ gateKey, drift: -1 }]);
  assert.equal((await gate(setup)).held, 1);
});

onMysql("rule 7: many at once never overfill a gate, and none is forgotten", async (setup) => {
  const { store } = setup;
  const placement = await addExecutor(setup);
  await setLimit(setup, 2);
  await Promise.all(Array.from({ length: 20 }, () => submitOne(setup, gated("ALLOW"))));
  let ended = 0;
  for (let turn = 0; turn < 100 && ended < 20; turn++) {
    const claimed = await store.claim({ routeId, slots: slots(placement, 5) });
    assert.ok(claimed.length <= 2, `${claimed.length} were let in at once`);
    await Promise.all(claimed.map((one) => store.storeResults([resultOf(one)], null)));
    ended += claimed.length;
    await Promise.all([store.admit(10), store.admit(10), store.admit(10)]);
  }
  assert.equal(ended, 20);
  assert.deepEqual(await store.recountGates(), []);
});
