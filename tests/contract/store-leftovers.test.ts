/** What jobs and executions leave behind that are gone: deleted when nobody can need it, kept while somebody may. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { SqlDescriptorStore } from "../../services/common/adapter/sql/descriptors.ts";
import { SqlExecutorStore } from "../../services/common/adapter/sql/executors.ts";
import { SqlJobStore } from "../../services/common/adapter/sql/jobs.ts";
import { SqlRetentionStore } from "../../services/common/adapter/sql/retention.ts";
import { SqlRouteStore } from "../../services/common/adapter/sql/routes.ts";
import { randomExecutionId } from "../../services/common/domain/execution-id.ts";
import type { ExecutorId, JobUid } from "../../services/common/domain/identifier.ts";
import { routeIdOf, routeText } from "../../services/common/domain/route.ts";
import type { NewJob } from "../../services/common/port/store-jobs.ts";
import type { LeftoverKind } from "../../services/common/port/store-retention.ts";
import { newExecution, onEveryStore, type StoreSetup, submitAll } from "../support/execution-store.ts";
import { newJob, registration } from "../support/store-records.ts";

const HOUR_US = 3_600_000_000;
const LATER = Number.MAX_SAFE_INTEGER;

function jobs({ database }: StoreSetup): SqlJobStore {
  return new SqlJobStore(database);
}

/** All pages of a sweep. */
async function sweep({ database }: StoreSetup, kind: LeftoverKind, unusedSinceUs = LATER): Promise<number> {
  const store = new SqlRetentionStore(database);
  let deleted = 0;
  let place: string | null = null;
  do {
    const done: Awaited<ReturnType<SqlRetentionStore["deleteLeftovers"]>> = await store.deleteLeftovers(
      kind,
      unusedSinceUs,
      place,
    );
    deleted += done.deleted;
    ({ place } = done);
  } while (place !== null);
  return deleted;
}

/** A job with a gate that was changed once and, unless it is kept, deleted. */
async function goneJob(setup: StoreSetup, parts: Partial<NewJob> = {}, keep = false): Promise<NewJob> {
  const job = newJob({ jobUid: randomUUID() as JobUid, ...parts });
  assert.equal((await jobs(setup).create(job, null)).kind, "created");
  await jobs(setup).update({ ...job, name: "renamed" }, null, 1);
  await setup.sql((session) =>
    session.execute("INSERT INTO gates (gate_key, held, waiting, max_concurrency, overlap) VALUES (?, 0, 0, 3, 0)", [
      `job:${job.jobUid}`,
    ]),
  );
  if (!keep) await jobs(setup).delete(job.namespace, job.jobId, null);
  return job;
}

/** A run of a job, so long before now, that is done, or waits for its time. */
async function runOf(setup: StoreSetup, job: NewJob, atUs: number, ended: boolean) {
  const { namespace, jobId, jobUid } = job;
  const executionId = randomExecutionId(Math.floor(atUs / 1_000), Buffer.from(randomUUID().slice(0, 10)));
  const made = newExecution({
    ...{ executionId, namespace, jobId, jobUid, jobRevision: 2, scheduledUs: atUs, overlap: "QUEUE_ALL" },
    gateKeys: [`job:${jobUid}`],
    readyUs: ended ? 1_000 : (await setup.nowUs()) + HOUR_US,
  });
  await submitAll(setup, [made]);
  if (ended) await setup.store.requestStop(made.executionId, "CANCEL", "");
  return made;
}

async function count({ rows }: StoreSetup, table: string): Promise<number> {
  const [row] = await rows(`SELECT COUNT(*) AS n FROM ${table}`);
  return Number(row?.n);
}

onEveryStore("gates and revisions of a deleted job go when its executions have gone", async (setup) => {
  const job = await goneJob(setup);
  const run = await runOf(setup, job, await setup.nowUs(), true);
  assert.deepEqual([await sweep(setup, "gates"), await sweep(setup, "revisions")], [0, 0]);
  await setup.sql((session) => session.execute("DELETE FROM executions WHERE execution_id = ?", [run.executionId]));
  assert.deepEqual([await sweep(setup, "gates"), await sweep(setup, "revisions")], [1, 2]);
});

