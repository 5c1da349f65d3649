import assert from "node:assert/strict";
import { test } from "node:test";
import { EXECUTION_ID_PATTERN, fireExecutionId } from "../../../services/common/domain/execution-id.ts";
import type { JobUid } from "../../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../../services/common/domain/policy.ts";
import { routeIdOf, routeOf, routeText } from "../../../services/common/domain/route.ts";
import { jitterOf } from "../../../services/common/domain/schedule/jitter.ts";
import { testExecution } from "../../support/new-execution.ts";
import { addJob, at, cron, nominals, START_MS, timerRig } from "./setup.ts";

const MINUTE_MS = 60_000;
const everySecond = { when: { kind: "interval", intervalMs: 1_000 } } as const;

test("rule 9: an execution's identifier follows from the job's creation and the nominal time", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, at(1_000), { firstMs: START_MS + 1_000 });
  rig.timers().start();
  await rig.clock.advance(1_000);
  const [execution] = await rig.executions(job);
  assert.equal(execution?.executionId, fireExecutionId(job.jobUid, START_MS + 1_000, 0));
  assert.match(execution?.executionId ?? "", EXECUTION_ID_PATTERN);
  assert.deepEqual(
    [execution?.cause, execution?.jobUid, execution?.scheduledUs],
    ["SCHEDULE", job.jobUid, (START_MS + 1_000) * 1_000],
  );
});

test("rule 9: a fire whose execution is there already moves on and counts nothing", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, { ...everySecond, overlapPolicy: "ALLOW" }, { firstMs: START_MS + 1_000 });
  const nowUs = rig.clock.wallUs();
  const there = testExecution(nowUs, {
    executionId: fireExecutionId(job.jobUid, START_MS + 1_000, 0),
    namespace: job.namespace,
    jobId: job.jobId,
    name: "first",
  });
  await rig.store.executions.submit([{ execution: there, request: null, slot: null }]);
  rig.timers().start();
  await rig.clock.advance(2_000);
  const executions = await rig.executions(job);
  assert.deepEqual(
    executions.map(({ name }) => name),
    ["first", job.name],
  );
  assert.equal((await rig.store.jobs.getByUid(job.jobUid))?.fireCount, 1);
});

test("rule 9: a job that was created again under its name makes other executions", async (t) => {
  const rig = await timerRig(t);
  const old = await addJob(rig, at(1_000), { firstMs: START_MS + 1_000 });
  await rig.store.jobs.delete(old.namespace, old.jobId, null);
  const job = await addJob(rig, at(1_000), { firstMs: START_MS + 1_000, namespace: old.namespace });
  rig.timers().start();
  await rig.clock.advance(1_000);
  const [execution, ...more] = await rig.executions(job);
  assert.deepEqual([execution?.jobUid, more.length], [job.jobUid, 0]);
  assert.notEqual(fireExecutionId(old.jobUid, START_MS, 0), fireExecutionId(job.jobUid, START_MS, 0));
});

test("rule 9: a jittered fire is SCHEDULED at its nominal time and ready by its jitter", async (t) => {
  const rig = await timerRig(t);
  const jobUid = "11111111-0000-4000-8000-000000000000" as JobUid;
  const job = await addJob(rig, { ...at(1_000), jitterMs: 1_500 }, { firstMs: START_MS + 1_000, jobUid });
  const delayMs = jitterOf(jobUid, START_MS + 1_000, 1_500);
  assert.ok(delayMs > 10, "this job's jitter is some");
  rig.timers().start();
  await rig.clock.advance(1_000);
  const [waiting] = await rig.executions(job);
  assert.deepEqual([waiting?.state, waiting?.readyUs], ["SCHEDULED", (START_MS + 1_000 + delayMs) * 1_000]);
  await rig.clock.advance(delayMs - 1);
  assert.equal((await rig.executions(job))[0]?.state, "SCHEDULED");
  await rig.clock.advance(1);
  assert.equal((await rig.executions(job))[0]?.state, "READY");
});

test("rule 10: a fire that is 15 s late is made as if nothing had been", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, { ...cron("*/5 * * * * *"), overlapPolicy: "ALLOW" }, { firstMs: START_MS });
  await rig.clock.advance(15_000);
  rig.timers().start();
  await rig.clock.advance(0);
  const executions = await rig.executions(job);
  assert.deepEqual(nominals(executions), [0, 5_000, 10_000, 15_000]);
  assert.ok(executions.every(({ mergedCount }) => mergedCount === 0));
});

