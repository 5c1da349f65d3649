/** A database of the system before jobmesh goes on: migrated by the command, run by a real scheduler and executor. */
import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { type Execution, ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { ListAttemptsRequest, ListExecutionsRequest, ReadLogsRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { Job } from "../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest, RunJobRequest, UpdateJobRequest } from "../../gen/jobmesh/v1/job_service.ts";
import { JobmeshError } from "../../services/client/index.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { handler } from "../../services/client/targets.ts";
import { withDatabase, withStore } from "../support/adopted-database.ts";
import { type Backends, createDatabase, startBackends } from "../support/backends.ts";
import { MeshProcesses } from "../support/mesh-process.ts";
import { makeOriginal, ORIGINAL_LOGS, withConnection } from "../support/original-tables.ts";
import { outsideTurn } from "../support/outside-turn.ts";
import { newJob } from "../support/store-records.ts";

const SUCCEEDED = ExecutionState.EXECUTION_STATE_SUCCEEDED;
const EXECUTOR = resolve(import.meta.dirname, "../support/truth-executor.ts");
const JOBS = `SELECT job_id, name, command, type, priority, cron_expression, timeout, retry_count, retry_interval,
  create_time, update_time FROM jobs ORDER BY job_id`;
const LOGS = "SELECT id, job_id, executor_id, status, start_time, end_time, output, error FROM job_logs ORDER BY id";
let backends: Backends;

before(async () => {
  backends = await startBackends({ mysql: true });
});
after(() => backends.stop());

/** The original's database, migrated by the command; nothing runs yet. */
async function migrated(t: TestContext) {
  const processes = new MeshProcesses(t);
  const { url, drop } = await createDatabase(backends.mysqlUrl);
  t.after(drop);
  await makeOriginal(url);
  const env = { JOBMESH_STORE: url };
  for (const more of [[], ["--relist"]]) {
    const { code, stdout, stderr } = await processes.run(["migrate", ...more], { env, waitMs: 60_000 });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /is up to date/);
  }
  return { processes, url, env };
}

/** The same with a scheduler and an executor of commands and of the report's handler. */
async function running(t: TestContext) {
  const { processes, url, env } = await migrated(t);
  const scheduler = processes.start(["scheduler", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"], { env });
  const served = { stream: "stderr", waitMs: 40_000 } as const;
  const [, address = ""] = await scheduler.printed(/"address":"([^"]+)".*"the scheduler serves"/, served);
  const executor = processes.start([], {
    program: [process.execPath, EXECUTOR],
    env: {
      JOBMESH_SCHEDULER: address,
      JOBMESH_EXECUTOR_ID: "executor-9",
      JOBMESH_DATA_DIR: join(processes.folder(), "d"),
    },
  });
  await executor.printed(/"a home took the executor"/, served);
  return { url, client: processes.client(address, { timeoutMs: 30_000 }), truth: join(processes.folder(), "truth") };
}

async function executionsOf(client: MeshClient, jobId: string): Promise<readonly Execution[]> {
  const request = ListExecutionsRequest.fromPartial({ filter: { jobId }, pageSize: 100 });
  return (await client.executions.listExecutions(request)).executions;
}

/** Waits until so many executions of a job have succeeded. */
async function succeeded(client: MeshClient, jobId: string, count: number): Promise<readonly Execution[]> {
  for (;;) {
    const all = await executionsOf(client, jobId);
    if (all.filter(({ state }) => state === SUCCEEDED).length >= count) return all;
    await outsideTurn();
  }
}

async function outputOf(client: MeshClient, executionId: string): Promise<string> {
  const request = ListAttemptsRequest.fromPartial({ executionId });
  const { attempts } = await client.executions.listAttempts(request);
  let log = "";
  for await (const piece of client.executions.readLogs(ReadLogsRequest.fromPartial({ executionId }))) {
    if (piece.content?.$case === "text") log += piece.content.value;
  }
  assert.deepEqual(
    [log],
    attempts.map(({ output }) => output),
  );
  return log;
}

test("the original's jobs run on: what never ran once, what is periodic by its schedule, all others on demand", async (t) => {
  const { url, client, truth } = await running(t);
  const [fresh] = await succeeded(client, "once-new", 1);
  assert.equal(await outputOf(client, fresh?.executionId ?? ""), "new\nonce-new\n");
  assert.deepEqual(
    [fresh?.policy?.priority, fresh?.policy?.timeout?.seconds, fresh?.policy?.retry?.maxAttempts],
    [7, 60n, 3],
  );
  await succeeded(client, "once-sent", 1);
  await succeeded(client, "each-second", 3);
  await client.jobs.runJob(RunJobRequest.fromPartial({ jobId: "nightly" }));
  const nightly = await succeeded(client, "nightly", 2);
  assert.deepEqual(await Promise.all(nightly.slice(0, 1).map(({ executionId }) => outputOf(client, executionId))), [
    "ü 🌙\n\\\n",
  ]);
  const report = handler(ReportServiceService.render, { title: truth, rows: [] });
  const job = Job.fromPartial({ jobId: "report", target: report });
  await client.jobs.createJob(CreateJobRequest.fromPartial({ job }));
  await client.jobs.runJob(RunJobRequest.fromPartial({ jobId: "report" }));
  await succeeded(client, "report", 1);
  for (const jobId of ["once-done", "once-failed", "once-running"]) {
    assert.equal((await executionsOf(client, jobId)).length, 1, `${jobId} ran again`);
  }
  assert.equal((await executionsOf(client, "once-new")).length, 1);

  await withConnection(url, async (query) => {
    const jobs = new Map((await query(JOBS)).map((row) => [row.job_id, row]));
    assert.deepEqual(
      [jobs.get("once-new"), jobs.get("nightly"), jobs.get("report")].map((row) => [row?.command, row?.type]),
      [
        ["echo new; echo $JOBMESH_JOB_ID", 0],
        [`printf '%s\\n' "ü 🌙" \\\\`, 1],
        ["acme.report.v1.ReportService/Render", 0],
      ],
    );
    assert.deepEqual(
      { ...jobs.get("nightly"), command: "" },
      {
        job_id: "nightly",
        name: "Nightly «Büro» 🌙",
        command: "",
        type: 1,
        priority: 5,
        cron_expression: "30 2 * * *",
        timeout: 30,
        retry_count: 2,
        retry_interval: 5,
        create_time: "2024-03-01 08:00:00.000000",
        update_time: "2024-03-02 09:30:00.000000",
      },
    );
    assert.equal(jobs.get("broken")?.cron_expression, "every day at noon");
    const logs = await query(LOGS);
    const made = logs.filter(({ id }) => Number(id) > 12);
    assert.deepEqual(logs.length - made.length, ORIGINAL_LOGS.length);
    for (const jobId of ["once-new", "once-sent", "nightly", "each-second", "report"]) {
      const row = made.find(({ job_id }) => job_id === jobId);
      assert.deepEqual([row?.status, row?.executor_id], [5, "executor-9"], `${jobId} in job_logs`);
      assert.ok(row?.start_time !== null && row?.end_time !== null);
    }
  });
});

test("the original's history is listed, with its attempts and logs; what is paused tells why, and is resumed once it is mended", async (t) => {
  const { client } = await running(t);
  const nightly = await executionsOf(client, "nightly");
  assert.deepEqual(
    nightly.map(({ startTime }) => startTime?.seconds),
    ["2024-03-04T02:30:00Z", "2024-03-03T02:30:00Z", "2024-03-02T02:30:00Z"].map((text) =>
      BigInt(Date.parse(text) / 1_000),
    ),
  );
  assert.equal(await outputOf(client, nightly.at(-1)?.executionId ?? ""), `ü 🌙 "'\\\n\t\u0001`);
  const { job } = await client.jobs.getJob({ namespace: "", jobId: "broken" });
  assert.equal(job?.paused, true);
  assert.match(job?.pauseReason ?? "", /^adopted: cron_expression: "every day at noon"/);
  const name = { namespace: "", jobId: "broken" };
  await assert.rejects(client.jobs.resumeJob(name), (error) => {
    assert.ok(error instanceof JobmeshError && error.reason === "INVALID_FIELD");
    const [{ field = "", description = "" } = {}] = error.fieldViolations;
    assert.equal(field, "job.schedule.cron");
    return description.startsWith("4 of at least 5 fields");
  });
  const mended = Job.fromPartial({ ...name, schedule: { when: { $case: "cron", value: "0 12 * * *" } } });
  await client.jobs.updateJob(UpdateJobRequest.fromPartial({ job: mended, updateMask: ["schedule"] }));
  const { job: resumed } = await client.jobs.resumeJob(name);
  assert.deepEqual([resumed?.paused, resumed?.nextFireTime !== undefined], [false, true]);
  const [gone] = await executionsOf(client, "gone");
  await assert.rejects(
    client.executions.retryExecution({ executionId: gone?.executionId ?? "", requestId: "" }),
    (error) => error instanceof JobmeshError && error.reason === "TARGET_UNKNOWN",
  );
});

test("a plain SELECT of jobs finds the command column filled for every kind of target", async () => {
  const targets = [
    ["command", "", "df -h /"],
    ["handler", "acme.report.v1.ReportService/Render", "acme.report.v1.ReportService/Render"],
    ["grpc", "", "acme.billing.v1.BillingService/Charge"],
    ["http", "", "https://example.com/hooks/nightly"],
  ] as const;
  await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url, { jobs: [], logs: [] });
    await withStore(url, async (store) => {
      for (const [kind, method, summary] of targets) {
        const target = { kind, method, summary, bytes: Buffer.from("any") };
        await store.jobs.create(newJob({ jobId: kind, target }), null);
      }
    });
    const rows = await withConnection(url, (query) => query(JOBS));
    assert.deepEqual(
      rows.map(({ job_id, command }) => [job_id, command]),
      [...targets].map(([kind, , summary]) => [kind, summary]).sort(),
    );
  });
});

test("a time zone that is none is refused before anything is opened", async (t) => {
  const env = { JOBMESH_STORE: "mysql://127.0.0.1:9/none" };
  const { code, stderr } = await new MeshProcesses(t).run(["migrate", "--adopt-time-zone", "Mars/Base"], { env });
  assert.equal(code, 1);
  assert.match(stderr, /JOBMESH_ADOPT_TIME_ZONE \(--adopt-time-zone\): must be an IANA time zone, such as UTC/);
});

test("a refused database is told in one line, with its table and column", async (t) => {
  const processes = new MeshProcesses(t);
  await withDatabase(backends.mysqlUrl, async (url) => {
    await makeOriginal(url);
    await withConnection(url, (query) => query("ALTER TABLE jobs DROP COLUMN timeout"));
    for (const command of ["migrate", "scheduler"]) {
      const { code, stderr } = await processes.run([command], { env: { JOBMESH_STORE: url } });
      assert.equal(code, 1);
      assert.match(
        stderr,
        /the table jobs is neither jobmesh's nor the original's: it has no column timeout; nothing was changed/,
      );
      assert.ok(!stderr.includes("    at "), stderr);
    }
  });
});
