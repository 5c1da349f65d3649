import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeepPartial } from "../../../gen/jobmesh/v1/execution_service.ts";
import { type ExecutionPolicy, Job, type Schedule } from "../../../gen/jobmesh/v1/job.ts";
import { DeleteJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import { command } from "../../../services/client/targets.ts";
import { fireExecutionId } from "../../../services/common/domain/execution-id.ts";
import { usOfTimestamp } from "../../../services/common/wire/time.ts";
import { testExecution } from "../../support/new-execution.ts";
import { duration, errorOf, faultsOf, type TestApi, testApi } from "./setup.ts";

const every = (ms: number, more: DeepPartial<Schedule> = {}): DeepPartial<Schedule> => ({
  when: { $case: "interval", value: duration(ms) },
  ...more,
});
const atMs = (ms: number): DeepPartial<Schedule> => ({
  when: { $case: "at", value: { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1e6 } },
});

/** Nominal time of the next fire, in milliseconds from now; null when there is none. */
function nextMs(api: TestApi, job: Job | undefined): number | null {
  return job?.nextFireTime === undefined ? null : (usOfTimestamp(job.nextFireTime) - api.nowUs()) / 1000;
}

/** Makes the due fire of a job, as its timer would. */
async function fire(api: TestApi, jobId: string, nextUs: number | null): Promise<void> {
  const job = await api.store.jobs.get("default", jobId);
  assert.ok(job?.nextFireUs);
  const { jobUid, revision, nextFireUs } = job;
  const executionId = fireExecutionId(jobUid, nextFireUs / 1000, 0);
  const execution = testExecution(nextFireUs, { executionId, jobId, jobUid, jobRevision: revision, cause: "SCHEDULE" });
  const request = { jobUid, revision, nominalUs: nextFireUs, nextUs, executions: [execution], skipped: [] };
  const outcome = await api.store.jobs.fire({ ...request, maxFires: job.schedule?.maxFires ?? 0 });
  assert.equal(outcome.kind, "fired");
}

test("a job is stored as given, with identifier, name and times filled in, and read back the same", async (t) => {
  const api = await testApi(t);
  const created = await api.createJob({ description: "d", labels: { b: "2", a: "1" }, schedule: every(10_000) });
  assert.match(created.jobId, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, "a UUIDv7");
  assert.equal(created.name, created.jobId);
  assert.deepEqual([created.namespace, created.revision, created.paused], ["default", 1n, false]);
  assert.equal(nextMs(api, created), 10_000);
  assert.deepEqual([created.lastFireTime, created.health], [undefined, undefined]);
  assert.deepEqual(await api.getJob(created.jobId), created);
});

test("output-only fields of a job that is created are ignored", async (t) => {
  const api = await testApi(t);
  const given = Job.fromPartial({ jobId: "j", paused: true, revision: 9n, uid: "u", pauseReason: "r" });
  const created = await api.createJob({ ...given, target: command("true"), nextFireTime: { seconds: 5n, nanos: 0 } });
  assert.deepEqual([created.revision, created.paused, created.pauseReason], [1n, false, ""]);
  assert.notEqual(created.uid, "u");
  assert.equal(created.nextFireTime, undefined);
});

test("a job_id that is taken is ALREADY_EXISTS, in its namespace only, and the first stays", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j", description: "first" });
  const error = await errorOf(api.createJob({ jobId: "j" }));
  assert.deepEqual([error.code, error.reason, error.metadata.jobId], ["ALREADY_EXISTS", "JOB_EXISTS", "j"]);
  await api.createJob({ jobId: "j", namespace: "other" });
  assert.equal((await api.getJob("j"))?.description, "first");
});

test("a job that is not there is NOT_FOUND to every call that names one", async (t) => {
  const api = await testApi(t);
  const name = { namespace: "", jobId: "none" };
  const calls = [
    api.getJob("none"),
    api.updateJob({ jobId: "none", target: command("true") }),
    api.jobs.pauseJob({ ...name, reason: "" }),
    api.jobs.resumeJob(name),
    api.runJob(name),
    api.jobs.deleteJob(DeleteJobRequest.fromPartial(name)),
  ];
  for (const call of calls) {
    const error = await errorOf(call);
    assert.deepEqual([error.code, error.reason], ["NOT_FOUND", "JOB_NOT_FOUND"]);
    assert.match(error.message, /none/);
    assert.deepEqual(error.metadata, { namespace: "default", jobId: "none" });
  }
});

