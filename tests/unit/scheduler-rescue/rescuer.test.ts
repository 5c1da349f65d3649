import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { keptLog, resultOf } from "../scheduler-results/setup.ts";
import { executorOf, rescueRig } from "./setup.ts";

const underFail = { policy: { ...defaultPolicy, lostPolicy: "FAIL" } } as const;
const registered = { registered: true } as const;
/** Lease, margin, one read to begin with and one more. */
const LOSS_MS = 8_200;

test("rule 14: an executor without beat and key is lost, and its attempts run again", async (t) => {
  const rig = await rescueRig(t);
  const executions = await rig.dispatched(3, {}, registered);
  const { executorId } = executorOf(executions);
  const { rescuer, told } = await rig.rescuer();
  rescuer.start();
  await rig.clock.advance(6_900);
  assert.equal(await rig.isLive(executorId), true);
  await rig.clock.advance(LOSS_MS - 6_900);
  assert.equal(await rig.isLive(executorId), false);
  assert.deepEqual(new Set(await rig.states(executions)), new Set(["READY"]));
  assert.deepEqual(
    told.map((hint) => (hint.kind === "ready" ? hint.count : hint.kind)),
    [3],
  );
});

test("rule 14: beats, or a key alone, keep an executor alive", async (t) => {
  const rig = await rescueRig(t);
  const beating = await rig.dispatched(1, {}, registered);
  const keyed = await rig.dispatched(1, {}, registered);
  rig.registry.keys = [executorOf(keyed).executorId];
  (await rig.rescuer()).rescuer.start();
  for (let beat = 0; beat < 25; beat += 1) {
    await rig.clock.advance(1_250);
    await rig.beat(beating);
  }
  assert.deepEqual(await rig.states([...beating, ...keyed]), ["DISPATCHED", "DISPATCHED"]);
});

test("rule 14: a store that is away declares nobody lost, neither while nor after", async (t) => {
  const rig = await rescueRig(t);
  const executions = await rig.dispatched(1, {}, registered);
  (await rig.rescuer()).rescuer.start();
  await rig.clock.advance(5_000);
  rig.outage.names = [];
  await rig.clock.advance(600_000);
  rig.outage.names = null;
  await rig.clock.advance(1_200);
  await rig.beat(executions);
  await rig.clock.advance(5_000);
  assert.deepEqual(await rig.states(executions), ["DISPATCHED"]);
});

test("rule 14: a registry that is away declares nobody lost who registers", async (t) => {
  const rig = await rescueRig(t);
  const executions = await rig.dispatched(1, {}, registered);
  rig.registry.keys = null;
  (await rig.rescuer()).rescuer.start();
  await rig.clock.advance(120_000);
  assert.deepEqual(await rig.states(executions), ["DISPATCHED"]);
  rig.registry.keys = [];
  await rig.clock.advance(LOSS_MS);
  assert.deepEqual(await rig.states(executions), ["READY"]);
});

test("rule 14: the executor inside this process is not judged", async (t) => {
  const rig = await rescueRig(t);
  const own = await rig.dispatched(1);
  const other = await rig.dispatched(1);
  const { executorId } = executorOf(own);
  (await rig.rescuer({ unjudged: (record) => record.executorId === executorId })).rescuer.start();
  await rig.clock.advance(120_000);
  assert.deepEqual(await rig.states([...own, ...other]), ["DISPATCHED", "READY"]);
});

test("rule 15: attempts of one that was declared lost before a crash end at the next rescuer's first look", async (t) => {
  const rig = await rescueRig(t);
  const executions = await rig.dispatched(2, underFail);
  await rig.declareLost(executions);
  (await rig.rescuer()).rescuer.start();
  await rig.clock.settle();
  assert.deepEqual(await rig.states(executions), ["LOST", "LOST"]);
});

test("rule 15: more attempts than one transaction takes end one after the other", async (t) => {
  const rig = await rescueRig(t);
  const executions = await rig.dispatched(25);
  await rig.declareLost(executions);
  (await rig.rescuer({ maxBatchRows: 10 })).rescuer.start();
  await rig.clock.advance(0);
  assert.deepEqual(new Set(await rig.states(executions)), new Set(["READY"]));
});