onEveryStore("what a job that is there has is kept, but for revisions that nothing can name", async (setup) => {
  const job = await goneJob(setup, {}, true);
  const other = await goneJob(setup, {}, true);
  await setup.sql((session) => session.execute("DELETE FROM gates WHERE gate_key = ?", [`job:${other.jobUid}`]));
  assert.equal(await sweep(setup, "gates"), 0);
  assert.equal(await sweep(setup, "revisions"), 1, "the last revision tells whose a gate is");
  assert.ok((await jobs(setup).getByUid(job.jobUid)) !== null);
});

onEveryStore("what was deleted a short while ago is kept: its creation may be repeated", async (setup) => {
  await goneJob(setup);
  const before = (await setup.nowUs()) - HOUR_US;
  assert.deepEqual([await sweep(setup, "gates", before), await sweep(setup, "revisions", before)], [0, 0]);
  assert.deepEqual([await count(setup, "gates"), await count(setup, "job_revisions")], [1, 2]);
});

onEveryStore("a gate is kept that is held, waited at, or will be by what waits for a later time", async (setup) => {
  const uses = ["held = 1", "waiting = 1"];
  const held = [await goneJob(setup), await goneJob(setup)];
  for (const [at, use] of uses.entries()) {
    await setup.sql((session) =>
      session.execute(`UPDATE gates SET ${use} WHERE gate_key = ?`, [`job:${held[at]?.jobUid}`]),
    );
  }
  const later = await goneJob(setup);
  const run = await runOf(setup, later, (await setup.nowUs()) + 30 * 24 * HOUR_US, false);
  assert.equal(await sweep(setup, "gates"), 0);
  await sweep(setup, "revisions");
  assert.equal(await sweep(setup, "gates"), 0, "nor once the older revisions are gone");
  await setup.store.requestStop(run.executionId, "CANCEL", "");
  assert.equal(await sweep(setup, "gates"), 1);
});

onEveryStore("a job that was made again under its name does not keep the gates of the one before", async (setup) => {
  const first = await goneJob(setup);
  const again = await goneJob(setup, { namespace: first.namespace, jobId: first.jobId }, true);
  await runOf(setup, again, (await setup.nowUs()) + 2 * HOUR_US, false);
  assert.equal(await sweep(setup, "gates"), 1);
  const rows = await setup.rows("SELECT gate_key FROM gates");
  assert.deepEqual(
    rows.map((row) => row.gate_key),
    [`job:${again.jobUid}`],
  );
});

onEveryStore("descriptors go that a newer set has replaced for each method and that no executor has", async (setup) => {
  const store = new SqlDescriptorStore(setup.database);
  const set = (name: string, ...methods: string[]) => ({ hash: name.repeat(64), bytes: Uint8Array.of(1), methods });
  const put = async (one: ReturnType<typeof set>, us: number) => {
    await store.put(one);
    for (const table of ["descriptors", "descriptor_methods"]) {
      await setup.sql((session) => session.execute(`UPDATE ${table} SET stored_us = ? WHERE hash = ?`, [us, one.hash]));
    }
  };
  await put(set("a", "s/A"), 1);
  await put(set("b", "s/A", "s/B"), 2);
  await put(set("c", "s/A"), 3);
  await put(set("d", "s/A"), 4);
  await put(set("e", "s/A"), 90);
  const handler = { kind: "handler" as const, method: "s/A", descriptorHash: "c".repeat(64), slots: 0 };
  await new SqlExecutorStore(setup.database).register(registration({ profile: { capabilities: [handler] } }));
  assert.equal(await sweep(setup, "descriptors", 50), 1);
  const left = async () => (await setup.rows("SELECT hash FROM descriptors")).map((row) => String(row.hash)[0]).sort();
  assert.deepEqual(
    await left(),
    ["b", "c", "d", "e"],
    "b has the latest of another method, c an executor, d is the latest till lately",
  );
  assert.equal(await sweep(setup, "descriptors", 90), 1);
  assert.deepEqual(await left(), ["b", "c", "e"]);
  assert.equal((await store.forMethod("default", "s/A"))?.hash, "e".repeat(64));
  assert.deepEqual(
    await setup.rows("SELECT method FROM descriptor_methods WHERE hash NOT IN (SELECT hash FROM descriptors)"),
    [],
  );
});

