/** What is only to be checked is answered by the store as if it were done, and undone. */
import assert from "node:assert/strict";
import { storeTest, type TestDatabase } from "../support/store.ts";
import { createRequest, newJob } from "../support/store-records.ts";

/** Rows of the tables that a creation or an update writes. */
async function rowsOf({ sql }: TestDatabase, namespace: string, jobUid: string): Promise<unknown> {
  return await sql(async (session) => [
    await session.query("SELECT job_uid, name FROM jobs WHERE namespace = ?", [namespace]),
    await session.query("SELECT request_id FROM requests WHERE namespace = ?", [namespace]),
    await session.query("SELECT job_uid FROM job_revisions WHERE job_uid = ?", [jobUid]),
  ]);
}

storeTest("a creation that is only checked has the outcome of a real one, and leaves no row", async (db) => {
  const { store } = db;
  const job = newJob();
  const request = createRequest(job);
  const checked = await store.jobs.create(job, request, true);
  assert.equal(checked.kind, "created");
  assert.deepEqual(await rowsOf(db, job.namespace, job.jobUid), [[], [], []]);
  const created = await store.jobs.create(job, request);
  assert.ok(created.kind === "created" && checked.kind === "created");
  const timeless = { createUs: 0, updateUs: 0 };
  assert.deepEqual({ ...checked.job, ...timeless }, { ...created.job, ...timeless });
  const rows = await rowsOf(db, job.namespace, job.jobUid);
  const repeated = await store.jobs.create(newJob({ namespace: job.namespace }), request, true);
  assert.deepEqual(repeated, { kind: "repeated", job: created.job });
  const other = { ...request, bodyHash: "b".repeat(64) };
  assert.equal((await store.jobs.create(newJob({ namespace: job.namespace }), other, true)).kind, "request_reused");
  assert.equal((await store.jobs.create(newJob({ namespace: job.namespace }), null, true)).kind, "exists");
  assert.deepEqual(await rowsOf(db, job.namespace, job.jobUid), rows);
});

storeTest("an update that is only checked has the outcome of a real one, and changes nothing", async (db) => {
  const { store } = db;
  const job = newJob();
  await store.jobs.create(job, null);
  const stored = await store.jobs.get(job.namespace, job.jobId);
  const rows = await rowsOf(db, job.namespace, job.jobUid);
  const spec = { ...job, name: "other" };
  const checked = await store.jobs.update(spec, 5_000_000, 1, true);
  assert.ok(checked.kind === "changed");
  assert.deepEqual([checked.job.revision, checked.job.name, checked.job.nextFireUs], [2, "other", 5_000_000]);
  assert.deepEqual(await store.jobs.get(job.namespace, job.jobId), stored);
  assert.deepEqual(await rowsOf(db, job.namespace, job.jobUid), rows);
  assert.equal((await store.jobs.update(spec, null, 7, true)).kind, "revision_mismatch");
  assert.equal((await store.jobs.update({ ...spec, jobId: "none" }, null, null, true)).kind, "not_found");
});