test("rule 15: two rescuers end each attempt once", async (t) => {
  const rig = await rescueRig(t);
  const executions = await rig.dispatched(12, {}, registered);
  const rescuers = [await rig.rescuer({ maxBatchRows: 5 }), await rig.rescuer({ maxBatchRows: 5 })];
  for (const { rescuer } of rescuers) rescuer.start();
  await rig.clock.advance(LOSS_MS + 1_000);
  const counts = rescuers.flatMap(({ told }) => told.map((hint) => (hint.kind === "ready" ? hint.count : 0)));
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    12,
  );
  assert.deepEqual(
    new Set(
      (await Promise.all(executions.map((one) => rig.store.executions.get(one.executionId)))).map(
        (one) => one?.lossCount,
      ),
    ),
    new Set([1]),
  );
});

test("rule 15: a result that is on its way in the bus is stored before the attempts end", async (t) => {
  const rig = await rescueRig(t);
  const executions = await rig.dispatched(3, underFail, { lane: 4 });
  for (const one of executions.slice(0, 2)) rig.bus.addResult(0, resultOf(one));
  await rig.declareLost(executions);
  (await rig.rescuer()).rescuer.start();
  await rig.clock.advance(20_000);
  assert.deepEqual(new Set(await rig.states(executions)), new Set(["DISPATCHED"]), "it waits");
  (await rig.reader()).reader.start();
  await rig.clock.advance(2_000);
  assert.deepEqual(await rig.states(executions), ["SUCCEEDED", "SUCCEEDED", "LOST"]);
});

test("rule 15: what others produce after the loss is not waited for", async (t) => {
  const rig = await rescueRig(t);
  const lost = await rig.dispatched(8, {}, { lane: 4 });
  const others = await rig.dispatched(400, {}, { lane: 5 });
  rig.bus.addResult(0, resultOf(lost[0] as never));
  await rig.declareLost(lost);
  (await rig.rescuer({ maxBatchRows: 1 })).rescuer.start();
  await rig.clock.advance(10);
  // The store falls ever further behind the end.
  let slow = true;
  const original = rig.store.executions.storeResults.bind(rig.store.executions);
  t.mock.method(rig.store.executions, "storeResults", async (...parts: Parameters<typeof original>) => {
    if (slow) await rig.clock.sleep(900);
    return await original(...parts);
  });
  (await rig.reader({ maxBatchRows: 1 })).reader.start();
  for (const one of others) {
    rig.bus.addResult(0, resultOf(one));
    await rig.clock.advance(10);
  }
  assert.deepEqual(await rig.states(lost), ["SUCCEEDED", ...Array.from({ length: 7 }, () => "READY")]);
  slow = false;
  await rig.clock.advance(1_000);
});

test("rule 15: a partition whose generation changes is read anew", async (t) => {
  const rig = await rescueRig(t);
  const executions = await rig.dispatched(2, {}, { lane: 4 });
  const others = await rig.dispatched(8, {}, { lane: 5 });
  for (const one of others) rig.bus.addResult(0, resultOf(one));
  await rig.declareLost(executions);
  (await rig.rescuer()).rescuer.start();
  await rig.clock.advance(3_000);
  assert.deepEqual(await rig.states(executions), ["DISPATCHED", "DISPATCHED"]);
  // The end that was awaited, 8, will never come: the new topic has one record.
  rig.bus.remakeResults();
  rig.bus.addResult(0, resultOf(executions[0] as never));
  await rig.store.offsets.raiseGeneration(0, 0, 0);
  await rig.clock.advance(3_000);
  assert.deepEqual(await rig.states(executions), ["DISPATCHED", "DISPATCHED"]);
  (await rig.reader()).reader.start();
  await rig.clock.advance(3_000);
  assert.deepEqual(await rig.states(executions), ["SUCCEEDED", "READY"]);
});

