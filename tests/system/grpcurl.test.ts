/** Real grpcurl at the embedded mesh, by reflection alone: it lists, describes and calls every service. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ServerReflectionService as ReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection.ts";
import { RpcChannel } from "../../services/common/rpc/rpc-channel.ts";
import { SystemClock } from "../../services/common/runtime/system-clock.ts";
import { Grpcurl, type Json } from "../support/grpcurl.ts";
import { type DevMesh, MeshProcesses } from "../support/mesh-process.ts";

const SERVICES = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "jobmesh.v1.ExecutionService",
  "jobmesh.v1.ExecutorService",
  "jobmesh.v1.JobService",
  "jobmesh.v1.MeshService",
  "jobmesh.v1.PeerService",
];

/** What later versions bring: each answers by its name. */
const UNBUILT = [
  "JobService/BackfillJob",
  "JobService/ExplainJob",
  "ExecutionService/ExplainExecution",
  "ExecutionService/CancelExecutions",
  "ExecutionService/RetryExecutions",
  "MeshService/PutCalendar",
  "MeshService/ListCalendars",
  "MeshService/DeleteCalendar",
  "MeshService/PutLimit",
  "MeshService/ListLimits",
  "MeshService/DeleteLimit",
];

const processes = new MeshProcesses({ after });
let mesh: DevMesh;
let grpcurl: Grpcurl;

before(async () => {
  mesh = await processes.dev({ dataDir: processes.folder() });
  grpcurl = await Grpcurl.at(mesh.address);
});

/** The one answer of a call that must end well. */
async function ok(method: string, message: Json = {}): Promise<Json> {
  const { exitCode, messages, stderr } = await grpcurl.call(`jobmesh.v1.${method}`, message);
  assert.equal(exitCode, 0, `${method}: ${stderr}`);
  assert.equal(messages.length, 1);
  return messages[0] ?? {};
}

const COMMAND = { command: { command: "echo out; echo err >&2" } };

test("grpcurl lists every service and its methods", async () => {
  assert.deepEqual(await grpcurl.list(), SERVICES);
  const methods = (await Promise.all(SERVICES.map((service) => grpcurl.list(service)))).flat();
  assert.ok(methods.includes("jobmesh.v1.JobService.CreateJob"), methods.join("\n"));
  assert.ok(methods.length > 40);
});

test("grpcurl describes every service, every method and every message that they name", async () => {
  const messages = new Set<string>();
  for (const service of SERVICES) {
    const described = await grpcurl.describe(service);
    assert.match(described, new RegExp(`^${service} is a service:`));
    for (const method of await grpcurl.list(service)) {
      assert.match(await grpcurl.describe(method), new RegExp(`^${method} is a method:`));
    }
    for (const [, name = ""] of described.matchAll(/\( (?:stream )?\.(\S+) \)/g)) messages.add(name);
  }
  for (const name of messages) assert.match(await grpcurl.describe(name), new RegExp(`^${name} is a message:`));
  for (const name of ["google.rpc.BadRequest", "google.rpc.ErrorInfo", "google.rpc.RetryInfo"])
    assert.match(await grpcurl.describe(name), new RegExp(`^${name} is a message:`));
  assert.match(await grpcurl.describe("jobmesh.v1.JobService"), /CreateJob stores a job|rpc CreateJob/);
});

test("reflection v1alpha, which older clients ask, answers the same", async (t) => {
  const channel = new RpcChannel({ clock: new SystemClock() }, { target: mesh.address });
  t.after(() => channel.close());
  const stream = channel.bidi(ReflectionV1Alpha.serverReflectionInfo);
  const answers: (typeof ReflectionV1Alpha.serverReflectionInfo extends { responseDeserialize: (b: Buffer) => infer R }
    ? R
    : never)[] = [];
  const over = new Promise<void>((resolve) => stream.onClosed(() => resolve()));
  stream.onMessage((answer) => {
    answers.push(answer);
    if (answers.length === 2) stream.end();
  });
  stream.send({ host: "", messageRequest: { $case: "listServices", value: "" } });
  stream.send({ host: "", messageRequest: { $case: "fileContainingSymbol", value: "jobmesh.v1.JobService" } });
  await over;
  const [list, file] = answers.map(({ messageResponse }) => messageResponse);
  assert.deepEqual(
    list?.$case === "listServicesResponse" ? list.value.service.map(({ name }) => name).sort() : list,
    SERVICES,
  );
  assert.equal(file?.$case, "fileDescriptorResponse");
});