test("rule 10: FIRE_ONCE makes one of what was missed within the window, and counts what is outside", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, { ...cron("*/10 * * * * *"), overlapPolicy: "ALLOW" }, { firstMs: START_MS });
  await rig.clock.advance(5 * MINUTE_MS);
  rig.timers().start();
  await rig.clock.advance(0);
  const executions = await rig.executions(job);
  const [outside, merged, ...late] = executions;
  // Fires 0 to 230 s are older than the window of a minute: more than ten, so they are one row with a count.
  assert.deepEqual(
    [outside?.state, outside?.stateReason, outside?.mergedCount, outside?.mergedUntilUs],
    ["SKIPPED", "OUTSIDE_CATCHUP_WINDOW", 23, (START_MS + 230_000) * 1_000],
  );
  // 240 to 280 s were missed within it: one execution with the latest nominal time stands for all five.
  assert.deepEqual([merged?.state, merged?.mergedCount, nominals(merged ? [merged] : [])], ["READY", 4, [280_000]]);
  assert.deepEqual(nominals(late), [290_000, 300_000]);
  assert.equal((await rig.store.jobs.getByUid(job.jobUid))?.fireCount, 3);
});

test("rule 10: SKIP records up to ten missed fires as rows of their own", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, { ...cron("*/5 * * * * *"), missedFirePolicy: "SKIP" }, { firstMs: START_MS });
  await rig.clock.advance(58_000);
  rig.timers().start();
  await rig.clock.advance(0);
  const executions = await rig.executions(job);
  const skipped = executions.filter(({ stateReason }) => stateReason === "MISSED");
  assert.deepEqual(nominals(skipped), [0, 5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 35_000, 40_000]);
  assert.ok(skipped.every(({ mergedCount, state }) => mergedCount === 0 && state === "SKIPPED"));
});

test("rule 10: FIRE_ALL makes more fires than one plan has, in order, none twice", async (t) => {
  const rig = await timerRig(t);
  const schedule = {
    ...everySecond,
    missedFirePolicy: "FIRE_ALL",
    overlapPolicy: "ALLOW",
    catchupWindowMs: 3_600_000,
  } as const;
  const job = await addJob(rig, schedule, { firstMs: START_MS + 1_000 });
  await rig.clock.advance(2_500_000);
  rig.timers().start();
  await rig.clock.advance(20);
  assert.equal((await rig.store.jobs.getByUid(job.jobUid))?.fireCount, 2_500);
  assert.equal(rig.count("fire"), 3);
});

test("rule 10: max_fires counts what was made, and not what overlap skipped", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, { ...everySecond, maxFires: 2, overlapPolicy: "SKIP" }, { firstMs: START_MS + 1_000 });
  rig.timers().start();
  await rig.clock.advance(3_000);
  // The first one still waits, so the others were skipped: the schedule has made one.
  assert.deepEqual(
    (await rig.executions(job)).map(({ state }) => state),
    ["READY", "SKIPPED", "SKIPPED"],
  );
  const [first] = await rig.executions(job);
  assert.ok(first !== undefined);
  await rig.store.executions.requestStop(first.executionId, "CANCEL", "");
  await rig.clock.advance(5_000);
  const states = (await rig.executions(job)).map(({ state }) => state);
  assert.deepEqual(states, ["CANCELLED", "SKIPPED", "SKIPPED", "READY"]);
  const stored = await rig.store.jobs.getByUid(job.jobUid);
  assert.deepEqual([stored?.fireCount, stored?.nextFireUs], [2, null]);
});

test("rule 10: max_fires ends the schedule with its last fire, at once, also when it fires late", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, { ...everySecond, maxFires: 3, overlapPolicy: "ALLOW" }, { firstMs: START_MS + 1_000 });
  await rig.clock.advance(10_000);
  const owners = [rig.timers(), rig.timers()];
  for (const timers of owners) timers.start();
  await rig.clock.advance(0);
  const stored = await rig.store.jobs.getByUid(job.jobUid);
  assert.deepEqual([stored?.fireCount, stored?.nextFireUs, stored?.lastFireUs], [3, null, (START_MS + 3_000) * 1_000]);
  await rig.clock.advance(5_000);
  assert.deepEqual(nominals(await rig.executions(job)), [1_000, 2_000, 3_000]);
});

test("an interval is counted from the creation that its first fire was computed from", async (t) => {
  const rig = await timerRig(t);
  // Mesh time was 7 ms ahead of the store's when the job was made.
  const createUs = rig.clock.wallUs() + 7_000;
  const job = await addJob(rig, { ...everySecond, overlapPolicy: "ALLOW" }, { firstMs: START_MS + 1_007, createUs });
  rig.timers().start();
  await rig.clock.advance(3_100);
  assert.deepEqual(nominals(await rig.executions(job)), [1_007, 2_007, 3_007]);
});

