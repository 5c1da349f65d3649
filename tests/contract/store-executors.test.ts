import assert from "node:assert/strict";
import { lostSql } from "../../services/common/adapter/sql/executors.ts";
import type { ExecutorId, Incarnation, SchedulerId } from "../../services/common/domain/identifier.ts";
import type { Beat, Registration } from "../../services/common/port/store-executors.ts";
import { testProfile } from "../support/executor-profile.ts";
import { testExecution } from "../support/new-execution.ts";
import { storeTest, type TestDatabase } from "../support/store.ts";
import { newFence, registration } from "../support/store-records.ts";

const second = "i-2" as Incarnation;

/** The Hello of another incarnation of the same executor. */
function incarnationOf(first: Registration, incarnation: Incarnation, previous: Incarnation | null): Registration {
  return { ...first, sessionNumber: 1, previousIncarnation: previous, profile: { ...first.profile, incarnation } };
}

function beatOf({ profile, sessionNumber }: Registration, parts: Partial<Beat> = {}): Beat {
  const { executorId, incarnation } = profile;
  return {
    executorId,
    incarnation,
    sessionNumber,
    freeSlots: 3,
    cpuLoad: 0.25,
    memoryBytes: 123_456_789_012,
    draining: false,
    ...parts,
  };
}

async function recordOf({ store }: TestDatabase, { profile }: Registration) {
  const live = await store.executors.live();
  return live.find((one) => one.executorId === profile.executorId && one.incarnation === profile.incarnation);
}

/** Submits an execution that is dispatched to the executor at once. */
async function dispatchTo({ store }: TestDatabase, hello: Registration): Promise<void> {
  const { executorId, incarnation } = hello.profile;
  const slot = { executorId, incarnation, sessionNumber: hello.sessionNumber, fence: newFence() };
  const execution = testExecution(await store.nowUs());
  const [outcome] = await store.executions.submit([{ execution, request: null, slot }]);
  assert.ok(outcome?.kind === "stored" && outcome.execution.state === "DISPATCHED");
}

storeTest("an executor is read as it said Hello", async (db) => {
  const before = await db.store.nowUs();
  const hello = registration({
    sessionNumber: 7,
    profile: {
      labels: { zone: "b" },
      namespaces: ["n"],
      lane: 3,
      registered: true,
      capabilities: [{ kind: "handler", method: "a.B/C", descriptorHash: "d".repeat(64), slots: 2 }],
    },
  });
  assert.deepEqual(await db.store.executors.register(hello), { kind: "welcome" });
  const record = await recordOf(db, hello);
  assert.ok(record !== undefined && record.registeredUs >= before);
  assert.deepEqual(record, {
    ...hello.profile,
    sessionNumber: 7,
    home: hello.home,
    registeredUs: record.registeredUs,
    heardUs: record.registeredUs,
    lostUs: null,
    leftUs: null,
    draining: false,
    freeSlots: hello.profile.slots,
    cpuLoad: 0,
    memoryBytes: 0,
  });
});

storeTest("rule 20: a session is compared and set, a lower one is stale", async (db) => {
  const hello = registration({ sessionNumber: 5 });
  await db.store.executors.register(hello);
  const next = { ...hello, sessionNumber: 6, home: "s-2" as SchedulerId };
  assert.deepEqual(await db.store.executors.register(next), { kind: "welcome" });
  assert.deepEqual(await db.store.executors.register(hello), { kind: "stale_session" });
  assert.deepEqual(await db.store.executors.register({ ...next, home: hello.home }), { kind: "stale_session" });
  assert.deepEqual(await db.store.executors.register(next), { kind: "welcome" }, "the same Hello once more");
  const record = await recordOf(db, hello);
  assert.deepEqual([record?.sessionNumber, record?.home], [6, "s-2"]);
});

storeTest("rule 14: a beat is answered only when its session is the store's", async (db) => {
  const { store } = db;
  const hellos = [registration(), registration(), registration(), registration()] as const;
  for (const hello of hellos) await store.executors.register(hello);
  const [standing, moved, lost, left] = hellos;
  await store.executors.register({ ...moved, sessionNumber: 2, home: "s-2" as SchedulerId });
  await store.executors.declareLost(lost.profile.executorId, lost.profile.incarnation, await heardUs(db, lost));
  await store.executors.leave(left.profile.executorId, left.profile.incarnation);
  const beats = hellos.map((hello) => beatOf(hello, { draining: true }));
  assert.deepEqual(await store.executors.beat(standing.home, beats), [beats[0]]);
  const record = await recordOf(db, standing);
  assert.ok(record !== undefined && record.heardUs > record.registeredUs, "heard after it registered");
  assert.deepEqual(
    [record.freeSlots, record.cpuLoad, record.memoryBytes, record.draining],
    [3, 0.25, 123_456_789_012, true],
  );
  const stranger = await recordOf(db, moved);
  assert.equal(stranger?.freeSlots, moved.profile.slots, "the beat of an older session wrote nothing");
  assert.deepEqual(await store.executors.beat(standing.home, []), []);
});

