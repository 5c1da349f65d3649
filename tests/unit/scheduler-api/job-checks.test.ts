/** validate_only of CreateJob and UpdateJob, and allow_missing. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { DeepPartial } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { Job } from "../../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import { command } from "../../../services/client/targets.ts";
import { duration, errorOf, faultsOf, type TestApi, testApi } from "./setup.ts";

const schedule = { when: { $case: "interval", value: duration(10_000) } } as const;
const dry = { validateOnly: true };

/** An API that counts which jobs it tells the timers of. */
async function setup(t: TestContext) {
  const api = await testApi(t);
  const told: string[] = [];
  api.hints.on("changed", ({ jobUid }) => told.push(jobUid));
  const check = async (job: DeepPartial<Job>, requestId = ""): Promise<Job | undefined> => {
    const request = CreateJobRequest.fromPartial({ job: { target: command("true"), ...job }, requestId, ...dry });
    return (await api.jobs.createJob(request)).job;
  };
  return { api, told, check };
}

/** Everything that the tables of jobs and requests have. */
async function stored(api: TestApi): Promise<unknown> {
  return (await api.listJobs({ namespace: "-" })).jobs;
}

test("a creation that is only checked answers as if created, stores nothing and tells no timer", async (t) => {
  const { api, told, check } = await setup(t);
  const checked = await check({ jobId: "j", schedule, labels: { a: "1" } });
  assert.deepEqual([checked?.jobId, checked?.name, checked?.revision], ["j", "j", 1n]);
  assert.equal(checked?.nextFireTime?.seconds, BigInt(api.nowUs() / 1e6 + 10));
  assert.equal((await errorOf(api.getJob("j"))).reason, "JOB_NOT_FOUND");
  assert.deepEqual([await stored(api), told], [[], []]);
  const created = await api.createJob({ jobId: "j", schedule, labels: { a: "1" } });
  assert.deepEqual({ ...checked, uid: "" }, { ...created, uid: "" }, "the real one is the same");
  assert.deepEqual(told, [created.uid]);
});

test("a creation that is only checked is refused as the real one would be", async (t) => {
  const { api, check } = await setup(t);
  await api.createJob({ jobId: "taken" });
  const before = await stored(api);
  assert.equal((await errorOf(check({ jobId: "taken" }))).reason, "JOB_EXISTS");
  assert.deepEqual(Object.keys(await faultsOf(check({ jobId: "a b", target: command("") }))), [
    "job.job_id",
    "job.target.command.command",
  ]);
  assert.deepEqual(await stored(api), before);
});

test("rule 5: a check takes no request_id, and knows what a request_id made before", async (t) => {
  const { api, check } = await setup(t);
  await check({ jobId: "j" }, "r");
  const created = await api.createJob({ jobId: "j" }, "r");
  assert.deepEqual(await check({ jobId: "j" }, "r"), created, "the same body: that call's job");
  const reused = await errorOf(check({ jobId: "k" }, "r"));
  assert.deepEqual([reused.code, reused.reason], ["ALREADY_EXISTS", "REQUEST_ID_REUSED"]);
  assert.deepEqual(await api.createJob({ jobId: "j" }, "r"), created);
  assert.deepEqual(Object.keys(await faultsOf(check({ jobId: "k" }, "r".repeat(65)))), ["request_id"]);
});

test("an update that is only checked answers as if updated, and stores nothing", async (t) => {
  const { api, told } = await setup(t);
  const first = await api.createJob({ jobId: "j", schedule });
  told.length = 0;
  await api.clock.advance(1_000);
  const checked = await api.updateJob({ jobId: "j", name: "new" }, ["name"], dry);
  assert.deepEqual(checked, { ...first, name: "new", revision: 2n, updateTime: checked.updateTime });
  assert.notDeepEqual(checked.updateTime, first.updateTime);
  assert.deepEqual(await api.getJob("j"), first);
  const moved = await api.updateJob({ jobId: "j" }, ["schedule"], dry);
  assert.deepEqual([moved.schedule, moved.nextFireTime], [undefined, undefined]);
  assert.deepEqual([await api.getJob("j"), told], [first, []]);
  assert.deepEqual(await api.updateJob(first, [], dry), first, "one that changes nothing is the job");
  const real = await api.updateJob({ jobId: "j", name: "new" }, ["name"]);
  assert.equal(real.revision, 2n, "no revision was used up");
});

