/** What `jobmesh migrate` and each start make of a database of the system before jobmesh, on a real MariaDB. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Job } from "../../services/common/domain/job.ts";
import { latestExecutions, migrate, withDatabase, withStore } from "../support/adopted-database.ts";
import { type Backends, startBackends } from "../support/backends.ts";
import { everyExecution } from "../support/execution-filter.ts";
import { makeOriginal, ORIGINAL_JOBS, ORIGINAL_LOGS, withConnection } from "../support/original-tables.ts";

const KEPT = ["original_executors", "original_job_logs", "original_jobs"];
let backends: Backends;

before(async () => {
  backends = await startBackends({ mysql: true });
});
after(() => backends.stop());

/** Columns and indexes of all tables, as the server tells them. */
function schemaOf(url: string): Promise<Record<string, unknown>[]> {
  return withConnection(url, async (query) => [
    ...(await query(
      `SELECT table_name, column_name, ordinal_position, column_default, is_nullable, column_type, collation_name,
          column_key, extra FROM information_schema.columns WHERE table_schema = DATABASE()
          AND table_name NOT LIKE 'original%' ORDER BY table_name, ordinal_position`,
    )),
    ...(await query(
      `SELECT table_name, index_name, seq_in_index, column_name, non_unique, sub_part, index_type
          FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name NOT LIKE 'original%'
          ORDER BY table_name, index_name, seq_in_index`,
    )),
  ]);
}

async function tablesOf(url: string): Promise<string[]> {
  const rows = await withConnection(url, (query) => query("SHOW TABLES"));
  return rows.map((row) => String(Object.values(row)[0])).sort();
}

test("an adopted database has the schema of a fresh one, beside the original's tables as they were", async () => {
  await withDatabase(backends.mysqlUrl, (fresh) =>
    withDatabase(backends.mysqlUrl, async (adopted) => {
      await migrate(fresh);
      await makeOriginal(adopted);
      await migrate(adopted);
      assert.deepEqual(await schemaOf(adopted), await schemaOf(fresh));
      assert.deepEqual(await tablesOf(adopted), [...(await tablesOf(fresh)), ...KEPT].sort());
      await withConnection(adopted, async (query) => {
        const kept = await query("SELECT * FROM original_job_logs ORDER BY id");
        assert.deepEqual(
          kept.map((row) => Object.values(row)),
          ORIGINAL_LOGS,
        );
        assert.equal((await query("SELECT job_id FROM original_jobs")).length, ORIGINAL_JOBS.length);
        assert.equal((await query("SELECT host FROM original_executors")).length, 1);
      });
    }),
  );
});

test("job_logs is read by the same SELECT as before, with the same rows", async () => {
  const columns = "id, job_id, executor_id, status, start_time, end_time, output, error";
  await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url);
    const select = `SELECT ${columns} FROM job_logs ORDER BY id`;
    const before = await withConnection(url, (query) => query(select));
    await migrate(url);
    const after = await withConnection(url, (query) => query(select));
    const micros = (value: unknown) => (value === null ? null : `${value}.000000`);
    assert.deepEqual(
      after,
      before.map((row) => ({
        ...row,
        start_time: micros(row.start_time),
        end_time: micros(row.end_time),
        output: row.output ?? "",
        error: row.error ?? "",
      })),
    );
  });
});

/** What a test compares of a job. */
function fateOf({ schedule, policy, paused, nextFireUs, name, lastFireUs }: Job) {
  const when = schedule?.when;
  const rule = when?.kind === "cron" ? when.expressions.join() : (when?.kind ?? null);
  const { maxAttempts, initialIntervalMs, maxIntervalMs } = policy.retry;
  return {
    name,
    rule,
    fires: nextFireUs !== null,
    paused,
    policy: [policy.priority, policy.timeoutMs, maxAttempts, initialIntervalMs, maxIntervalMs],
    lastFire: lastFireUs === null ? null : new Date(lastFireUs / 1_000).toISOString().slice(0, 19),
  };
}