onEveryStore("descriptors of a namespace go when it has later ones of its own or of the whole mesh", async (setup) => {
  const store = new SqlDescriptorStore(setup.database);
  const put = async (name: string, us: number, namespace: string | null, ...methods: string[]) => {
    await store.put({ hash: name.repeat(64), bytes: Uint8Array.of(1), methods }, namespace);
    for (const table of ["descriptors", "descriptor_methods", "namespace_methods"]) {
      const sql = `UPDATE ${table} SET stored_us = ? WHERE hash = ?`;
      await setup.sql((session) => session.execute(sql, [us, name.repeat(64)]));
    }
  };
  await put("a", 1, null, "s/A");
  await put("b", 2, "n", "s/A");
  await put("c", 3, "n", "s/A", "s/B");
  await put("d", 4, "m", "s/A");
  assert.equal(await sweep(setup, "descriptors", 50), 1);
  const left = async () => (await setup.rows("SELECT hash FROM descriptors")).map((row) => String(row.hash)[0]).sort();
  assert.deepEqual(await left(), ["a", "c", "d"], "what is put for a namespace replaces nothing of the whole mesh");
  await put("e", 5, null, "s/A");
  assert.equal(await sweep(setup, "descriptors", 50), 2);
  assert.deepEqual(await left(), ["c", "e"], "c has the latest of another method");
  assert.deepEqual(
    await setup.rows("SELECT method FROM namespace_methods WHERE hash NOT IN (SELECT hash FROM descriptors)"),
    [],
  );
});

onEveryStore("a route goes that is pinned to an executor that is gone and on which nothing waits", async (setup) => {
  const registered = registration();
  const { executorId } = registered.profile;
  await new SqlExecutorStore(setup.database).register(registered);
  const names = ["gone", "waited-for", executorId, null, ""] as const;
  const routes = names.map((pin) =>
    routeText({ kind: "command", method: "", namespace: "pins", labels: {}, pin: pin as ExecutorId | null }),
  );
  await new SqlRouteStore(setup.database).ensure(routes);
  const left = async () => {
    const texts = await new SqlRouteStore(setup.database).texts(routes.map(routeIdOf));
    return names.filter((_, at) => texts.has(routeIdOf(routes[at] ?? "")));
  };
  const waiting = newExecution();
  await submitAll(setup, [waiting]);
  const move = (route: string) =>
    setup.sql((session) =>
      session.execute("UPDATE executions SET claim_route = ? WHERE execution_id = ?", [
        routeIdOf(route),
        waiting.executionId,
      ]),
    );
  await move(routes[1] ?? "");
  assert.equal(await sweep(setup, "routes"), 1);
  assert.deepEqual(await left(), ["waited-for", executorId, null, ""]);
  await move(routes[4] ?? "");
  assert.equal(await sweep(setup, "routes"), 1);
  assert.deepEqual(await left(), [executorId, null, ""]);
  await new SqlRouteStore(setup.database).ensure(routes);
  assert.equal((await left()).length, 5, "it is written again where it is needed again");
});

onEveryStore("a sweep of leftovers goes on page by page", async (setup) => {
  await setup.sql(async (session) => {
    for (let number = 0; number < 230; number++) {
      const key = `job:${randomUUID()}`;
      await session.execute(
        "INSERT INTO gates (gate_key, held, waiting, max_concurrency, overlap) VALUES (?, 0, ?, 0, 0)",
        [key, number % 2],
      );
    }
  });
  const first = await new SqlRetentionStore(setup.database).deleteLeftovers("gates", LATER, null);
  assert.ok(first.deleted < 100 && first.place !== null);
  await sweep(setup, "gates");
  assert.equal(await count(setup, "gates"), 115);
});
