import assert from "node:assert/strict";
import { test } from "node:test";
import { scheduleDefaults } from "../../../services/common/domain/schedule/schedule.ts";
import { addJob, at, nominals, START_MS, TestOwners, timerRig } from "./setup.ts";

const everySecond = { when: { kind: "interval", intervalMs: 1_000 }, overlapPolicy: "ALLOW" } as const;

test("rule 9: each nominal time is fired exactly once by two owners that race", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, everySecond, { firstMs: START_MS + 1_000 });
  const alike = { job: { aheadMs: 0 } };
  const owners = [rig.timers(alike), rig.timers(alike)];
  for (const timers of owners) timers.start();
  await rig.clock.advance(5_000);
  const executions = await rig.executions(job);
  assert.deepEqual(nominals(executions), [1_000, 2_000, 3_000, 4_000, 5_000]);
  assert.equal(new Set(executions.map(({ executionId }) => executionId)).size, 5);
  assert.equal((await rig.store.jobs.getByUid(job.jobUid))?.fireCount, 5);
  assert.ok(rig.count("fire") > 5, "both tried");
  assert.equal(owners.flatMap(({ told }) => told).filter(({ kind }) => kind === "ready").length, 5);
});

test("a fire is stored at its millisecond, without a read between it and the next one", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(
    rig,
    { ...everySecond, when: { kind: "interval", intervalMs: 100 } },
    { firstMs: START_MS + 100 },
  );
  const timers = rig.timers();
  timers.start();
  await rig.clock.settle();
  const reads = rig.count("job.due");
  await rig.clock.advance(99);
  assert.deepEqual(await rig.executions(job), []);
  await rig.clock.advance(1);
  assert.deepEqual(nominals(await rig.executions(job)), [100]);
  await rig.clock.advance(800);
  const executions = await rig.executions(job);
  assert.equal(executions.length, 9);
  for (const { createUs, scheduledUs } of executions) assert.equal(createUs, scheduledUs);
  assert.equal(rig.count("job.due"), reads);
});

test("rule 9: a job changed while it is armed fires by what is stored", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, at(1_500), { firstMs: START_MS + 1_500 });
  rig.timers().start();
  await rig.clock.advance(1_000);
  const schedule = { ...scheduleDefaults, ...at(1_700) };
  await rig.store.jobs.update({ ...job, name: "renamed", schedule }, (START_MS + 1_700) * 1_000, null);
  await rig.clock.advance(699);
  assert.deepEqual(await rig.executions(job), []);
  await rig.clock.advance(1);
  const [execution] = await rig.executions(job);
  assert.deepEqual([execution?.jobRevision, execution?.name], [2, "renamed"]);
});

test("rule 9: a change that comes while the job fires is read before the next fire", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, everySecond, { firstMs: START_MS + 1_000 });
  const timers = rig.timers();
  timers.start();
  await rig.clock.advance(1_000);
  // Sooner than what is armed, and told by a peer in the middle of the look-ahead.
  const spec = { ...job, schedule: { ...job.schedule, when: { kind: "interval", intervalMs: 250 } } } as typeof job;
  await rig.store.jobs.update(spec, (START_MS + 1_250) * 1_000, null);
  timers.hints.tell({ kind: "changed", jobUid: job.jobUid }, "peer");
  await rig.clock.advance(500);
  assert.deepEqual(nominals(await rig.executions(job)), [1_000, 1_250, 1_500]);
});

for (const [what, change] of [
  ["paused", (store, job) => store.jobs.pause(job.namespace, job.jobId, "why")],
  ["deleted", (store, job) => store.jobs.delete(job.namespace, job.jobId, null)],
] as [
  string,
  (store: Awaited<ReturnType<typeof timerRig>>["store"], job: Awaited<ReturnType<typeof addJob>>) => Promise<unknown>,
][]) {
  test(`rule 9: a job ${what} while it is armed does not fire`, async (t) => {
    const rig = await timerRig(t);
    const job = await addJob(rig, everySecond, { firstMs: START_MS + 1_000 });
    rig.timers().start();
    await rig.clock.advance(500);
    await change(rig.store, job);
    await rig.clock.advance(5_000);
    assert.deepEqual(await rig.executions(job), []);
    assert.equal(rig.count("fire"), 1, "it was refused once, and not tried again");
  });
}