test("fields of a job are taken at their limits and refused beyond", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j".repeat(64), name: "n".repeat(255), description: "d".repeat(4_096) });
  const faults = await faultsOf(
    api.createJob({
      jobId: "j".repeat(65),
      name: "n".repeat(256),
      description: "d".repeat(4_097),
      parameters: { "a b": "" },
    }),
  );
  assert.deepEqual(Object.keys(faults).sort(), ["job.description", "job.job_id", "job.name", 'job.parameters["a b"]']);
  const { jobs } = api;
  assert.deepEqual(await faultsOf(jobs.createJob({ job: undefined, requestId: "", validateOnly: false })), {
    job: "is required",
  });
  assert.deepEqual(Object.keys(await faultsOf(jobs.getJob({ namespace: "a b", jobId: "" }))), ["namespace", "job_id"]);
  const pause = { namespace: "", jobId: "", reason: "r".repeat(1_001) };
  assert.deepEqual(Object.keys(await faultsOf(jobs.pauseJob(pause))), ["reason", "job_id"]);
});

test("an update with a mask changes the masked fields alone; with none, what is left out returns to its default", async (t) => {
  const api = await testApi(t);
  const policy = { priority: 5 };
  const first = await api.createJob({
    jobId: "j",
    name: "n",
    description: "d",
    labels: { a: "1" },
    policy,
    schedule: every(1_000),
  });
  const masked = await api.updateJob({ jobId: "j", name: "new", description: "x" }, ["name"]);
  assert.deepEqual(masked, { ...first, name: "new", revision: 2n, updateTime: masked.updateTime });
  const whole = await api.updateJob({ jobId: "j", target: command("echo") });
  assert.deepEqual([whole.name, whole.description, whole.labels, whole.schedule], ["j", "", {}, undefined]);
  assert.deepEqual([whole.policy?.priority, whole.revision, whole.nextFireTime], [0, 3n, undefined]);
  assert.deepEqual([whole.uid, whole.createTime], [first.uid, first.createTime]);
});

test("start deadline, time of all retries and retention of a job are kept over changes, and go with its runs", async (t) => {
  const api = await testApi(t);
  const policy = {
    startDeadline: duration(5_000),
    retry: { maxAttempts: 2, maxDuration: duration(60_000) },
    retention: duration(86_400_000),
    failedRetention: duration(172_800_000),
  };
  const first = await api.createJob({ jobId: "j", policy });
  const limits = (of: { readonly policy?: ExecutionPolicy | undefined } | undefined) => [
    of?.policy?.startDeadline,
    of?.policy?.retry?.maxDuration,
    of?.policy?.retention,
    of?.policy?.failedRetention,
  ];
  const given = [5_000, 60_000, 86_400_000, 172_800_000].map(duration);
  assert.deepEqual(limits(first), given);
  const renamed = await api.updateJob({ jobId: "j", name: "new" }, ["name"]);
  assert.deepEqual([renamed.revision, ...limits(renamed)], [2n, ...given]);
  assert.equal((await api.updateJob({ jobId: "j", policy }, ["policy"])).revision, 2n, "the same policy is no change");
  const run = await api.runJob({ jobId: "j" });
  assert.deepEqual(limits(await api.get(run.executionId)), given);
  const later = await api.updateJob({ jobId: "j", policy: {} }, ["policy"]);
  assert.deepEqual([later.revision, ...limits(later)], [3n, undefined, undefined, undefined, undefined]);
  assert.deepEqual(limits(await api.get(run.executionId)), given, "what was made keeps what it has");
});

test("a mask names fields that an update can change, and nothing else", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  const masks = ["paused", "job_id", "schedule.cron", "", "toString"];
  const faults = await faultsOf(api.updateJob({ jobId: "j" }, masks));
  assert.deepEqual(
    Object.keys(faults),
    masks.map((_, index) => `update_mask.paths[${index}]`),
  );
  assert.match(faults["update_mask.paths[0]"] ?? "", /one of name, description, labels, .*; was "paused"/);
  assert.deepEqual(Object.keys(await faultsOf(api.updateJob({ jobId: "j", parameters: { "": "" } }))), [
    'job.parameters[""]',
    "job.target",
  ]);
  assert.equal((await api.getJob("j"))?.revision, 1n);
});

test("an update or deletion of another revision is ABORTED and changes nothing", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  await api.updateJob({ jobId: "j", revision: 1n, name: "second" }, ["name"]);
  const update = await errorOf(api.updateJob({ jobId: "j", revision: 1n, name: "third" }, ["name"]));
  assert.deepEqual([update.code, update.reason, update.metadata.revision], ["ABORTED", "REVISION_MISMATCH", "2"]);
  const remove = await errorOf(api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "j", revision: 1n })));
  assert.equal(remove.code, "ABORTED");
  assert.equal((await api.getJob("j"))?.name, "second");
  await api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "j", revision: 2n }));
  assert.equal((await errorOf(api.getJob("j"))).code, "NOT_FOUND");
});

test("two updates at once are one after the other: none is lost", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  await Promise.all([
    api.updateJob({ jobId: "j", name: "n" }, ["name"]),
    api.updateJob({ jobId: "j", description: "d" }, ["description"]),
  ]);
  const job = await api.getJob("j");
  assert.deepEqual([job?.name, job?.description, job?.revision], ["n", "d", 3n]);
});