const HOUR_MS = 3_600_000;
const MAX_MS = 366 * 86_400_000;
const plain = [0, HOUR_MS, 1, 0, HOUR_MS];
const idle = { fires: false, paused: false, policy: plain, lastFire: null };
const stopped = { ...idle, paused: true };
const FATES: Readonly<Record<string, ReturnType<typeof fateOf>>> = {
  "once-done": { ...idle, name: "Done", rule: null },
  "once-failed": { ...idle, name: "Failed", rule: null },
  "once-running": { ...idle, name: "Running", rule: null },
  "once-new": { ...idle, name: "Not yet", rule: "at", fires: true, policy: [7, 60_000, 3, 1_000, HOUR_MS] },
  "once-sent": { ...idle, name: "Sent and never begun", rule: "at", fires: true },
  nightly: {
    name: "Nightly «Büro» 🌙",
    rule: "30 2 * * *",
    fires: true,
    paused: false,
    policy: [5, 30_000, 3, 5_000, HOUR_MS],
    lastFire: "2024-03-04T02:30:00",
  },
  "each-second": {
    ...idle,
    name: "Six fields",
    rule: "* * * * * *",
    fires: true,
    policy: [-3, 10_000, 1, 0, HOUR_MS],
    lastFire: "2024-03-05T00:00:00",
  },
  broken: { ...stopped, name: "No cron", rule: "every day at noon" },
  "both-days": { ...stopped, name: "Both days", rule: "0 0 13 * 5" },
  "no-cron": { ...stopped, name: "Periodic without", rule: null },
  beyond: { ...idle, name: "beyond", rule: "0 * * * *", fires: true, policy: [1_000, MAX_MS, 1_000, MAX_MS, MAX_MS] },
  beneath: { ...idle, name: "Beneath", rule: "0 * * * *", fires: true, policy: [-1_000, HOUR_MS, 1, 0, HOUR_MS] },
  nulls: { ...idle, name: "Nulls", rule: "0 0 1 1 *", fires: true },
  "type-9": { ...stopped, name: "Another type", rule: null },
};

test("each job of the original is there: what has not run runs once, what cannot be told is paused with its reason", async () => {
  await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url);
    await withStore(url, async (store) => {
      const fates: Record<string, unknown> = {};
      for (const [jobId] of ORIGINAL_JOBS) {
        const job = await store.jobs.get("default", String(jobId));
        assert.ok(job, `${jobId} is lost`);
        fates[String(jobId)] = fateOf(job);
        assert.equal(job.pauseReason.startsWith("adopted: "), job.paused, job.pauseReason);
        assert.equal(job.createUs, Date.UTC(2024, 2, 1, 8) * 1_000);
        assert.equal(job.updateUs, Date.UTC(2024, 2, 2, 9, 30) * 1_000);
      }
      assert.deepEqual(fates, FATES);
      const broken = await store.jobs.get("default", "broken");
      assert.match(
        broken?.pauseReason ?? "",
        /^adopted: cron_expression: "every day at noon", position 17: 4 of at least 5 fields/,
      );
    });
  });
});

test("each log of the original is history: an execution that has ended, its attempt and its output", async () => {
  await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url);
    await withStore(url, async (store) => {
      const executions = await latestExecutions(store);
      const told = await Promise.all(
        executions.map(async ({ executionId, jobId, state, stateReason, cause, jobUid, failure }) => {
          const { items } = await store.executions.attempts(executionId, 10, null);
          const [attempt] = items;
          assert.ok(attempt !== undefined && items.length === 1);
          const pieces = await store.output.read({
            executionId,
            attempt: 1,
            afterSequence: 0,
            streams: [],
            maxBytes: 1e6,
          });
          assert.equal(pieces.map(({ data }) => Buffer.from(data).toString()).join(""), attempt.output);
          const { stored, written } = (await store.output.completeness(executionId, 1)) ?? {};
          assert.deepEqual([stored, written], [pieces.length, pieces.length]);
          assert.deepEqual(attempt.failure, failure);
          return [
            jobId,
            state,
            attempt.state,
            stateReason,
            cause,
            jobUid !== null,
            attempt.counted,
            failure?.message ?? null,
          ];
        }),
      );
      const lost = "the system that ran it was replaced before it said how it ended";
      // Oldest start first; two of the same second are in the order of a hash.
      assert.deepEqual(told.toSorted(), [
        ["each-second", "SUCCEEDED", "SUCCEEDED", "UNSPECIFIED", "SCHEDULE", true, true, null],
        ["gone", "SUCCEEDED", "SUCCEEDED", "UNSPECIFIED", "RUN_JOB", false, true, null],
        ["nightly", "FAILED", "FAILED", "TARGET_FAILED", "SCHEDULE", true, true, ""],
        ["nightly", "SUCCEEDED", "SUCCEEDED", "UNSPECIFIED", "SCHEDULE", true, true, null],
        ["nightly", "TIMED_OUT", "TIMED_OUT", "TIMEOUT", "SCHEDULE", true, true, `Execution "timeout"\u0001 ü 🌙`],
        ["once-done", "SUCCEEDED", "SUCCEEDED", "UNSPECIFIED", "RUN_JOB", true, true, null],
        ["once-failed", "FAILED", "FAILED", "TARGET_FAILED", "RUN_JOB", true, true, "Command exited with status 768"],
        ["once-running", "LOST", "LOST", "EXECUTOR_LOST", "RUN_JOB", true, false, lost],
        ["once-sent", "LOST", "LOST", "EXECUTOR_LOST", "RUN_JOB", true, false, lost],
      ]);
      const starts = executions.map(({ scheduledUs }) => scheduledUs);
      assert.deepEqual(
        starts,
        starts.toSorted((a, b) => a - b),
        "lists are in the order of the starts",
      );
      const nowUs = await store.nowUs();
      assert.ok(
        executions.every(({ endedUs }) => endedUs !== null && endedUs <= nowUs),
        "nothing ends in the future",
      );
      assert.deepEqual(
        (await store.executions.count(everyExecution)).map(({ state, count }) => `${state} ${count}`),
        ["SUCCEEDED 4", "FAILED 2", "TIMED_OUT 1", "LOST 2"],
      );
    });
  });
});