async function heardUs(db: TestDatabase, hello: Registration): Promise<number> {
  const record = await recordOf(db, hello);
  assert.ok(record !== undefined);
  return record.heardUs;
}

storeTest("rule 14: an executor is declared lost only when it was not heard since, and only once", async (db) => {
  const { store } = db;
  const hello = registration();
  const { executorId, incarnation } = hello.profile;
  await store.executors.register(hello);
  const seenUs = await heardUs(db, hello);
  await store.executors.beat(hello.home, [beatOf(hello)]);
  assert.equal(await store.executors.declareLost(executorId, incarnation, seenUs), false);
  const nowUs = await heardUs(db, hello);
  assert.equal(await store.executors.declareLost(executorId, incarnation, nowUs), true);
  assert.equal(await store.executors.declareLost(executorId, incarnation, nowUs), false);
  assert.equal(await recordOf(db, hello), undefined);
});

storeTest("rule 16: a lost incarnation is never welcome again, nor is one that left", async (db) => {
  const { store } = db;
  const [lost, left] = [registration(), registration()];
  for (const hello of [lost, left]) await store.executors.register(hello);
  await store.executors.declareLost(lost.profile.executorId, lost.profile.incarnation, await heardUs(db, lost));
  await store.executors.leave(left.profile.executorId, left.profile.incarnation);
  for (const hello of [lost, left]) {
    assert.deepEqual(await store.executors.register({ ...hello, sessionNumber: 9 }), { kind: "lost" });
    assert.equal(await recordOf(db, hello), undefined);
    const next = incarnationOf(hello, second, hello.profile.incarnation);
    assert.deepEqual(await store.executors.register(next), { kind: "welcome" });
  }
});

storeTest("rule 23: a second process is refused while the first is alive, unless it names it", async (db) => {
  const { store } = db;
  const first = registration();
  await store.executors.register(first);
  const taken = { kind: "taken", incarnation: first.profile.incarnation };
  assert.deepEqual(await store.executors.register(incarnationOf(first, second, null)), taken);
  assert.deepEqual(await store.executors.register(incarnationOf(first, second, "i-0" as Incarnation)), taken);
  assert.equal(await recordOf(db, incarnationOf(first, second, null)), undefined, "the refused one left no row");
  const next = incarnationOf(first, second, first.profile.incarnation);
  assert.deepEqual(await store.executors.register(next), { kind: "welcome" });
  assert.equal(await recordOf(db, first), undefined, "the named one is lost at once");
  assert.deepEqual(await store.executors.register({ ...first, sessionNumber: 9 }), { kind: "lost" });
  assert.deepEqual(await store.executors.beat(first.home, [beatOf(first)]), []);
});

storeTest("rule 23: of two processes that say Hello at once one is refused", async (db) => {
  for (let round = 0; round < 5; round++) {
    const first = registration();
    const rivals = [first, incarnationOf(first, second, null), incarnationOf(first, "i-3" as Incarnation, null)];
    const outcomes = await Promise.all(rivals.map((hello) => db.store.executors.register(hello)));
    assert.deepEqual(outcomes.map(({ kind }) => kind).toSorted(), ["taken", "taken", "welcome"]);
    const live = await db.store.executors.live();
    assert.equal(live.filter(({ executorId }) => executorId === first.profile.executorId).length, 1);
  }
});

storeTest("rule 8: executors that differ in case are two", async ({ store }) => {
  const lower = registration({ profile: { executorId: "box" as ExecutorId } });
  const upper = registration({ profile: testProfile("BOX") });
  assert.deepEqual(await store.executors.register(lower), { kind: "welcome" });
  assert.deepEqual(await store.executors.register(upper), { kind: "welcome" });
});