test("rule 15: a result in a topic that was made anew, which nobody has noticed yet, is stored first", async (t) => {
  const rig = await rescueRig(t);
  const executions = await rig.dispatched(2, underFail, { lane: 4 });
  const others = await rig.dispatched(3, {}, { lane: 5 });
  for (const one of others) rig.bus.addResult(0, resultOf(one));
  const { reader } = await rig.reader();
  reader.start();
  await rig.clock.advance(3_000);
  assert.deepEqual(new Set(await rig.states(others)), new Set(["SUCCEEDED"]));
  await reader.stop();
  // Three are stored; the new topic ends at one, which is not among them.
  rig.bus.remakeResults();
  rig.bus.addResult(0, resultOf(executions[0] as never));
  await rig.declareLost(executions);
  (await rig.rescuer()).rescuer.start();
  await rig.clock.advance(3_000);
  assert.deepEqual(await rig.states(executions), ["DISPATCHED", "DISPATCHED"]);
  reader.start();
  await rig.clock.advance(6_000);
  assert.deepEqual(await rig.states(executions), ["SUCCEEDED", "LOST"]);
});

test("rule 15: while the bus is away LOST_POLICY_FAIL waits, and RETRY goes on after a while", async (t) => {
  const rig = await rescueRig(t);
  const failing = await rig.dispatched(600, underFail, { lane: 4 });
  const retrying = await rig.dispatchedTo(executorOf(failing), 3, {});
  rig.bus.addResult(0, resultOf(failing[0] as never));
  await rig.declareLost(failing);
  const { rescuer } = await rig.rescuer({ busWaitMs: 10_000 });
  rig.bus.away = true;
  rescuer.start();
  await rig.clock.advance(9_900);
  assert.deepEqual(new Set(await rig.states([...retrying, ...failing])), new Set(["DISPATCHED"]));
  await rig.clock.advance(3_000);
  assert.deepEqual(new Set(await rig.states(retrying)), new Set(["READY"]));
  await rig.clock.advance(600_000);
  assert.deepEqual(new Set(await rig.states(failing)), new Set(["DISPATCHED"]));
  rig.bus.away = false;
  (await rig.reader()).reader.start();
  await rig.clock.advance(3_000);
  const [first, ...rest] = await rig.states(failing);
  assert.deepEqual([first, new Set(rest)], ["SUCCEEDED", new Set(["LOST"])]);
});

test("rule 15: a bus that goes away while its results are awaited is given up for RETRY alone", async (t) => {
  const rig = await rescueRig(t);
  const [retried, ...mixed] = await rig.dispatched(2, {}, { lane: 4 });
  assert.ok(retried !== undefined && mixed.length === 1);
  rig.bus.addResult(0, resultOf(retried));
  await rig.declareLost([retried]);
  (await rig.rescuer({ busWaitMs: 10_000 })).rescuer.start();
  await rig.clock.advance(60_000);
  assert.deepEqual(await rig.states([retried, ...mixed]), ["DISPATCHED", "DISPATCHED"], "the bus is there: it waits");
  rig.bus.away = true;
  await rig.clock.advance(9_000);
  assert.deepEqual(await rig.states([retried, ...mixed]), ["DISPATCHED", "DISPATCHED"]);
  await rig.clock.advance(4_000);
  assert.deepEqual(await rig.states([retried, ...mixed]), ["READY", "READY"]);
});

test("attempts of one executor that cannot be ended do not keep the others", async (t) => {
  const rig = await rescueRig(t);
  const { log, messages } = keptLog();
  const poison = await rig.dispatched(1);
  const good = await rig.dispatched(1);
  await rig.declareLost(poison);
  await rig.declareLost(good);
  const original = rig.store.executions.endLost.bind(rig.store.executions);
  t.mock.method(rig.store.executions, "endLost", (...parts: Parameters<typeof original>) =>
    parts[0] === executorOf(poison).executorId ? Promise.reject(new Error("no")) : original(...parts),
  );
  (await rig.rescuer({ log })).rescuer.start();
  await rig.clock.settle();
  assert.deepEqual(await rig.states([...poison, ...good]), ["DISPATCHED", "READY"]);
  assert.deepEqual(messages, ["error: attempts of a lost executor could not be ended"]);
});