test("an `at` that is past is made while it is within the window, and recorded when it is not", async (t) => {
  const rig = await timerRig(t);
  const late = await addJob(rig, at(-50_000), { firstMs: START_MS - 50_000 });
  const tooLate = await addJob(rig, at(-70_000), { firstMs: START_MS - 70_000 });
  rig.timers().start();
  await rig.clock.advance(0);
  assert.deepEqual(
    (await rig.executions(late)).map(({ state }) => state),
    ["READY"],
  );
  const [skipped] = await rig.executions(tooLate);
  assert.deepEqual([skipped?.state, skipped?.stateReason], ["SKIPPED", "OUTSIDE_CATCHUP_WINDOW"]);
  for (const job of [late, tooLate]) assert.equal((await rig.store.jobs.getByUid(job.jobUid))?.nextFireUs, null);
});

test("rule 6: the text of a fire's route is stored before anything waits on it", async (t) => {
  const rig = await timerRig(t);
  const policy = { ...defaultPolicy, executorLabels: { zone: "b", arch: "arm64" } };
  const job = await addJob(rig, at(1_000), { firstMs: START_MS + 1_000, policy });
  rig.timers().start();
  await rig.clock.advance(1_000);
  const text = routeText(routeOf(job));
  const texts = await rig.store.routes.texts([routeIdOf(text)]);
  assert.equal(texts.get(routeIdOf(text)), text);
  assert.ok(rig.seen.indexOf("fire") > rig.seen.findIndex((name) => /route/.test(name)), "stored first");
});

test("who waits for an execution that overlap skips hears of its end", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, everySecond, { firstMs: START_MS + 1_000 });
  const timers = rig.timers();
  timers.start();
  await rig.clock.advance(2_000);
  const [, skipped] = await rig.executions(job);
  assert.equal(skipped?.state, "SKIPPED");
  assert.deepEqual(
    timers.told.filter(({ kind }) => kind === "ended"),
    [{ kind: "ended", executionId: skipped?.executionId }],
  );
});

test("rule 10: a schedule that has made its max_fires shows no next fire", async (t) => {
  const rig = await timerRig(t);
  const schedule = { when: { kind: "interval", intervalMs: MINUTE_MS }, maxFires: 1 } as const;
  const job = await addJob(rig, schedule, { firstMs: START_MS + MINUTE_MS });
  rig.timers().start();
  await rig.clock.advance(MINUTE_MS);
  const stored = await rig.store.jobs.getByUid(job.jobUid);
  assert.deepEqual([stored?.fireCount, stored?.nextFireUs], [1, null]);
});

test("a next fire that is no nominal time moves on, and is no fire", async (t) => {
  const rig = await timerRig(t);
  const job = await addJob(rig, cron("* * * * *"), { firstMs: START_MS + 500 });
  rig.timers().start();
  await rig.clock.advance(1_000);
  const stored = await rig.store.jobs.getByUid(job.jobUid);
  assert.deepEqual([stored?.lastFireUs, stored?.nextFireUs], [null, (START_MS + MINUTE_MS) * 1_000]);
  assert.deepEqual(await rig.executions(job), []);
});

test("rule 10: a last fire that overlap refuses when it becomes ready leaves one to make", async (t) => {
  const rig = await timerRig(t);
  const jobUid = "33333333-0000-4000-8000-000000000000" as JobUid;
  const schedule = { ...everySecond, jitterMs: 900, maxFires: 1, overlapPolicy: "SKIP" } as const;
  const firstMs = START_MS + 1_000;
  assert.ok(jitterOf(jobUid, firstMs, 900) > 10, "this job's jitter is some");
  const job = await addJob(rig, schedule, { firstMs, jobUid });
  // A run of the job that a caller asked for holds its gate.
  const run = testExecution(rig.clock.wallUs(), { jobUid, gateKeys: [`job:${jobUid}`], overlap: "QUEUE_ALL" });
  await rig.store.executions.submit([{ execution: run, request: null, slot: null }]);
  rig.timers().start();
  await rig.clock.advance(1_005);
  assert.deepEqual(
    (await rig.executions(job)).map(({ state }) => state),
    ["SCHEDULED"],
  );
  assert.equal((await rig.store.jobs.getByUid(jobUid))?.nextFireUs, null);
  await rig.clock.advance(4_000);
  await rig.store.executions.requestStop(run.executionId, "CANCEL", "");
  await rig.clock.advance(5_000);
  const executions = await rig.executions(job);
  const stored = await rig.store.jobs.getByUid(jobUid);
  assert.deepEqual([stored?.fireCount, stored?.nextFireUs], [1, null]);
  assert.deepEqual(
    executions.map(({ state }) => state).filter((state) => state !== "SKIPPED"),
    ["READY"],
  );
});