test("health answers Check, List and Watch", async () => {
  const check = await grpcurl.call("grpc.health.v1.Health/Check");
  assert.deepEqual(check.messages, [{ status: "SERVING" }]);
  const one = await grpcurl.call("grpc.health.v1.Health/Check", { service: "jobmesh.v1.JobService" });
  assert.deepEqual(one.messages, [{ status: "SERVING" }]);
  const unknown = await grpcurl.call("grpc.health.v1.Health/Check", { service: "jobmesh.v1.NoService" });
  assert.equal(unknown.status?.code, 5);
  const list = await grpcurl.call("grpc.health.v1.Health/List");
  assert.ok("jobmesh.v1.JobService" in ((list.messages[0]?.statuses ?? {}) as Json), list.stdout);
  const watch = await grpcurl.call("grpc.health.v1.Health/Watch", {}, ["-max-time", "1"]);
  assert.deepEqual(watch.messages, [{ status: "SERVING" }]);
  assert.equal(watch.status?.code, 4, "a watch goes on until its caller ends it");
});

test("a job's life: create, get, list, update, pause, resume, run, delete, and a preview of its schedule", async () => {
  const request = {
    job: {
      job_id: "nightly",
      labels: { team: "curl" },
      target: COMMAND,
      schedule: { cron: "30 2 * * *", time_zone: "Europe/Berlin" },
      policy: { priority: 5, timeout: "30s", retry: { max_attempts: 3, initial_interval: "0.1s" } },
    },
    request_id: "create-nightly",
  };
  const { job } = (await ok("JobService/CreateJob", request)) as { job: Json };
  assert.equal(job.revision, "1");
  assert.match(String(job.nextFireTime), /T0[01]:30:00Z$/);
  assert.deepEqual(await ok("JobService/CreateJob", request), { job }, "one request_id, one job");
  assert.deepEqual(await ok("JobService/GetJob", { job_id: "nightly" }), { job });
  const { jobs } = (await ok("JobService/ListJobs", { labels: { team: "curl" } })) as { jobs: Json[] };
  assert.deepEqual(jobs, [job]);

  const updated = await ok("JobService/UpdateJob", {
    job: { job_id: "nightly", revision: 1, description: "by curl" },
    update_mask: { paths: ["description"] },
  });
  assert.deepEqual([(updated.job as Json).description, (updated.job as Json).revision], ["by curl", "2"]);
  const paused = await ok("JobService/PauseJob", { job_id: "nightly", reason: "a holiday" });
  assert.deepEqual([(paused.job as Json).paused, (paused.job as Json).pauseReason], [true, "a holiday"]);
  const resumed = await ok("JobService/ResumeJob", { job_id: "nightly" });
  assert.deepEqual([(resumed.job as Json).paused, (resumed.job as Json).pauseReason], [undefined, undefined]);

  const run = (await ok("JobService/RunJob", { job_id: "nightly" })) as { execution: Json };
  const waited = { execution_id: run.execution.executionId, wait_until_ended: true };
  const { execution } = (await ok("ExecutionService/GetExecution", waited)) as { execution: Json };
  assert.deepEqual(
    [execution.state, execution.jobId, execution.cause],
    ["EXECUTION_STATE_SUCCEEDED", "nightly", "CAUSE_RUN_JOB"],
  );
  const preview = await ok("JobService/PreviewSchedule", {
    schedule: { cron: "0 12 * * MON", time_zone: "America/New_York" },
    after_time: "2026-03-01T00:00:00Z",
    count: 2,
  });
  assert.deepEqual(preview.fireTimes, ["2026-03-02T17:00:00Z", "2026-03-09T16:00:00Z"]);
  assert.match(String(preview.description), /Monday/);
  assert.deepEqual(await ok("JobService/DeleteJob", { job_id: "nightly" }), {});
  assert.equal((await grpcurl.call("jobmesh.v1.JobService/GetJob", { job_id: "nightly" })).status?.code, 5);
});

test("an execution's life: submit, wait, list, count, attempts, logs and cancel", async () => {
  const namespace = "curl";
  const submitted = (await ok("ExecutionService/SubmitExecution", {
    namespace,
    target: COMMAND,
    name: "two lines",
  })) as {
    execution: Json;
  };
  const execution_id = submitted.execution.executionId;
  const ended = await ok("ExecutionService/GetExecution", { execution_id, wait_until_ended: true });
  assert.equal((ended.execution as Json).state, "EXECUTION_STATE_SUCCEEDED");
  const { execution: again } = await ok("ExecutionService/RetryExecution", { execution_id });
  assert.equal((again as Json).retryOfExecutionId, execution_id);
  const retried = { execution_id: (again as Json).executionId, wait_until_ended: true };
  await ok("ExecutionService/GetExecution", retried);
  const listed = await ok("ExecutionService/ListExecutions", { filter: { namespace, causes: ["CAUSE_SUBMIT"] } });
  assert.deepEqual(
    (listed.executions as Json[]).map(({ executionId }) => executionId),
    [execution_id],
  );
  const { attempts } = (await ok("ExecutionService/ListAttempts", { execution_id })) as { attempts: Json[] };
  assert.deepEqual(
    attempts.map(({ attempt, exitCode, output, errorOutput }) => [attempt, exitCode, output, errorOutput]),
    [[1, 0, "out\n", "err\n"]],
  );
  const logs = await grpcurl.call("jobmesh.v1.ExecutionService/ReadLogs", { execution_id });
  const pieces = logs.messages.map(({ stream, text }) => `${stream} ${text}`).sort();
  assert.deepEqual(pieces, ["LOG_STREAM_STDERR err\n", "LOG_STREAM_STDOUT out\n"]);

  const slow = await ok("ExecutionService/SubmitExecution", {
    namespace,
    target: { command: { command: "sleep 60" } },
  });
  const { executionId } = slow.execution as Json;
  const cancelled = { execution_id: executionId, reason: "enough" };
  await ok("ExecutionService/CancelExecution", cancelled);
  const stopped = await ok("ExecutionService/GetExecution", { execution_id: executionId, wait_until_ended: true });
  assert.equal((stopped.execution as Json).state, "EXECUTION_STATE_CANCELLED");
  await ok("ExecutionService/CancelExecution", cancelled);
  const { counts } = await ok("ExecutionService/CountExecutions", { filter: { namespace, causes: ["CAUSE_SUBMIT"] } });
  assert.deepEqual(counts, [
    { state: "EXECUTION_STATE_SUCCEEDED", count: "1" },
    { state: "EXECUTION_STATE_CANCELLED", count: "1" },
  ]);
});

