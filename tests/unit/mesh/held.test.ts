/** Rule 11 in a whole mesh: a fire is sent ahead, starts on time, and a change of its job in between is kept. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Execution } from "../../../gen/jobmesh/v1/execution.ts";
import type { Job } from "../../../gen/jobmesh/v1/job.ts";
import { UpdateJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import { command } from "../../../services/client/targets.ts";
import { durationOfMs } from "../../../services/common/wire/time.ts";
import { MANUAL_CLOCK_START_US } from "../../support/manual-clock.ts";
import { addTicker, call, fireOf, PERIOD_MS, ticker, untilBefore } from "./held.ts";
import { type MeshOptions, meshRig } from "./setup.ts";

async function heldMesh(t: Parameters<typeof meshRig>[0], options: MeshOptions & { readonly slots?: number } = {}) {
  const mesh = await meshRig(t, options);
  const scheduler = await mesh.scheduler("s-1");
  const one = await mesh.executor("one", { slots: options.slots ?? 4 });
  const uid = await addTicker(scheduler);
  return { mesh, scheduler, one, uid, id: fireOf(uid) };
}

/** Lets time pass until a call has answered. */
async function answered<T>(mesh: Awaited<ReturnType<typeof meshRig>>, calling: Promise<T>): Promise<T> {
  const done = { yet: false };
  const answer = calling.finally(() => {
    done.yet = true;
  });
  for (let passed = 0; !done.yet && passed < 5_000; passed += 20) await mesh.clock.advance(20);
  assert.ok(done.yet, "it is answered");
  return answer;
}

for (const bus of [false, true]) {
  const way = bus ? "bus" : "session";

  test(`rule 11: a fire is dispatched 300 ms ahead, and its work starts on the millisecond, by ${way}`, async (t) => {
    const { mesh, one, id } = await heldMesh(t, { bus });
    await untilBefore(mesh, 310);
    assert.equal(await mesh.store.executions.get(id), null, "nothing is stored before");
    await mesh.pass(60);
    const { state, attempt } = await mesh.get(id);
    assert.deepEqual([state, attempt], ["DISPATCHED", 1]);
    await mesh.clock.advance(249);
    assert.equal(one.started.length, 0);
    await mesh.clock.advance(1);
    assert.equal(one.started.length, 1, "on the millisecond");
    one.started[0]?.end.resolve(Buffer.from("done"));
    await mesh.pass(1_000);
    assert.equal((await mesh.get(id)).state, "SUCCEEDED");
    await untilBefore(mesh, 0, 2);
    assert.equal(one.started.length, 2, "and the next one as well");
  });

  test(`rule 11: a pause while a fire is held answers when it is back, and it is SKIPPED, by ${way}`, async (t) => {
    const { mesh, scheduler, one, uid, id } = await heldMesh(t, { bus });
    await untilBefore(mesh, 200);
    assert.equal((await mesh.get(id)).state, "DISPATCHED");
    const pausing = call(scheduler, "pauseJob", { namespace: "", jobId: "ticker", reason: "repairs" });
    const response = await answered(mesh, pausing);
    assert.deepEqual([(response.job as Job).paused, response.unstoppedExecutionIds], [true, []]);
    assert.ok(mesh.clock.wallUs() < MANUAL_CLOCK_START_US + PERIOD_MS * 1_000, "before its time");
    const { state, stateReason, stateMessage } = await mesh.get(id);
    assert.deepEqual([state, stateReason, stateMessage], ["SKIPPED", "PAUSED", "repairs"]);
    await mesh.pass(1_000);
    assert.equal(one.started.length, 0);
    assert.equal((await mesh.store.jobs.getByUid(uid))?.fireCount, 0, "it counts as a fire no more");
  });

  test(`rule 11: after an update a held fire runs at its time with the new target, by ${way}`, async (t) => {
    const { mesh, scheduler, one, id } = await heldMesh(t, { bus });
    await untilBefore(mesh, 200);
    const job = ticker({ target: command("new") });
    const update = UpdateJobRequest.fromPartial({ job, updateMask: ["target"] });
    const response = await answered(mesh, call(scheduler, "updateJob", update));
    assert.deepEqual(response.unstoppedExecutionIds, []);
    const changed = await mesh.get(id);
    assert.deepEqual([changed.state, changed.jobRevision, changed.target.summary], ["SCHEDULED", 2, "new"]);
    await untilBefore(mesh, 1);
    assert.equal(one.started.length, 0);
    await mesh.pass(300);
    assert.deepEqual([one.started.length, one.started[0]?.context.attempt], [1, 2]);
    assert.equal((await mesh.get(id)).attempt, 2);
  });

  test(`rule 11: a held fire never starts after its cancel was answered, by ${way}`, async (t) => {
    const { mesh, scheduler, one, id } = await heldMesh(t, { bus });
    await untilBefore(mesh, 200);
    const cancelling = call(scheduler, "cancelExecution", { executionId: id, reason: "no" });
    await answered(mesh, cancelling);
    assert.equal((await mesh.get(id)).state, "CANCELLED", "the answer has its end");
    await mesh.pass(1_000);
    assert.equal(one.started.length, 0);
  });
}

