/** What is deleted once it has been kept long enough, and what never is. */
import assert from "node:assert/strict";
import { SqlOutputStore } from "../../services/common/adapter/sql/output.ts";
import { SqlRetentionStore } from "../../services/common/adapter/sql/retention.ts";
import type { Execution, NewExecution } from "../../services/common/domain/execution.ts";
import type { ExecutionId } from "../../services/common/domain/identifier.ts";
import { defaultPolicy, type ExecutionPolicy } from "../../services/common/domain/policy.ts";
import type { EndedPlace } from "../../services/common/port/store-retention.ts";
import {
  addExecutor,
  dispatched,
  failed,
  keyOf,
  loseExecutor,
  newExecution,
  onEveryStore,
  onMysql,
  resultOf,
  type StoreSetup,
  slot,
  submission,
  submitAll,
} from "../support/execution-store.ts";

const LATER = Number.MAX_SAFE_INTEGER;
const own: ExecutionPolicy = { ...defaultPolicy, retentionMs: 60_000, failedRetentionMs: 120_000 };

function retention({ database }: StoreSetup): SqlRetentionStore {
  return new SqlRetentionStore(database);
}

/** Executions that ended, some by success, with their ends at 1, 2, 3 … */
async function ended(setup: StoreSetup, count: number, more: Partial<NewExecution> = {}): Promise<Execution[]> {
  const all = await submitAll(
    setup,
    Array.from({ length: count }, () => newExecution(more)),
  );
  for (const [at, { executionId }] of all.entries()) {
    await setup.store.requestStop(executionId, "CANCEL", "");
    await endAt(setup, executionId, at + 1);
  }
  return all;
}

async function endAt({ sql }: StoreSetup, executionId: ExecutionId, us: number): Promise<void> {
  await sql((session) =>
    session.execute("UPDATE executions SET ended_us = ? WHERE execution_id = ?", [us, executionId]),
  );
}

async function left({ rows }: StoreSetup): Promise<unknown[]> {
  return (await rows("SELECT execution_id FROM executions")).map((row) => row.execution_id).sort();
}

function idsOf(executions: readonly Execution[]): string[] {
  return executions.map(({ executionId }) => executionId).sort();
}

/** Deletes all that had ended by a time, batch by batch; how many each batch deleted. */
async function sweep(setup: StoreSetup, endedByUs: number, limit: number): Promise<number[]> {
  const counts: number[] = [];
  let place: EndedPlace | null = null;
  for (let more = true; more; ) {
    const done: Awaited<ReturnType<SqlRetentionStore["deleteEnded"]>> = await retention(setup).deleteEnded(
      endedByUs,
      place,
      limit,
    );
    counts.push(done.deleted);
    ({ place, more } = done);
  }
  return counts;
}

/** An attempt's output, in pieces of a byte. */
async function write({ database }: StoreSetup, execution: Execution, pieces: number): Promise<void> {
  const output = new SqlOutputStore(database);
  await output.append(
    Array.from({ length: pieces }, (_, at) => ({
      key: keyOf(execution),
      stream: "STDOUT" as const,
      sequence: at + 1,
      data: Uint8Array.of(65),
      timeUs: 1,
      droppedBytes: 0,
      level: "UNSPECIFIED" as const,
      fieldsJson: "",
      spanId: "",
    })),
  );
}

async function count({ rows }: StoreSetup, table: string): Promise<number> {
  const [row] = await rows(`SELECT COUNT(*) AS n FROM ${table}`);
  return Number(row?.n);
}

