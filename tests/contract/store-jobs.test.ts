import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { datetimeText } from "../../services/common/adapter/sql/datetime.ts";
import type { JobUid } from "../../services/common/domain/identifier.ts";
import { defaultPolicy } from "../../services/common/domain/policy.ts";
import { scheduleDefaults } from "../../services/common/domain/schedule/schedule.ts";
import type { ChangeOutcome, CreateOutcome, JobFilter } from "../../services/common/port/store-jobs.ts";
import { storeTest } from "../support/store.ts";
import { createRequest, minutely, newJob } from "../support/store-records.ts";
import { uniqueName } from "../support/unique-name.ts";

const everything: JobFilter = { namespace: null, jobIdPrefix: "", labels: {}, paused: null, handlerMethod: "" };

function jobIn(outcome: CreateOutcome | ChangeOutcome) {
  assert.ok("job" in outcome, `no job in ${outcome.kind}`);
  return outcome.job;
}

storeTest("a job is read as it was stored, by name and by uid", async ({ store }) => {
  const job = newJob({
    labels: { team: "reports", 'quote"d': "v" },
    parameters: { "a.b-c": 'quote "d" \u0001 é 😀', z: "" },
    schedule: { ...minutely, timeZone: "Europe/Berlin", jitterMs: 5 },
    policy: { ...defaultPolicy, priority: 5, timeoutMs: 1_500, retry: { ...defaultPolicy.retry, maxAttempts: 3 } },
    target: { kind: "handler", method: "a.B/C", summary: "a.B/C", bytes: Uint8Array.of(0, 255, 1) },
  });
  const before = await store.nowUs();
  const created = jobIn(await store.jobs.create(job, null));
  assert.deepEqual(
    { ...created, target: { ...created.target, bytes: Uint8Array.from(created.target.bytes) } },
    {
      ...job,
      paused: false,
      pauseReason: "",
      revision: 1,
      createUs: created.createUs,
      updateUs: created.createUs,
      lastFireUs: null,
      fireCount: 0,
    },
  );
  assert.ok(created.createUs >= before, "created by the store's clock");
  assert.deepEqual(await store.jobs.get(job.namespace, job.jobId), created);
  assert.deepEqual(await store.jobs.getByUid(job.jobUid), created);
  assert.equal(await store.jobs.get(job.namespace, "other"), null);
  assert.equal(await store.jobs.getByUid(randomUUID() as JobUid), null);
});

storeTest("parameters of a job are stored, and another value of one is a change", async ({ store }) => {
  const job = newJob({ parameters: { a: "1" } });
  await store.jobs.create(job, null);
  const name = { namespace: job.namespace, jobId: job.jobId };
  for (const [parameters, revision] of [
    [{ a: "1" }, 1],
    [{ a: "2" }, 2],
    [null, 3],
    [null, 3],
  ] as const) {
    await store.jobs.update({ ...job, parameters }, null, null);
    const read = await store.jobs.get(name.namespace, name.jobId);
    assert.deepEqual([read?.parameters, read?.revision], [parameters, revision]);
  }
});

storeTest("the original's columns of a job are filled", async ({ store, sql }) => {
  const job = newJob({
    schedule: { ...minutely, when: { kind: "cron", expressions: [`0 3 * * ${"1,".repeat(60)}2`] } },
    policy: {
      ...defaultPolicy,
      priority: 9,
      timeoutMs: 1_500,
      retry: { ...defaultPolicy.retry, maxAttempts: 4, initialIntervalMs: 2_001 },
    },
  });
  const { createUs } = jobIn(await store.jobs.create(job, null));
  const [row] = await sql((session) =>
    session.query(
      `SELECT name, command, type, priority, cron_expression, timeout, retry_count, retry_interval, create_time
        FROM jobs WHERE job_uid = ?`,
      [job.jobUid],
    ),
  );
  assert.deepEqual(
    { ...row },
    {
      name: "Nightly",
      command: "echo hello",
      type: 1,
      priority: 9,
      cron_expression: `0 3 * * ${"1,".repeat(60)}2`.slice(0, 100),
      timeout: 2,
      retry_count: 3,
      retry_interval: 3,
      create_time: datetimeText(createUs),
    },
  );
});

storeTest("a job_id is taken once in its namespace", async ({ store }) => {
  const job = newJob();
  await store.jobs.create(job, null);
  const again = { ...job, jobUid: randomUUID() as JobUid };
  assert.deepEqual(await store.jobs.create(again, null), { kind: "exists" });
  assert.equal((await store.jobs.create({ ...again, namespace: uniqueName("ns") }, null)).kind, "created");
});