test("logs that did not succeed are found by how they ended", async () => {
  await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url);
    await withStore(url, async ({ executions }) => {
      const unsuccessful = { ...everyExecution, states: ["FAILED", "TIMED_OUT", "LOST"] } as const;
      assert.deepEqual(
        (await executions.count(unsuccessful)).map(({ state, count }) => `${state} ${count}`),
        ["FAILED 2", "TIMED_OUT 1", "LOST 2"],
      );
      const lost = await executions.list({ ...everyExecution, reasons: ["EXECUTOR_LOST"] }, 10, null, false);
      assert.deepEqual(lost.items.map(({ jobId }) => jobId).sort(), ["once-running", "once-sent"]);
    });
  });
});

test("times and expressions of a named zone are read in it, over its clock changes", async () => {
  const logs = [
    [1, "nightly", "executor-1", 2, "2024-01-15 12:00:00", "2024-01-15 12:00:01", "winter", null],
    [2, "nightly", "executor-1", 2, "2024-07-15 12:00:00", "2024-07-15 12:00:01", "summer", null],
    [3, "nightly", "executor-1", 2, "1999-07-15 12:00:00", null, "before all changes that are known", null],
  ];
  await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url, { logs });
    await withConnection(url, async (query) => {
      await query("SET time_zone = '+00:00'");
      await query("ALTER TABLE jobs MODIFY update_time TIMESTAMP NULL");
      await query("UPDATE jobs SET update_time = '2024-07-01 08:00:00'");
    });
    await migrate(url, { adoptTimeZone: "Europe/Berlin" });
    const rows = await withConnection(url, (query) => query("SELECT start_time, start_us FROM job_logs ORDER BY id"));
    assert.deepEqual(
      rows.map(({ start_time }) => start_time),
      ["2024-01-15 11:00:00.000000", "2024-07-15 10:00:00.000000", "1999-07-15 11:00:00.000000"],
    );
    assert.deepEqual(
      rows.map(({ start_us }) => new Date(Number(start_us) / 1_000).toISOString()),
      ["2024-01-15T11:00:00.000Z", "2024-07-15T10:00:00.000Z", "1999-07-15T11:00:00.000Z"],
    );
    await withStore(url, async (store) => {
      const job = await store.jobs.get("default", "nightly");
      assert.equal(job?.schedule?.timeZone, "Europe/Berlin");
      assert.equal(job.createUs, Date.UTC(2024, 2, 1, 7) * 1_000, "a DATETIME is local time");
      assert.equal(job.updateUs, Date.UTC(2024, 6, 1, 8) * 1_000, "a TIMESTAMP is an instant");
    });
  });
});

test("more logs than a batch holds, by rows and by bytes, are all copied, once", async () => {
  await withDatabase(backends.mysqlUrl, async (url) => {
    const time = "2024-01-01 00:00:00";
    const ids = Array.from({ length: 2_600 }, (_, index) => 3 * (index + 1));
    await makeOriginal(url, { logs: ids.map((id) => [id, "nightly", "executor-1", 2, time, null, "xxx", null]) });
    await withConnection(url, (query) =>
      query("UPDATE job_logs SET output = REPEAT('ü', 30000) WHERE id > ?", [3 * 2_300]),
    );
    await migrate(url);
    const [row] = await withConnection(url, (query) =>
      query(
        `SELECT COUNT(*) AS logs, SUM(LENGTH(output)) AS bytes, COUNT(DISTINCT execution_id) AS executions,
          (SELECT COUNT(*) FROM executions) AS stored, (SELECT SUM(LENGTH(data)) FROM output_pieces) AS pieces
          FROM job_logs WHERE id % 3 = 0`,
      ),
    );
    const bytes = String(2_300 * 3 + 300 * 60_000);
    assert.deepEqual(row, { logs: 2_600, bytes, executions: 2_600, stored: 2_600, pieces: bytes });
    await withStore(url, async (store) => {
      const { items } = await store.executions.list(everyExecution, 1_000, null, false);
      const outputs = await Promise.all(
        items.slice(0, 300).map(async ({ executionId }) => {
          const attempts = await store.executions.attempts(executionId, 1, null);
          return attempts.items[0]?.output ?? "";
        }),
      );
      const whole = outputs.filter((output) => output === "xxx");
      const tails = outputs.filter((output) => output === "ü".repeat(8_192));
      assert.ok(tails.length > 0, "an attempt has the last 16 KiB of its output");
      assert.equal(whole.length + tails.length, 300);
    });
  });
});
