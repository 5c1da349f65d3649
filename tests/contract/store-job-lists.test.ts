import assert from "node:assert/strict";
import { dueSql } from "../../services/common/adapter/sql/jobs.ts";
import { PageTokenFault } from "../../services/common/port/store.ts";
import type { JobFilter, NewJob } from "../../services/common/port/store-jobs.ts";
import { storeTest } from "../support/store.ts";
import { commandTarget, newJob } from "../support/store-records.ts";
import { uniqueName } from "../support/unique-name.ts";

const everything: JobFilter = { namespace: null, jobIdPrefix: "", labels: {}, paused: null, handlerMethod: "" };

storeTest("due jobs are those of the shards that are not later, earliest first", async ({ store }) => {
  const make = (shard: number, nextFireUs: number | null): NewJob => newJob({ shard, nextFireUs });
  const jobs = [make(101, 30), make(102, 10), make(101, 20), make(103, 5), make(102, 31), make(101, null)];
  for (const job of jobs) await store.jobs.create(job, null);
  const due = await store.jobs.due([101, 102], 30, 10);
  assert.deepEqual(
    due.map(({ nextFireUs }) => nextFireUs),
    [10, 20, 30],
  );
  assert.deepEqual(
    (await store.jobs.due([101, 102], 30, 2)).map(({ nextFireUs }) => nextFireUs),
    [10, 20],
  );
  assert.deepEqual(await store.jobs.due([], 30, 10), []);
});

storeTest("a list goes on where its page ended, in order of namespace and job_id", async ({ store }) => {
  const prefix = uniqueName("list");
  const names = [
    [`${prefix}-a`, "1"],
    [`${prefix}-a`, "2"],
    [`${prefix}-b`, "0"],
    [`${prefix}-b`, "3"],
  ] as const;
  for (const [namespace, jobId] of names) {
    await store.jobs.create(newJob({ namespace, jobId, labels: { list: prefix } }), null);
  }
  const filter = { ...everything, labels: { list: prefix } };
  const seen: string[][] = [];
  for (let token: string | null = null, page = 0; page === 0 || token !== null; page++) {
    const { items, nextToken } = await store.jobs.list(filter, 3, token);
    seen.push(...items.map(({ namespace, jobId }) => [namespace, jobId]));
    token = nextToken;
  }
  assert.deepEqual(
    seen,
    names.map((name) => [...name]),
  );
  const first = await store.jobs.list({ ...filter, namespace: `${prefix}-b` }, 1, null);
  const second = await store.jobs.list({ ...filter, namespace: `${prefix}-b` }, 1, first.nextToken);
  assert.deepEqual([first.items[0]?.jobId, second.items[0]?.jobId, second.nextToken], ["0", "3", null]);
  await assert.rejects(store.jobs.list(filter, 3, "nonsense"), PageTokenFault);
});

storeTest("a list shows what its filter asks for", async ({ store }) => {
  const namespace = uniqueName("filter");
  const handler = { ...commandTarget, kind: "handler", method: "a.B/C" } as const;
  await store.jobs.create(newJob({ namespace, jobId: "x_1", labels: { team: "a", tier: "1" } }), null);
  await store.jobs.create(newJob({ namespace, jobId: "x-2", labels: { team: 'a","x":"', 'y"team': "b" } }), null);
  await store.jobs.create(newJob({ namespace, jobId: "y", target: handler }), null);
  await store.jobs.pause(namespace, "y", "");
  const ids = async (parts: Partial<JobFilter>): Promise<string[]> => {
    const { items } = await store.jobs.list({ ...everything, namespace, ...parts }, 10, null);
    return items.map(({ jobId }) => jobId);
  };
  assert.deepEqual(await ids({ jobIdPrefix: "x_" }), ["x_1"]);
  assert.deepEqual(await ids({ labels: { team: "a" } }), ["x_1"]);
  assert.deepEqual(await ids({ labels: { tier: "1", team: "a" } }), ["x_1"]);
  assert.deepEqual(await ids({ labels: { x: "" } }), []);
  assert.deepEqual(await ids({ labels: { team: "b" } }), [], "the end of another key");
  assert.deepEqual(await ids({ labels: { 'y"team': "b" } }), ["x-2"]);
  assert.deepEqual(await ids({ paused: true }), ["y"]);
  assert.deepEqual(await ids({ paused: false }), ["x-2", "x_1"]);
  assert.deepEqual(await ids({ handlerMethod: "a.B/C" }), ["y"]);
});

storeTest("rule 28: a page of big jobs ends at about 1 MiB", async ({ store }) => {
  const namespace = uniqueName("big");
  const bytes = Buffer.alloc(400 * 1024, 7);
  for (const jobId of ["1", "2", "3"]) {
    await store.jobs.create(newJob({ namespace, jobId, target: { ...commandTarget, bytes } }), null);
  }
  const first = await store.jobs.list({ ...everything, namespace }, 10, null);
  assert.deepEqual(
    first.items.map(({ jobId }) => jobId),
    ["1", "2"],
  );
  const rest = await store.jobs.list({ ...everything, namespace }, 10, first.nextToken);
  assert.deepEqual([rest.items.map(({ jobId }) => jobId), rest.nextToken], [["3"], null]);
});

storeTest("due jobs are found in their index alone", async ({ sql, kind }) => {
  const explain = kind === "mysql" ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
  const plan = await sql((session) => session.query(`${explain} ${dueSql(3)}`, [1, 2, 3, 10, 100]));
  const text = JSON.stringify(plan);
  assert.match(text, /ix_jobs_due/);
  if (kind === "mysql") assert.match(text, /Using index/);
  else assert.match(text, /USING COVERING INDEX ix_jobs_due \(due_shard=\? AND next_fire_us<\?\)/);
});