test("an update that is only checked is refused as the real one would be", async (t) => {
  const { api } = await setup(t);
  const first = await api.createJob({ jobId: "j" });
  const other = await errorOf(api.updateJob({ jobId: "j", revision: 7n, name: "x" }, ["name"], dry));
  assert.deepEqual([other.reason, other.metadata.revision], ["REVISION_MISMATCH", "1"]);
  assert.equal((await errorOf(api.updateJob({ jobId: "none" }, ["name"], dry))).reason, "JOB_NOT_FOUND");
  assert.deepEqual(Object.keys(await faultsOf(api.updateJob({ jobId: "j", target: command("") }, [], dry))), [
    "job.target.command.command",
  ]);
  assert.deepEqual(await api.getJob("j"), first);
});

test("allow_missing creates the job when there is none, and updates it when there is", async (t) => {
  const { api, told } = await setup(t);
  const given = { jobId: "j", target: command("true"), schedule, description: "d" };
  const created = await api.updateJob(given, [], { allowMissing: true });
  assert.deepEqual([created.revision, created.name, created.description], [1n, "j", "d"]);
  assert.equal(created.nextFireTime?.seconds, BigInt(api.nowUs() / 1e6 + 10));
  assert.deepEqual(await api.getJob("j"), created);
  assert.deepEqual(told, [created.uid]);
  await api.clock.advance(12_000);
  const again = await api.updateJob(given, [], { allowMissing: true });
  assert.deepEqual(again, created, "an update that changes nothing keeps revision, next fire and anchor");
  const updated = await api.updateJob({ ...given, description: "e" }, [], { allowMissing: true });
  assert.deepEqual([updated.uid, updated.revision, updated.description], [created.uid, 2n, "e"]);
});

test("a job that allow_missing creates has the masked fields, and defaults for the others", async (t) => {
  const { api } = await setup(t);
  const given = { jobId: "j", target: command("true"), name: "n", description: "d", policy: { priority: 5 } };
  const created = await api.updateJob(given, ["target", "name"], { allowMissing: true });
  assert.deepEqual([created.name, created.description, created.policy?.priority], ["n", "", 0]);
  const faults = await faultsOf(api.updateJob({ ...given, jobId: "k" }, ["name", "paused"], { allowMissing: true }));
  assert.deepEqual(Object.keys(faults), ["update_mask.paths[1]", "job.target"]);
});

test("a revision that is named is of a job that is there: allow_missing makes none in its place", async (t) => {
  const { api } = await setup(t);
  const given = { jobId: "j", target: command("true"), revision: 3n };
  const error = await errorOf(api.updateJob(given, [], { allowMissing: true }));
  assert.deepEqual([error.code, error.reason, error.metadata.revision], ["ABORTED", "REVISION_MISMATCH", "0"]);
  assert.deepEqual(await stored(api), []);
});

test("what allow_missing would create can be checked first", async (t) => {
  const { api, told } = await setup(t);
  const given = { jobId: "j", target: command("true"), schedule };
  const checked = await api.updateJob(given, [], { allowMissing: true, validateOnly: true });
  assert.equal(checked.revision, 1n);
  assert.deepEqual([await stored(api), told], [[], []]);
});

test("twenty callers who update a missing job at once make one, and none of their changes is lost", async (t) => {
  const { api } = await setup(t);
  const all = Array.from({ length: 20 }, (_, index) =>
    api.updateJob({ jobId: "j", target: command("true"), labels: { a: `${index}` } }, [], { allowMissing: true }),
  );
  const outcomes = await Promise.allSettled(all);
  const done = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const conflicts = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason.reason] : []));
  assert.ok(conflicts.every((reason) => reason === "CONFLICT"));
  assert.equal(new Set(done.map(({ uid }) => uid)).size, 1);
  assert.equal((await api.getJob("j"))?.revision, BigInt(done.length));
});
