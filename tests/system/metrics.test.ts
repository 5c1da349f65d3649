/** What a scraper sees is what was done: by the counters of real processes, against the answers of the API. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Execution, ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import {
  CancelExecutionRequest,
  ListAttemptsRequest,
  ListExecutionsRequest,
} from "../../gen/jobmesh/v1/execution_service.ts";
import { ExecutionPolicy, Job } from "../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest, DeleteJobRequest, RunJobRequest } from "../../gen/jobmesh/v1/job_service.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { command } from "../../services/client/targets.ts";
import { METRICS } from "../../services/common/telemetry/metric-names.ts";
import { MeshProcesses } from "../support/mesh-process.ts";
import { scrape } from "../support/scrape.ts";

const TWO_ATTEMPTS = ExecutionPolicy.fromPartial({
  retry: { maxAttempts: 2, initialInterval: { seconds: 0n, nanos: 10_000_000 } },
});
const RETRIED = command('[ "$JOBMESH_ATTEMPT" = 2 ]');

test("the counters of an embedded mesh are what was done, and every declared metric is shown", async (t) => {
  const processes = new MeshProcesses(t);
  const mesh = await processes.dev({ dataDir: processes.folder() });
  const client = processes.client(mesh.address);
  await mesh.printed(/SUCCEEDED example-hello/);
  await mesh.printed(/SUCCEEDED example-disk/);
  await client.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "example-disk" }));
  await work(client);
  await mesh.printed(/SUCCEEDED tick[\s\S]*SUCCEEDED tick/);

  const done = await executionsOf(client);
  const attempts = (await Promise.all(done.map((one) => attemptsOf(client, one)))).flat();
  // Counts of the store are asked for by one scrape and shown by the next one.
  await scrape(mesh.httpAddress);
  const seen = await scrape(mesh.httpAddress);
  const succeeded = done.filter(({ state }) => state === ExecutionState.EXECUTION_STATE_SUCCEEDED).length;
  assert.equal(seen.value('jobmesh_submissions_total{source="submit"}'), 6);
  assert.equal(seen.value('jobmesh_submissions_total{source="run"}'), 1);
  assert.equal(seen.value('jobmesh_submissions_total{source="schedule"}'), done.length - 7);
  assert.equal(seen.value('jobmesh_fires_total{outcome="stored"}'), done.length - 7);
  assert.equal(seen.value('jobmesh_executions_ended_total{state="SUCCEEDED"}'), succeeded);
  assert.equal(seen.value('jobmesh_executions_ended_total{state="FAILED"}'), 1);
  assert.equal(seen.value('jobmesh_executions_ended_total{state="CANCELLED"}'), 1);
  assert.equal(seen.sum("jobmesh_executions_ended_total"), done.length);
  assert.equal(seen.value('jobmesh_attempts_ended_total{state="FAILED"}'), 2);
  assert.equal(seen.sum("jobmesh_attempts_ended_total"), attempts.length);
  assert.equal(seen.sum("jobmesh_dispatches_total"), attempts.length);
  assert.equal(seen.value('jobmesh_results_total{outcome="stored"}'), attempts.length);
  assert.equal(seen.value('jobmesh_executor_received_total{way="session"}'), attempts.length);
  assert.equal(seen.value('jobmesh_executor_run_seconds_count{target="command"}'), attempts.length);
  assert.equal(seen.value("jobmesh_executor_wait_seconds_count"), attempts.length);
  assert.equal(
    seen.value('jobmesh_rpc_calls_total{method="jobmesh.v1.ExecutionService/SubmitExecution",code="OK"}'),
    6,
  );
  assert.equal(seen.value("jobmesh_sessions"), 1);
  assert.equal(seen.value('jobmesh_slots{use="free"}'), seen.value("jobmesh_executor_slots"));
  for (const backend of ["store", "bus", "registry"]) {
    assert.equal(seen.value(`jobmesh_backend_up{backend="${backend}"}`), 1, backend);
  }
  const missing = Object.keys(METRICS).filter((name) => !seen.names.has(name));
  // An embedded mesh has no Kafka, and writes no execution.v1.
  assert.deepEqual(missing, ["jobmesh_events_behind_seconds"], "a declared metric is emitted");
});

test("an executor shows its metrics, lives from its start, and is ready while a scheduler has it", async (t) => {
  const processes = new MeshProcesses(t);
  const mesh = await processes.dev({ dataDir: processes.folder(), env: { JOBMESH_ALLOW_COMMANDS: "false" } });
  const client = processes.client(mesh.address);
  const executor = processes.start(["executor", "--allow-commands", "--http-listen", "127.0.0.1:0"], {
    env: { JOBMESH_SCHEDULER: mesh.address, JOBMESH_EXECUTOR_ID: "away", JOBMESH_SLOTS: "3" },
  });
  const [, address = ""] = await executor.printed(/"httpAddress":"([^"]+)"/, { stream: "stderr" });
  assert.equal((await fetch(`http://${address}/healthz`)).status, 200);
  await executor.printed(/"a home took the executor"/, { stream: "stderr" });
  assert.deepEqual(await readiness(address), { ready: true, checks: { home: true } });

  await mesh.printed(/SUCCEEDED example-hello/);
  const execution = await client.submit({ target: RETRIED, policy: TWO_ATTEMPTS });
  await client.waitUntilEnded(execution.executionId);
  const seen = await scrape(address);
  assert.ok(seen.value('jobmesh_executor_received_total{way="session"}') >= 3);
  assert.equal(seen.value("jobmesh_executor_slots"), 3);
  assert.equal(seen.value("jobmesh_executor_homed"), 1);
  assert.ok(seen.names.has("process_resident_memory_bytes"));

  await mesh.end("SIGINT");
  await executor.printed(/"the session ended; going to another home"|"no home is found; still trying"/, {
    stream: "stderr",
  });
  assert.deepEqual(await readiness(address), { ready: false, checks: { home: false } });
  assert.equal((await fetch(`http://${address}/healthz`)).status, 200);
});

/** Six submissions, one by RunJob, and two fires. */
async function work(client: MeshClient): Promise<void> {
  const later = new Date(Date.now() + 3_600_000);
  const plain = [0, 1, 2].map(() => client.submit({ target: command("true") }));
  const others = [
    client.submit({ target: command("exit 3") }),
    client.submit({ target: RETRIED, policy: TWO_ATTEMPTS }),
  ];
  const waiting = await client.submit({ target: command("true"), scheduledTime: timestampOf(later) });
  await client.executions.cancelExecution(CancelExecutionRequest.fromPartial({ executionId: waiting.executionId }));
  const submitted = await Promise.all([...plain, ...others]);
  const interval = { $case: "interval", value: { seconds: 1n, nanos: 0 } } as const;
  const tick = Job.fromPartial({ jobId: "tick", target: command("true"), schedule: { when: interval, maxFires: 2 } });
  await client.jobs.createJob(CreateJobRequest.fromPartial({ job: tick }));
  const byHand = Job.fromPartial({ jobId: "by-hand", target: command("true") });
  await client.jobs.createJob(CreateJobRequest.fromPartial({ job: byHand }));
  const { execution } = await client.jobs.runJob(RunJobRequest.fromPartial({ jobId: "by-hand" }));
  for (const one of [...submitted, execution]) await client.waitUntilEnded(one?.executionId ?? "");
}

async function executionsOf(client: MeshClient): Promise<readonly Execution[]> {
  return (await client.executions.listExecutions(ListExecutionsRequest.fromPartial({}))).executions;
}

async function attemptsOf(client: MeshClient, { executionId }: Execution) {
  return (await client.executions.listAttempts(ListAttemptsRequest.fromPartial({ executionId }))).attempts;
}

async function readiness(httpAddress: string): Promise<unknown> {
  return (await fetch(`http://${httpAddress}/readyz`)).json();
}

function timestampOf(date: Date) {
  return { seconds: BigInt(Math.floor(date.getTime() / 1000)), nanos: 0 };
}