storeTest("rule 15: lost and left incarnations are shown while they have current attempts", async (db) => {
  const { store } = db;
  const [alive, lost, left, idle] = [registration(), registration(), registration(), registration()];
  for (const hello of [alive, lost, left, idle]) await store.executors.register(hello);
  for (const hello of [alive, lost, left]) await dispatchTo(db, hello);
  for (const hello of [lost, idle]) {
    await store.executors.declareLost(hello.profile.executorId, hello.profile.incarnation, await heardUs(db, hello));
  }
  await store.executors.leave(left.profile.executorId, left.profile.incarnation);
  const own = new Set([alive, lost, left, idle].map(({ profile }) => profile.executorId));
  const shown = (await store.executors.lostWithAttempts()).filter(({ executorId }) => own.has(executorId));
  assert.deepEqual(
    shown.map(({ executorId }) => executorId),
    [lost.profile.executorId, left.profile.executorId],
  );
  assert.ok(shown[0]?.lostUs !== null && shown[1]?.leftUs !== null);
  const pruned = await store.executors.prune((await store.nowUs()) + 1);
  assert.ok(pruned >= 1, "the one without attempts is forgotten");
  assert.equal((await store.executors.lostWithAttempts()).filter(({ executorId }) => own.has(executorId)).length, 2);
  await store.executions.endLost(lost.profile.executorId, lost.profile.incarnation, 10);
  const rest = (await store.executors.lostWithAttempts()).filter(({ executorId }) => own.has(executorId));
  assert.deepEqual(
    rest.map(({ executorId }) => executorId),
    [left.profile.executorId],
  );
});

storeTest("ended incarnations are kept until the given time", async (db) => {
  const { store } = db;
  const hello = registration();
  await store.executors.register(hello);
  await store.executors.leave(hello.profile.executorId, hello.profile.incarnation);
  await store.executors.prune(1);
  assert.deepEqual(await store.executors.register({ ...hello, sessionNumber: 2 }), { kind: "lost" });
});

storeTest("attempts of lost executors are found by their index", async ({ sql, kind }) => {
  const explain = kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
  const plan = await sql((session) => session.query(`${explain} ${lostSql}`));
  assert.match(JSON.stringify(plan), /ix_executions_active/);
});

storeTest(
  "a drain stands until its executor has left; the earlier end of two stands; nobody of that name is null",
  async (db) => {
    const { store } = db;
    const hello = registration();
    const other = registration();
    await store.executors.register(hello);
    await store.executors.register(other);
    const { executorId, incarnation } = hello.profile;
    assert.equal(await store.executors.drain("nobody" as ExecutorId, 1_000), null);
    const before = await store.nowUs();
    assert.equal((await store.executors.drain(executorId, 60_000))?.draining, true);
    const [first] = await store.executors.drains(hello.home);
    assert.ok(first !== undefined && first.executorId === executorId && first.incarnation === incarnation);
    assert.ok(first.untilUs >= before + 60_000_000);
    await store.executors.drain(executorId, 120_000);
    assert.deepEqual(await store.executors.drains(hello.home), [first]);
    await store.executors.drain(executorId, 0);
    assert.ok(((await store.executors.drains(hello.home))[0]?.untilUs ?? 0) < first.untilUs);
    await store.executors.beat(hello.home, [beatOf(hello)]);
    assert.equal((await recordOf(db, hello))?.draining, true, "a beat of a home that has not heard of it");
    assert.equal((await recordOf(db, other))?.draining, false);
    assert.deepEqual(await store.executors.drains("s-2" as SchedulerId), []);
    await store.executors.register({ ...hello, sessionNumber: 2, home: "s-2" as SchedulerId });
    assert.equal((await store.executors.drains("s-2" as SchedulerId)).length, 1, "it goes with the executor");
    await store.executors.leave(executorId, incarnation);
    assert.equal(await store.executors.drain(executorId, 1_000), null);
    assert.deepEqual(await store.executors.drains("s-2" as SchedulerId), []);
    await store.executors.register(incarnationOf(hello, second, null));
    assert.equal((await recordOf(db, incarnationOf(hello, second, null)))?.draining, false, "it takes work again");
  },
);

storeTest(
  "nothing is claimed for an executor that was asked to drain, whether its home has heard of it or not",
  async (db) => {
    const { store } = db;
    const hello = registration();
    await store.executors.register(hello);
    const { executorId, incarnation } = hello.profile;
    await store.executors.drain(executorId, 60_000);
    const slot = { executorId, incarnation, sessionNumber: hello.sessionNumber, fence: newFence() };
    const execution = testExecution(await store.nowUs());
    const [outcome] = await store.executions.submit([{ execution, request: null, slot }]);
    assert.ok(outcome?.kind === "stored" && outcome.execution.state === "READY");
    assert.deepEqual(await store.executions.claim({ routeId: execution.routeId, slots: [slot] }), []);
  },
);