onEveryStore("what ended by a time is deleted with its attempts and output, what ended later stays", async (setup) => {
  const placement = await addExecutor(setup);
  const [old, young] = [await dispatched(setup, placement), await dispatched(setup, placement)];
  for (const one of [old, young]) await write(setup, one, 3);
  await setup.store.storeResults([resultOf(old), resultOf(young, failed())], null);
  await endAt(setup, old.executionId, 5);
  await endAt(setup, young.executionId, 6);
  assert.deepEqual(await retention(setup).deleteEnded(5, null, 100), {
    deleted: 1,
    more: false,
    place: { endedUs: 5, executionId: old.executionId },
  });
  assert.deepEqual(await left(setup), [young.executionId]);
  for (const table of ["job_logs", "output_pieces"]) {
    const rows = await setup.rows(`SELECT execution_id FROM ${table}`);
    assert.deepEqual(new Set(rows.map((row) => row.execution_id)), new Set([young.executionId]), table);
  }
});

onEveryStore("nothing is deleted that has not ended, whatever its times", async (setup) => {
  const placement = await addExecutor(setup);
  const policy = { ...own, startDeadlineMs: 3_600_000, retry: { ...own.retry, maxAttempts: 2 } };
  const running = await dispatched(setup, placement, { policy });
  await setup.store.markStarted([{ key: keyOf(running), startUs: 5 }]);
  const retried = await dispatched(setup, placement, { policy });
  await setup.store.storeResults([resultOf(retried, failed())], null);
  const later = newExecution({ policy, readyUs: (await setup.nowUs()) + 3_600_000_000 });
  const live = [running, retried, ...(await submitAll(setup, [newExecution({ policy }), later]))];
  const attempts = await count(setup, "job_logs");
  await sweep(setup, LATER, 10);
  assert.deepEqual(await retention(setup).deleteExpired(10), { deleted: 0, more: false });
  assert.deepEqual(await left(setup), idsOf(live));
  assert.equal(await count(setup, "job_logs"), attempts);
});

onEveryStore("a sweep goes on after what it passed over, and deletes in bounded batches", async (setup) => {
  const kept = await ended(setup, 5, { policy: { ...defaultPolicy, retentionMs: 31_622_400_000 } });
  await ended(setup, 7);
  assert.deepEqual(
    (await sweep(setup, LATER, 4)).reduce((sum, one) => sum + one),
    7,
  );
  assert.deepEqual(await left(setup), idsOf(kept));
  const [first] = await sweep(setup, LATER, 1_000_000);
  assert.equal(first, 0, "they are passed over again by one that begins anew");
});

onEveryStore("many that ended in one instant are all deleted", async (setup) => {
  const all = await ended(setup, 9);
  for (const { executionId } of all) await endAt(setup, executionId, 7);
  assert.deepEqual(await sweep(setup, 7, 4), [4, 4, 1]);
  assert.deepEqual(await left(setup), []);
});

onEveryStore("a retention of its own counts from the end, another one for what did not succeed", async (setup) => {
  const placement = await addExecutor(setup);
  const doomed = await addExecutor(setup, "executor-2");
  const policy: ExecutionPolicy = { ...own, lostPolicy: "FAIL" };
  const success = await dispatched(setup, placement, { policy });
  const failure = await dispatched(setup, placement, { policy });
  const lost = await dispatched(setup, doomed, { policy });
  await setup.store.storeResults([resultOf(success), resultOf(failure, failed())], null);
  await loseExecutor(setup, doomed);
  await setup.store.endLost(doomed.executorId, doomed.incarnation, 10);
  const [cancelled] = await submitAll(setup, [newExecution({ policy })]);
  assert.ok(cancelled !== undefined);
  await setup.store.requestStop(cancelled.executionId, "CANCEL", "");
  const [expired] = await submitAll(setup, [newExecution({ policy: { ...policy, startDeadlineMs: 3_600_000 } })]);
  assert.ok(expired !== undefined);
  await setup.sql((session) =>
    session.execute("UPDATE executions SET start_deadline_us = 2 WHERE start_deadline_us > 2"),
  );
  assert.equal((await setup.store.expire(10)).length, 1);
  const rows = await setup.rows("SELECT execution_id, expire_us, ended_us FROM executions");
  const keptMs = new Map(rows.map((row) => [row.execution_id, (Number(row.expire_us) - Number(row.ended_us)) / 1_000]));
  assert.deepEqual(
    [success, failure, lost, cancelled, expired].map(({ executionId }) => keptMs.get(executionId)),
    [60_000, 120_000, 120_000, 120_000, 120_000],
  );
  assert.deepEqual(await retention(setup).deleteExpired(10), { deleted: 0, more: false });
  await setup.sql((session) => session.execute("UPDATE executions SET expire_us = 3"));
  assert.deepEqual(await retention(setup).deleteExpired(4), { deleted: 4, more: true });
  assert.deepEqual(await retention(setup).deleteExpired(4), { deleted: 1, more: false });
  assert.deepEqual(await left(setup), []);
});