test("at most maxConcurrentFires are stored at once, and all of them are stored once", async (t) => {
  const rig = await timerRig(t);
  const jobs = [];
  for (let index = 0; index < 30; index += 1) {
    jobs.push(await addJob(rig, at(1_000), { firstMs: START_MS + 1_000 }));
  }
  const fireAll = rig.store.jobs.fireAll.bind(rig.store.jobs);
  let most = 0;
  let stored = 0;
  t.mock.method(rig.store.jobs, "fireAll", async (group: Parameters<typeof fireAll>[0]) => {
    most = Math.max(most, group.length);
    stored += group.length;
    await rig.clock.sleep(200);
    return await fireAll(group);
  });
  const timers = rig.timers({ job: { maxConcurrentFires: 4 } });
  timers.start();
  await rig.clock.advance(4_000);
  for (const job of jobs) assert.equal((await rig.executions(job)).length, 1);
  assert.equal(most, 4);
  // Jobs that wait for their turn are read again each second; that must not make more fires of them.
  assert.equal(stored, 30);
});

test("fires of one moment are stored in one transaction", async (t) => {
  const rig = await timerRig(t);
  const jobs = [];
  for (let index = 0; index < 60; index += 1) {
    jobs.push(await addJob(rig, at(1_000), { firstMs: START_MS + 1_000 }));
  }
  rig.timers({ job: { maxConcurrentFires: 100 } }).start();
  await rig.clock.advance(1_000);
  for (const job of jobs) assert.equal((await rig.executions(job)).length, 1);
  assert.equal(rig.count("fire"), 1);
});

test("more due jobs than one query gives all fire at their millisecond", async (t) => {
  const rig = await timerRig(t);
  const jobs = [];
  for (let index = 0; index < 25; index += 1) {
    jobs.push(await addJob(rig, at(1_900), { firstMs: START_MS + 1_900 }));
  }
  rig.timers({ job: { maxJobs: 4 } }).start();
  await rig.clock.advance(1_900);
  for (const job of jobs) assert.equal((await rig.executions(job)).length, 1);
});

test("rule 30: a fire of a foreign shard is taken once it is overdue by two seconds", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, at(1_000), { firstMs: START_MS + 1_000, shard: 7 });
  rig.timers({ owners: new TestOwners([8]) }).start();
  await rig.clock.advance(2_900);
  assert.deepEqual(await rig.executions(job), []);
  await rig.clock.advance(1_100);
  assert.deepEqual(nominals(await rig.executions(job)), [1_000]);
});

test("rule 30: a shard that becomes ours is read at once", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, at(300), { firstMs: START_MS + 300, shard: 7 });
  const timers = rig.timers({ owners: new TestOwners([]) });
  timers.start();
  await rig.clock.advance(100);
  timers.owners.own([7]);
  await rig.clock.advance(200);
  assert.deepEqual(nominals(await rig.executions(job)), [300]);
});

test("a store that is away during a fire is asked again, and nothing is fired twice", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, everySecond, { firstMs: START_MS + 1_000 });
  rig.timers().start();
  await rig.clock.advance(900);
  rig.outage.names = [];
  await rig.clock.advance(4_000);
  rig.outage.names = null;
  await rig.clock.advance(2_100);
  assert.deepEqual(nominals(await rig.executions(job)), [1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000]);
});

test("rule 9: a fire whose outcome is not known is not made twice", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, everySecond, { firstMs: START_MS + 1_000 });
  const fire = rig.store.jobs.fire.bind(rig.store.jobs);
  let lost = 0;
  t.mock.method(rig.store.jobs, "fire", async (request: Parameters<typeof fire>[0]) => {
    const outcome = await fire(request);
    lost += 1;
    if (lost === 1) rig.outage.names = ["fire"];
    return outcome;
  });
  rig.timers().start();
  await rig.clock.advance(1_000);
  rig.outage.names = null;
  await rig.clock.advance(2_000);
  assert.deepEqual(nominals(await rig.executions(job)), [1_000, 2_000, 3_000]);
});

test("rule 12: mesh time that steps on fires at the next look; one that steps back fires nothing early", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, at(1_900), { firstMs: START_MS + 1_900 });
  let aheadUs = 0;
  rig.timers({ aheadUs: () => aheadUs }).start();
  await rig.clock.advance(500);
  aheadUs = -700_000;
  await rig.clock.advance(1_400);
  assert.deepEqual(await rig.executions(job), []);
  aheadUs = 0;
  await rig.clock.advance(600);
  assert.deepEqual(nominals(await rig.executions(job)), [1_900]);
});