test("an update that changes nothing keeps revision, next fire and anchor, however it is written", async (t) => {
  const api = await testApi(t);
  const env = { B: "2", A: "1" };
  const given = {
    jobId: "j",
    labels: { b: "2", a: "1" },
    target: command("true", { env }),
    policy: { timeout: duration(1_500), routing: { executorLabels: { y: "1", x: "2" } } },
    schedule: every(10_000, { timeZone: "Europe/Berlin" }),
  };
  const first = await api.createJob(given);
  await api.clock.advance(12_000);
  const again = await api.updateJob({
    ...given,
    labels: { a: "1", b: "2" },
    target: command("true", { env: { A: "1", B: "2" } }),
    policy: { timeout: duration(1_500), routing: { executorLabels: { x: "2", y: "1" } } },
  });
  assert.deepEqual(again, first, "the fire that is due among them");
  assert.deepEqual(await api.updateJob(first), first, "as it was answered");
});

test("an update beside the schedule keeps a fire that is due", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j", schedule: every(10_000) });
  await api.clock.advance(10_500);
  const updated = await api.updateJob({ jobId: "j", description: "d" }, ["description"]);
  assert.equal(nextMs(api, updated), -500);
});

test("a new schedule is asked from now on, counted from the job's creation", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j", schedule: every(10_000) });
  await api.clock.advance(12_500);
  assert.equal(nextMs(api, await api.updateJob({ jobId: "j", schedule: every(4_000) }, ["schedule"])), 3_500);
  assert.equal(nextMs(api, await api.updateJob({ jobId: "j" }, ["schedule"])), null);
});

test("an instant that is past is kept, at creation and at an update: the policy for missed fires decides", async (t) => {
  const api = await testApi(t);
  const pastMs = api.nowUs() / 1000 - 5_000;
  assert.equal(nextMs(api, await api.createJob({ jobId: "a", schedule: atMs(pastMs) })), -5_000);
  await api.createJob({ jobId: "b" });
  assert.equal(nextMs(api, await api.updateJob({ jobId: "b", schedule: atMs(pastMs) }, ["schedule"])), -5_000);
});

test("an instant that has fired fires no second time when other fields of its schedule change", async (t) => {
  const api = await testApi(t);
  const dueMs = api.nowUs() / 1000 + 1_000;
  await api.createJob({ jobId: "j", schedule: atMs(dueMs) });
  await api.clock.advance(1_000);
  await fire(api, "j", null);
  const changed = await api.updateJob({ jobId: "j", schedule: { ...atMs(dueMs), catchupWindow: duration(5_000) } }, [
    "schedule",
  ]);
  assert.deepEqual([changed.revision, nextMs(api, changed)], [2n, null]);
  assert.equal(nextMs(api, await api.updateJob({ jobId: "j", schedule: atMs(dueMs + 9_000) }, ["schedule"])), 9_000);
});

test("a schedule that has made its max_fires has no further fire until it may make more", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j", schedule: every(1_000, { maxFires: 1n }) });
  await api.clock.advance(1_000);
  await fire(api, "j", api.nowUs() + 1_000_000);
  assert.equal(nextMs(api, await api.getJob("j")), null);
  const other = await api.updateJob({ jobId: "j", schedule: every(2_000, { maxFires: 1n }) }, ["schedule"]);
  assert.equal(nextMs(api, other), null, "another interval gives no second fire");
  await api.jobs.pauseJob({ namespace: "", jobId: "j", reason: "" });
  const { job: resumed } = await api.jobs.resumeJob({ namespace: "", jobId: "j" });
  assert.equal(nextMs(api, resumed), null, "nor does resuming");
  const more = await api.updateJob({ jobId: "j", schedule: every(2_000, { maxFires: 2n }) }, ["schedule"]);
  assert.equal(nextMs(api, more), 1_000);
});

test("a paused job shows no next fire; resumed it fires from now on, not for the time between", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j", schedule: every(10_000) });
  const name = { namespace: "", jobId: "j" };
  const { job: paused } = await api.jobs.pauseJob({ ...name, reason: "repairs" });
  assert.deepEqual([paused?.paused, paused?.pauseReason, paused?.nextFireTime], [true, "repairs", undefined]);
  const { job: again } = await api.jobs.pauseJob({ ...name, reason: "more repairs" });
  assert.deepEqual([again?.paused, again?.pauseReason], [true, "more repairs"]);
  await api.clock.advance(35_000);
  const updated = await api.updateJob({ jobId: "j", schedule: every(20_000) }, ["schedule"]);
  assert.deepEqual([updated.paused, updated.nextFireTime], [true, undefined], "an update resumes nothing");
  const { job: resumed } = await api.jobs.resumeJob(name);
  assert.deepEqual([resumed?.paused, resumed?.pauseReason, nextMs(api, resumed)], [false, "", 5_000]);
  assert.deepEqual((await api.jobs.resumeJob(name)).job, resumed, "resuming what runs changes nothing");
});