onEveryStore("what its overlap policy skips has its own retention, too", async (setup) => {
  const uid = "33333333-3333-4333-8333-333333333333";
  const gated = {
    policy: own,
    jobId: "job-1",
    jobUid: uid as never,
    gateKeys: [`job:${uid}`],
    overlap: "SKIP" as const,
  };
  const later = newExecution({ ...gated, readyUs: (await setup.nowUs()) + 3_600_000_000 });
  const [, skipped] = await submitAll(setup, [newExecution(gated), newExecution(gated), later]);
  assert.equal(skipped?.state, "SKIPPED");
  await setup.sql((session) => session.execute("UPDATE executions SET ready_us = 1 WHERE state = 1"));
  await setup.store.makeReady([later.executionId]);
  const rows = await setup.rows("SELECT expire_us, ended_us FROM executions WHERE state = 9");
  assert.deepEqual(
    rows.map((row) => Number(row.expire_us) - Number(row.ended_us)),
    [120_000_000, 120_000_000],
  );
});

onEveryStore("long output is deleted piece by piece before its execution, within bounds", async (setup) => {
  const placement = await addExecutor(setup);
  const one = await dispatched(setup, placement);
  await write(setup, one, 450);
  await setup.store.storeResults([resultOf(one)], null);
  const pieces: number[] = [];
  const executions: number[] = [];
  for (let more = true; more; ) {
    ({ more } = await retention(setup).deleteEnded(LATER, null, 100));
    pieces.push(await count(setup, "output_pieces"));
    executions.push(await count(setup, "executions"));
  }
  assert.deepEqual(pieces, [250, 50, 0]);
  assert.deepEqual(executions, [1, 1, 0]);
});

onEveryStore("executions with very many attempts are deleted by few at once", async (setup) => {
  await ended(setup, 3);
  await setup.sql((session) => session.execute("UPDATE executions SET attempt = 700"));
  assert.deepEqual(await sweep(setup, LATER, 100), [1, 1, 1]);
  await ended(setup, 1);
  await setup.sql((session) => session.execute("UPDATE executions SET attempt = 5000"));
  assert.deepEqual(await sweep(setup, LATER, 100), [1], "one that has more by itself is no obstacle");
});

onEveryStore("no more is looked at than a batch may delete", async (setup) => {
  await ended(setup, 251);
  assert.deepEqual(await sweep(setup, LATER, 1_000), [250, 1]);
});

onMysql("several that delete at once, beside results that are stored, lose nothing and fail nothing", async (setup) => {
  const placement = await addExecutor(setup);
  await ended(setup, 200);
  const group = Array.from({ length: 100 }, () => submission(newExecution(), { slot: slot(placement) }));
  const running = (await setup.store.submit(group)).flatMap((one) => (one.kind === "stored" ? [one.execution] : []));
  const counts = await Promise.all([
    sweep(setup, 1_000, 30),
    sweep(setup, 1_000, 30),
    sweep(setup, 1_000, 50),
    setup.store.storeResults(
      running.map((one) => resultOf(one)),
      null,
    ),
  ]);
  const deleted = counts.slice(0, 3).flat() as number[];
  assert.equal(
    deleted.reduce((sum, one) => sum + one),
    200,
  );
  assert.deepEqual(await left(setup), idsOf(running));
  assert.equal(await count(setup, "job_logs"), 100);
});