test("rule 12: nothing fires before the store's clock says so, within what is known of it", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, { ...everySecond }, { firstMs: START_MS + 1_000 });
  // Mesh time is 2 ms ahead of the store and known to be uncertain by 2 ms.
  const timers = rig.timers({ aheadUs: () => 2_000, uncertaintyUs: 2_000 });
  timers.jobs.start();
  await rig.clock.advance(1_000);
  const [execution] = await rig.executions(job);
  assert.equal(execution?.state, "READY");
  assert.equal(timers.told.filter(({ kind }) => kind === "due").length, 0);
});

test("a job that cannot be fired stops no other and is not tried all the time", async (t) => {
  const rig = await timerRig(t);
  const errors: string[] = [];
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (_: object, message: string) => void errors.push(message),
    child: () => log,
  };
  const bad = await addJob(rig, everySecond, { firstMs: START_MS + 1_000 });
  const good = await addJob(rig, everySecond, { firstMs: START_MS + 1_000 });
  const fireAll = rig.store.jobs.fireAll.bind(rig.store.jobs);
  t.mock.method(rig.store.jobs, "fireAll", async (group: Parameters<typeof fireAll>[0]) => {
    const outcomes = await fireAll(group.filter(({ jobUid }) => jobUid !== bad.jobUid));
    const left = [...outcomes];
    return group.map(({ jobUid }) => (jobUid === bad.jobUid ? { kind: "refused", message: "no" } : left.shift()));
  });
  rig.timers({ log }).start();
  await rig.clock.advance(9_000);
  assert.equal((await rig.executions(good)).length, 9);
  assert.deepEqual(errors, ["a fire failed"]);
});

test("start and stop are idempotent, and a stopped timer fires nothing", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, everySecond, { firstMs: START_MS + 1_000 });
  const timers = rig.timers();
  timers.start();
  timers.start();
  await rig.clock.advance(900);
  await timers.stop();
  await timers.stop();
  await rig.clock.advance(2_000);
  assert.deepEqual(await rig.executions(job), []);
  timers.start();
  await rig.clock.advance(100);
  assert.equal((await rig.executions(job)).length, 3);
});

test("rule 9: what is read while a job fires is looked at again once it has fired", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, everySecond, { firstMs: START_MS + 1_400 });
  const timers = rig.timers();
  const fireAll = rig.store.jobs.fireAll.bind(rig.store.jobs);
  let calls = 0;
  t.mock.method(rig.store.jobs, "fireAll", async (...parts: Parameters<typeof fireAll>) => {
    calls += 1;
    const outcomes = await fireAll(...parts);
    if (calls > 1) return outcomes;
    // The job is changed after the fire was stored and before its answer is here.
    const schedule = { ...everySecond, when: { kind: "interval", intervalMs: 250 } } as const;
    await rig.store.jobs.update(
      { ...job, schedule: { ...scheduleDefaults, ...schedule } },
      (START_MS + 1_500) * 1_000,
      null,
    );
    timers.hints.tell({ kind: "changed", jobUid: job.jobUid });
    await rig.clock.sleep(50);
    return outcomes;
  });
  timers.start();
  await rig.clock.advance(1_500);
  assert.deepEqual(nominals(await rig.executions(job)).at(-1), 1_500);
});

test("rule 12: a fire that a new measurement of mesh time finds early is armed again", async (t) => {
  const rig = await timerRig(t);
  const jobs = [
    await addJob(rig, at(1_400), { firstMs: START_MS + 1_400 }),
    await addJob(rig, at(1_400), { firstMs: START_MS + 1_400 }),
  ];
  let aheadUs = 0;
  const fireAll = rig.store.jobs.fireAll.bind(rig.store.jobs);
  t.mock.method(rig.store.jobs, "fireAll", async (...parts: Parameters<typeof fireAll>) => {
    const outcomes = await fireAll(...parts);
    aheadUs = -60_000;
    return outcomes;
  });
  rig.timers({ aheadUs: () => aheadUs, job: { maxConcurrentFires: 1 } }).start();
  await rig.clock.advance(1_460);
  for (const job of jobs) assert.equal((await rig.executions(job)).length, 1);
});