storeTest("rule 5: the same request makes a job once; another body under its id is refused", async ({ store }) => {
  const job = newJob();
  const request = createRequest(job);
  const created = jobIn(await store.jobs.create(job, request));
  const retry = { ...job, jobUid: randomUUID() as JobUid };
  assert.deepEqual(await store.jobs.create(retry, request), { kind: "repeated", job: created });
  assert.deepEqual(await store.jobs.create(retry, { ...request, bodyHash: "b".repeat(64) }), {
    kind: "request_reused",
  });
  await store.jobs.delete(job.namespace, job.jobId, null);
  const afterwards = await store.jobs.create(retry, request);
  assert.equal(afterwards.kind, "repeated");
  assert.equal(jobIn(afterwards).jobUid, job.jobUid);
  assert.equal(await store.jobs.get(job.namespace, job.jobId), null);
});

storeTest("rule 5: a refused creation takes its request along", async ({ store }) => {
  const first = newJob();
  await store.jobs.create(first, null);
  const second = { ...first, jobUid: randomUUID() as JobUid };
  const request = createRequest(second);
  assert.deepEqual(await store.jobs.create(second, request), { kind: "exists" });
  await store.jobs.delete(first.namespace, first.jobId, null);
  const retry = { ...second, jobUid: randomUUID() as JobUid };
  assert.equal((await store.jobs.create(retry, request)).kind, "created");
});

storeTest("rule 8: identifiers compare by byte", async ({ store }) => {
  const lower = newJob({ jobId: "job-a" });
  const upper = { ...lower, jobId: "JOB-A", jobUid: randomUUID() as JobUid };
  const request = createRequest(lower, { requestId: "r" });
  assert.equal((await store.jobs.create(lower, request)).kind, "created");
  assert.equal((await store.jobs.create(upper, { ...request, requestId: "R" })).kind, "created");
  const padded = { ...lower, jobId: "job-b", jobUid: randomUUID() as JobUid };
  assert.equal((await store.jobs.create(padded, { ...request, requestId: "r " })).kind, "created");
  assert.equal((await store.jobs.get(lower.namespace, "job-a"))?.jobUid, lower.jobUid);
  assert.equal((await store.jobs.get(lower.namespace, "JOB-A"))?.jobUid, upper.jobUid);
  const { items } = await store.jobs.list({ ...everything, namespace: lower.namespace }, 10, null);
  assert.deepEqual(
    items.map(({ jobId }) => jobId),
    ["JOB-A", "job-a", "job-b"],
  );
  const prefixed = await store.jobs.list({ ...everything, namespace: lower.namespace, jobIdPrefix: "job" }, 10, null);
  assert.deepEqual(
    prefixed.items.map(({ jobId }) => jobId),
    ["job-a", "job-b"],
  );
});

storeTest("an update raises the revision and keeps what the job was", async ({ store, sql }) => {
  const job = newJob();
  const created = jobIn(await store.jobs.create(job, null));
  const spec = { ...job, name: "Later", schedule: { ...minutely, when: { kind: "at", atMs: 1 } as const } };
  const updated = jobIn(await store.jobs.update(spec, 1_000, 1));
  assert.deepEqual(
    { name: updated.name, revision: updated.revision, next: updated.nextFireUs, create: updated.createUs },
    { name: "Later", revision: 2, next: 1_000, create: created.createUs },
  );
  assert.deepEqual(await store.jobs.get(job.namespace, job.jobId), updated);
  const kept = await sql((session) =>
    session.query("SELECT revision, spec FROM job_revisions WHERE job_uid = ?", [job.jobUid]),
  );
  assert.equal(kept.length, 1);
  assert.equal(JSON.parse(String(kept[0]?.spec)).name, "Nightly");
});

storeTest("an update that keeps the schedule keeps the next fire as it stands when it is stored", async ({ store }) => {
  const job = newJob({ nextFireUs: 10 });
  await store.jobs.create(job, null);
  // It moves on between the read of an update and its write, and so it may come back from a pause.
  await store.jobs.fire({ jobUid: job.jobUid, revision: 1, nominalUs: 10, nextUs: 20, executions: [], skipped: [] });
  const moved = jobIn(await store.jobs.update({ ...job, name: "moved on" }, "kept", 1));
  assert.deepEqual([moved.name, moved.nextFireUs], ["moved on", 20]);
  await store.jobs.pause(job.namespace, job.jobId, "");
  const paused = jobIn(await store.jobs.update({ ...job, name: "paused" }, "kept", 2));
  assert.equal(paused.nextFireUs, null);
  await store.jobs.resume(job.namespace, job.jobId, 3, 30);
  const resumed = jobIn(await store.jobs.update({ ...job, name: "resumed" }, "kept", 3));
  assert.deepEqual([resumed.name, resumed.nextFireUs], ["resumed", 30]);
});

