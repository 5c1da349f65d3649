/** Rule 1: in whatever a transaction does, its tables are locked in one order. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test from "node:test";
import { SqlExecutorStore } from "../../services/common/adapter/sql/executors.ts";
import { SqlJobStore } from "../../services/common/adapter/sql/jobs.ts";
import { SqlOffsetStore } from "../../services/common/adapter/sql/offsets.ts";
import { SqlRetentionStore } from "../../services/common/adapter/sql/retention.ts";
import type { Incarnation, JobUid } from "../../services/common/domain/identifier.ts";
import { LEFTOVER_KINDS } from "../../services/common/port/store-retention.ts";
import { addExecutor, dispatched, failed, onMysql, resultOf, type StoreSetup } from "../support/execution-store.ts";
import { RandomWork } from "../support/random-work.ts";
import { createRequest, newJob, registration } from "../support/store-records.ts";

const ORDER = ["result_offsets", "executors", "requests", "jobs", "gates", "executions", "job_logs"];

/** Tables that a statement locks rows of, as far as ORDER has them. */
function lockedTable(sql: string): string | null {
  const changes =
    /^\s*(?:INSERT INTO|DELETE FROM|UPDATE) (\w+)/.exec(sql) ?? /^\s*UPDATE \(.* JOIN (\w+) AS t/s.exec(sql);
  const reads = sql.includes("FOR UPDATE") ? /FROM (\w+)/.exec(sql) : null;
  const table = (changes ?? reads)?.[1];
  return table !== undefined && ORDER.includes(table) ? table : null;
}

/** What was locked in each transaction, in order. */
class LockLog {
  readonly transactions: { readonly name: string; readonly tables: string[] }[] = [];

  readonly note = (name: string, sql: string): void => {
    // A change that is a transaction of its own has no beginning but its name.
    const isOther = this.transactions.at(-1)?.name !== name;
    if (sql === "START TRANSACTION" || isOther) this.transactions.push({ name, tables: [] });
    const table = lockedTable(sql);
    if (table !== null) this.transactions.at(-1)?.tables.push(table);
  };

  outOfOrder(): string[] {
    return this.transactions
      .filter(({ tables }) =>
        tables.some((table, at) => at > 0 && ORDER.indexOf(table) < ORDER.indexOf(tables[at - 1] ?? "")),
      )
      .map(({ name, tables }) => `${name}: ${tables.join(", ")}`);
  }
}

async function changeJobs({ database }: StoreSetup): Promise<void> {
  const jobs = new SqlJobStore(database);
  const job = newJob();
  const request = createRequest(job);
  await jobs.create(job, request);
  await jobs.create({ ...job, jobUid: randomUUID() as JobUid }, request);
  await jobs.update({ ...job, policy: { ...job.policy, maxConcurrency: 2 } }, null, 1);
  await jobs.pause(job.namespace, job.jobId, "");
  await jobs.resume(job.namespace, job.jobId, 2, 5);
  await jobs.delete(job.namespace, job.jobId, 2);
}

async function changeExecutors({ database }: StoreSetup): Promise<void> {
  const executors = new SqlExecutorStore(database);
  const hello = registration();
  const { executorId, incarnation } = hello.profile;
  await executors.register(hello);
  const next = {
    ...hello,
    previousIncarnation: incarnation,
    profile: { ...hello.profile, incarnation: "i-2" as Incarnation },
  };
  await executors.register(next);
  await executors.leave(executorId, next.profile.incarnation);
  await executors.prune(Number.MAX_SAFE_INTEGER);
}

/** Deletes the history of the random work, with and without retentions of its own. */
async function deleteHistory({ database, sql }: StoreSetup): Promise<void> {
  const retention = new SqlRetentionStore(database);
  await sql((session) => session.execute("UPDATE executions SET expire_us = 1 WHERE expire_us IS NOT NULL"));
  assert.ok((await retention.deleteExpired(250)).deleted > 0);
  assert.ok((await retention.deleteEnded(Number.MAX_SAFE_INTEGER, null, 250)).deleted > 0);
  for (const kind of LEFTOVER_KINDS) await retention.deleteLeftovers(kind, Number.MAX_SAFE_INTEGER, null);
}

/** Results of gated executions, with their offset. */
async function storeByPartition(setup: StoreSetup): Promise<void> {
  await new SqlOffsetStore(setup.database).read(1);
  const placement = await addExecutor(setup, "reader");
  const results = [
    resultOf(await dispatched(setup, placement)),
    resultOf(await dispatched(setup, placement), failed()),
  ];
  const offsets = { partition: 0, generation: 0, firstOffset: 0, nextOffset: 2, lastKey: "k" };
  assert.equal((await setup.store.storeResults(results, offsets)).kind, "stored");
}

onMysql("rule 1: every transaction locks its tables in one order", async (setup) => {
  const log = new LockLog();
  const work = new RandomWork(setup, 7);
  setup.onStatement(log.note);
  for (let step = 0; step < 300; step++) await work.step();
  await changeJobs(setup);
  await changeExecutors(setup);
  await storeByPartition(setup);
  await deleteHistory(setup);
  assert.deepEqual(log.outOfOrder(), []);
  const seen = new Set(log.transactions.flatMap(({ tables }) => tables));
  assert.deepEqual(
    ORDER.filter((table) => !seen.has(table)),
    [],
    "every table of the order was locked",
  );
});

test("the log of locks names a transaction that takes a table before one that comes earlier in the order", () => {
  const log = new LockLog();
  log.note("complete", "START TRANSACTION");
  log.note("complete", "SELECT id FROM gates WHERE id = ? FOR UPDATE");
  log.note("complete", "UPDATE executions SET state = ?");
  log.note("cancel", "START TRANSACTION");
  log.note("cancel", "SELECT id FROM executions WHERE id = ? FOR UPDATE");
  log.note("cancel", "SELECT id FROM jobs WHERE id = ?");
  log.note("cancel", "DELETE FROM gates WHERE id = ?");
  assert.deepEqual(log.outOfOrder(), ["cancel: executions, gates"]);
});