test("rule 11: an update that leaves no such fire makes it SKIPPED, SUPERSEDED", async (t) => {
  const { mesh, scheduler, one, id } = await heldMesh(t);
  await untilBefore(mesh, 200);
  const schedule = { when: { $case: "interval" as const, value: durationOfMs(3_000) } };
  const update = UpdateJobRequest.fromPartial({ job: ticker({ schedule }), updateMask: ["schedule"] });
  await answered(mesh, call(scheduler, "updateJob", update));
  const { state, stateReason } = await mesh.get(id);
  assert.deepEqual([state, stateReason], ["SKIPPED", "SUPERSEDED"]);
  await untilBefore(mesh, -100);
  assert.equal(one.started.length, 0);
});

test("rule 11: with its job a held fire is CANCELLED, also where nothing else is to be cancelled", async (t) => {
  const { mesh, scheduler, one, id } = await heldMesh(t);
  await untilBefore(mesh, 200);
  const deleting = call(scheduler, "deleteJob", { namespace: "", jobId: "ticker", revision: 0n });
  assert.deepEqual((await answered(mesh, deleting)).unstoppedExecutionIds, []);
  const { state, stateReason } = await mesh.get(id);
  assert.deepEqual([state, stateReason], ["CANCELLED", "JOB_DELETED"]);
  await mesh.pass(1_000);
  assert.equal(one.started.length, 0);
});

test("rule 11: an executor that does not answer is waited for two beats, and its fire is named", async (t) => {
  const { mesh, scheduler, one, id } = await heldMesh(t);
  await untilBefore(mesh, 200);
  one.way.cut = true;
  const pausing = call(scheduler, "pauseJob", { namespace: "", jobId: "ticker", reason: "repairs" });
  const beganMs = mesh.clock.monotonicMs();
  assert.deepEqual((await answered(mesh, pausing)).unstoppedExecutionIds, [id]);
  const tookMs = mesh.clock.monotonicMs() - beganMs;
  assert.ok(tookMs >= 2_000 && tookMs <= 2_050, `${tookMs} ms`);
  one.way.cut = false;
  one.started[0]?.end.resolve(Buffer.from("done"));
  await mesh.pass(10_000);
  assert.equal((await mesh.get(id)).state, "SUCCEEDED", "what runs goes on");
});

test("rule 11: a pause whose caller is gone is kept: at its time the fire is SKIPPED", async (t) => {
  const { mesh, one, uid, id } = await heldMesh(t);
  await untilBefore(mesh, 280);
  const { namespace, jobId } = (await mesh.store.jobs.getByUid(uid)) ?? assert.fail();
  const outcome = await mesh.store.jobs.pause(namespace, jobId, "repairs");
  assert.ok(outcome.kind === "changed");
  assert.deepEqual(outcome.held, { executionId: id, attempt: 1, jobRevision: 1 });
  await mesh.pass(1_000);
  const made = await mesh.get(id);
  assert.deepEqual([made.state, made.stateReason, one.started.length], ["SKIPPED", "PAUSED", 0]);
});

test("rule 11: an executor that is lost while it holds a fire does not make it start early, nor twice", async (t) => {
  const { mesh, one, id } = await heldMesh(t);
  await untilBefore(mesh, 200);
  one.way.cut = true;
  const two = await mesh.executor("two", { slots: 40 });
  await mesh.pass(500);
  const began = one.started.length;
  assert.equal(began, 1, "it starts what it holds, as nobody told it not to");
  await mesh.pass(60_000);
  const { state, attempt, lossCount } = await mesh.get(id);
  assert.deepEqual([state, attempt, lossCount], ["RUNNING", 2, 1]);
  assert.deepEqual(
    two.started.filter(({ context }) => context.executionId === id).map(({ overlapped }) => overlapped),
    [false],
  );
});

test("rule 11: nothing goes ahead while READY work waits for the slot; the fire is made at its time", async (t) => {
  const { mesh, one, id } = await heldMesh(t, { slots: 1 });
  await untilBefore(mesh, 1_000);
  const [first, second] = await mesh.submit(2);
  await mesh.pass(750);
  assert.equal(await mesh.store.executions.get(id), null, "no slot is free");
  one.started[0]?.end.resolve(Buffer.from("done"));
  await mesh.pass(200);
  const states = [(await mesh.get(first ?? id)).state, (await mesh.get(second ?? id)).state];
  assert.deepEqual(states.sort(), ["DISPATCHED", "SUCCEEDED"], "the other one has the slot");
  assert.equal(await mesh.store.executions.get(id), null);
  await mesh.pass(100);
  assert.equal((await mesh.get(id)).state, "READY");
});

test("rule 12: nothing is sent ahead while mesh time is uncertain, and the fire is made at its time", async (t) => {
  const mesh = await meshRig(t);
  const { store, clock } = mesh;
  const readNow = store.nowUs.bind(store);
  // Each reading of the store's clock takes 250 ms.
  store.nowUs = async () => {
    const nowUs = await readNow();
    await clock.sleep(250);
    return nowUs;
  };
  const starting = mesh.scheduler("s-1");
  await mesh.pass(1_500);
  const scheduler = await starting;
  await mesh.executor("one");
  const uid = await addTicker(scheduler);
  await untilBefore(mesh, 1);
  assert.equal(await store.executions.get(fireOf(uid)), null);
  await mesh.pass(600);
  assert.ok((await store.executions.get(fireOf(uid))) !== null, "it is made");
});

test("a held execution is DISPATCHED to whoever looks, and is READY or SCHEDULED to nobody", async (t) => {
  const { mesh, scheduler, id } = await heldMesh(t);
  await untilBefore(mesh, 100);
  const { execution } = await call(scheduler, "getExecution", { executionId: id, view: 0, waitUntilEnded: false });
  assert.equal((execution as Execution).startTime, undefined);
});