test("logs of a running command stream while it runs", async () => {
  const target = { command: { command: "for i in 1 2 3; do echo line $i; sleep 0.1; done" } };
  const { execution } = (await ok("ExecutionService/SubmitExecution", { target })) as { execution: Json };
  const followed = { execution_id: execution.executionId, follow: true };
  const { exitCode, messages } = await grpcurl.call("jobmesh.v1.ExecutionService/ReadLogs", followed);
  assert.equal(exitCode, 0);
  assert.equal(messages.map(({ text }) => text).join(""), "line 1\nline 2\nline 3\n");
  assert.deepEqual(
    messages.map(({ sequence }) => Number(sequence)),
    messages.map((_, index) => index + 1),
  );
});

test("a stream of submissions answers each by its sequence, errors among them", async () => {
  await ok("JobService/CreateJob", { job: { job_id: "streamed", target: COMMAND } });
  const { exitCode, messages, stderr } = await grpcurl.call("jobmesh.v1.ExecutionService/SubmitExecutions", [
    { sequence: 1, submission: { target: COMMAND, request_id: "stream-1" } },
    { sequence: 2, submission: { target: { command: {} } } },
    { sequence: 3, run: { job_id: "streamed" } },
    { sequence: 4, submission: { target: COMMAND, request_id: "stream-1" } },
    { sequence: 5 },
  ]);
  assert.equal(exitCode, 0, stderr);
  const answers = new Map(messages.map((answer) => [Number(answer.sequence), answer]));
  assert.deepEqual([...answers.keys()].sort(), [1, 2, 3, 4, 5]);
  assert.ok(answers.get(1)?.executionId);
  assert.equal(answers.get(4)?.executionId, answers.get(1)?.executionId, "one request_id, one execution");
  assert.ok(answers.get(3)?.executionId);
  for (const [sequence, field] of [
    [2, "target.command.command"],
    [5, "kind"],
  ] as const) {
    const error = answers.get(sequence)?.error as Json;
    assert.equal(error.code, 3);
    assert.match(JSON.stringify(error.details), new RegExp(`"reason":"INVALID_FIELD".*"field":"${field}"`));
  }
});

test("the mesh shows its executors, schedulers and status", async () => {
  const { executors } = (await ok("MeshService/ListExecutors")) as { executors: Json[] };
  assert.deepEqual(
    executors.map(({ executorId, state, slots, capabilities }) => ({ executorId, state, slots, capabilities })),
    [{ executorId: "embedded", state: "EXECUTOR_STATE_ACTIVE", slots: 16, capabilities: ["command", "grpc", "http"] }],
  );
  const { schedulers } = (await ok("MeshService/ListSchedulers")) as { schedulers: Json[] };
  assert.deepEqual(
    schedulers.map(({ address, shardCount, sessionCount }) => ({ address, shardCount, sessionCount })),
    [{ address: mesh.address, shardCount: 256, sessionCount: 1 }],
  );
  const status = await ok("MeshService/GetMeshStatus");
  assert.equal(status.slotCount, "16");
  assert.deepEqual(
    (status.backends as Json[]).map(({ role, kind, healthy }) => [role, kind, healthy]),
    [
      ["store", "sqlite", true],
      ["bus", "session", true],
      ["registry", "memory", true],
    ],
  );
});

test("what later versions bring answers UNIMPLEMENTED, by its name", async () => {
  for (const method of UNBUILT) {
    const { status, stderr } = await grpcurl.call(`jobmesh.v1.${method}`);
    assert.equal(status?.code, 12, `${method}: ${stderr}`);
    const [info] = status.details;
    assert.deepEqual(
      { ...info },
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        domain: "jobmesh",
        reason: "NOT_IMPLEMENTED",
        metadata: { method: `jobmesh.v1.${method}` },
      },
    );
    assert.match(status.message, new RegExp(method));
  }
});