storeTest("an update that changes nothing changes nothing", async ({ store }) => {
  const job = newJob({ labels: { a: "1", b: "2" } });
  const created = jobIn(await store.jobs.create(job, null));
  const same = { ...job, labels: { b: "2", a: "1" } };
  assert.deepEqual(await store.jobs.update(same, 5, null), { kind: "changed", job: created });
});

storeTest("an update or removal as of another revision changes nothing", async ({ store }) => {
  const job = newJob();
  const created = jobIn(await store.jobs.create(job, null));
  const mismatch = { kind: "revision_mismatch", revision: 1 };
  assert.deepEqual(await store.jobs.update({ ...job, name: "x" }, null, 2), mismatch);
  assert.deepEqual(await store.jobs.resume(job.namespace, job.jobId, 2, null), mismatch);
  assert.deepEqual(await store.jobs.delete(job.namespace, job.jobId, 2), mismatch);
  assert.deepEqual(await store.jobs.get(job.namespace, job.jobId), created);
  const missing = { ...job, jobId: "none" };
  assert.deepEqual(await store.jobs.update(missing, null, null), { kind: "not_found" });
  assert.deepEqual(await store.jobs.pause(job.namespace, "none", ""), { kind: "not_found" });
  assert.deepEqual(await store.jobs.delete(job.namespace, "none", null), { kind: "not_found" });
});

storeTest("a paused job has no next fire until it is resumed", async ({ store }) => {
  const shard = 201;
  const job = newJob({ shard, nextFireUs: 10 });
  await store.jobs.create(job, null);
  assert.equal((await store.jobs.due([shard], 10, 10)).length, 1);
  const paused = jobIn(await store.jobs.pause(job.namespace, job.jobId, "holiday"));
  assert.deepEqual([paused.paused, paused.pauseReason, paused.nextFireUs], [true, "holiday", null]);
  assert.deepEqual(await store.jobs.due([shard], 1e15, 10), []);
  const updated = jobIn(await store.jobs.update({ ...job, name: "x" }, 20, null));
  assert.deepEqual([updated.paused, updated.nextFireUs], [true, null]);
  assert.deepEqual(await store.jobs.due([shard], 1e15, 10), []);
  const again = jobIn(await store.jobs.pause(job.namespace, job.jobId, "longer"));
  assert.equal(again.pauseReason, "longer");
  const resumed = jobIn(await store.jobs.resume(job.namespace, job.jobId, updated.revision, 30));
  assert.deepEqual([resumed.paused, resumed.pauseReason, resumed.nextFireUs], [false, "", 30]);
  assert.deepEqual(
    (await store.jobs.due([shard], 30, 10)).map(({ jobUid }) => jobUid),
    [job.jobUid],
  );
  assert.deepEqual(await store.jobs.resume(job.namespace, job.jobId, updated.revision, 99), {
    kind: "changed",
    job: resumed,
  });
});

storeTest("a job deleted and created again is another creation", async ({ store }) => {
  const job = newJob();
  await store.jobs.create(job, null);
  assert.equal((await store.jobs.delete(job.namespace, job.jobId, 1)).kind, "changed");
  assert.equal(await store.jobs.get(job.namespace, job.jobId), null);
  const again = jobIn(await store.jobs.create({ ...job, jobUid: randomUUID() as JobUid }, null));
  assert.equal(again.revision, 1);
});

storeTest("rule 8: times are whole microseconds", async ({ store }) => {
  const job = newJob({ nextFireUs: 8_999_999_999_999_999 });
  const created = jobIn(await store.jobs.create(job, null));
  assert.equal(created.nextFireUs, 8_999_999_999_999_999);
  assert.equal(datetimeText(1_767_225_600_000_001), "2026-01-01 00:00:00.000001");
});

storeTest("what is left out of a stored schedule has its default", async ({ store, sql }) => {
  const job = newJob();
  await store.jobs.create(job, null);
  await sql((session) =>
    session.execute("UPDATE jobs SET schedule = ? WHERE job_uid = ?", [
      JSON.stringify({ when: { kind: "interval", intervalMs: 100 } }),
      job.jobUid,
    ]),
  );
  const stored = await store.jobs.getByUid(job.jobUid);
  assert.deepEqual(stored?.schedule, { ...scheduleDefaults, when: { kind: "interval", intervalMs: 100 } });
});
