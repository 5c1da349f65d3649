/** Real grpcurl shows what is wrong with a call: decoded field violations, reasons, codes; and nothing is stored. */
import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { Code } from "../../gen/google/rpc/code.ts";
import { type DecodedStatus, Grpcurl, type Json } from "../support/grpcurl.ts";
import { MeshProcesses } from "../support/mesh-process.ts";

const REPORT_MAIN = resolve(import.meta.dirname, "../../examples/report/main.ts");
const RENDER = "acme.report.v1.ReportService/Render";
const COMMAND = { command: { command: "true" } };
const UNKNOWN_ID = "01a207c4-29b6-7000-8000-000000000000";

const processes = new MeshProcesses({ after });
let grpcurl: Grpcurl;
let endedId: string;

before(async () => {
  const mesh = await processes.dev({ dataDir: processes.folder() });
  grpcurl = await Grpcurl.at(mesh.address);
  const env = { JOBMESH_SCHEDULER: mesh.address, JOBMESH_DATA_DIR: join(processes.folder(), "report") };
  const report = processes.start([], { program: [process.execPath, REPORT_MAIN], env });
  await report.printed(/a home took the executor/, { stream: "stderr" });
  await ok("JobService/CreateJob", { job: { job_id: "there", target: COMMAND } });
  const submitted = await ok("ExecutionService/SubmitExecution", { target: COMMAND, request_id: "taken" });
  endedId = String((submitted.execution as Json).executionId);
  await ok("ExecutionService/GetExecution", { execution_id: endedId, wait_until_ended: true });
});

async function ok(method: string, message: Json): Promise<Json> {
  const { exitCode, messages, stderr } = await grpcurl.call(`jobmesh.v1.${method}`, message);
  assert.equal(exitCode, 0, `${method}: ${stderr}`);
  return messages[0] ?? {};
}

/** What callers made, other than schedules: it does not change when calls fail. */
async function stored(): Promise<Json> {
  const filter = { namespace: "-", causes: ["CAUSE_SUBMIT", "CAUSE_RUN_JOB"] };
  const { counts = [] } = await ok("ExecutionService/CountExecutions", { filter });
  const { jobs } = (await ok("JobService/ListJobs", { namespace: "-" })) as { jobs: Json[] };
  return {
    counts,
    jobs: jobs.map(({ namespace, jobId, revision, paused }) => ({ namespace, jobId, revision, paused })),
  };
}

function detail(status: DecodedStatus, name: string): Json | undefined {
  return status.details.find((one) => one["@type"] === `type.googleapis.com/google.rpc.${name}`);
}

/** A status as every error of ours has it. */
async function failing(method: string, message: Json, code: Code, reason: string): Promise<DecodedStatus> {
  const { status, stdout, stderr } = await grpcurl.call(`jobmesh.v1.${method}`, message);
  assert.ok(status !== null, `${method} ${JSON.stringify(message)} did not fail: ${stdout}${stderr}`);
  assert.equal(status.code, code, `${method}: ${status.message}`);
  const info = detail(status, "ErrorInfo");
  assert.deepEqual([info?.domain, info?.reason], ["jobmesh", reason], status.message);
  assert.doesNotMatch(status.message, /undefined|\[object|\bNaN\b/);
  return status;
}

const job = (fields: Json): Json => ({ job: { job_id: "wrong", target: COMMAND, ...fields } });
const schedule = (fields: Json): Json => job({ schedule: { cron: "0 * * * *", ...fields } });
const policy = (fields: Json): Json => ({ target: COMMAND, policy: fields });
const handler = (fields: Json): Json => ({ target: { handler: { method: RENDER, ...fields } } });

type Case = readonly [method: string, message: Json, violations: Readonly<Record<string, RegExp>>];

const CREATE = "JobService/CreateJob";
const SUBMIT = "ExecutionService/SubmitExecution";

const INVALID: Readonly<Record<string, readonly Case[]>> = {
  "a cron expression, with the position at fault": [
    [CREATE, schedule({ cron: "0 61 * * *" }), { "job.schedule.cron": /position 2 in the hour field.*61.*0 to 23/ }],
    [CREATE, schedule({ cron: "0 0 * *" }), { "job.schedule.cron": /fields/ }],
    [CREATE, schedule({ cron: "0 0 * * *\n* * * *" }), { "job.schedule.cron": /./ }],
    [CREATE, schedule({ cron: "0 0 31 2 *" }), { "job.schedule.cron": /never/ }],
    [CREATE, schedule({ cron: "" }), { "job.schedule.cron": /./ }],
    ["JobService/PreviewSchedule", { schedule: { cron: "@often" } }, { "schedule.cron": /@often/ }],
  ],
  "an unknown zone": [[CREATE, schedule({ time_zone: "Mars/Base" }), { "job.schedule.time_zone": /Mars\/Base.*IANA/ }]],
  "a missing or empty schedule": [
    [CREATE, job({ schedule: {} }), { "job.schedule": /cron, interval or at/ }],
    ["JobService/PreviewSchedule", {}, { schedule: /required/ }],
  ],
  "negative and short durations": [
    [CREATE, job({ schedule: { interval: "-1s" } }), { "job.schedule.interval": /100 ms|0\.1/ }],
    [CREATE, job({ schedule: { interval: "0.05s" } }), { "job.schedule.interval": /100 ms|0\.1/ }],
    [CREATE, schedule({ jitter: "-5s" }), { "job.schedule.jitter": /./ }],
    [SUBMIT, policy({ timeout: "-1s" }), { "policy.timeout": /from 1 ms.*was -1000 ms/ }],
    [SUBMIT, policy({ timeout: "0s" }), { "policy.timeout": /from 1 ms/ }],
    [SUBMIT, policy({ start_deadline: "0s" }), { "policy.start_deadline": /from 1 ms/ }],
    [SUBMIT, policy({ retention: "59s" }), { "policy.retention": /from 60000 ms/ }],
    [SUBMIT, policy({ failed_retention: "-1s" }), { "policy.failed_retention": /from 60000 ms/ }],
    [SUBMIT, policy({ retry: { max_duration: "0s" } }), { "policy.retry.max_duration": /from 1 ms/ }],
    [SUBMIT, policy({ retry: { initial_interval: "-1s" } }), { "policy.retry.initial_interval": /from 0 ms/ }],
  ],
  "numbers out of range": [
    [SUBMIT, policy({ priority: 1001 }), { "policy.priority": /-1000 to 1000.*1001/ }],
    [SUBMIT, policy({ retry: { max_attempts: -1 } }), { "policy.retry.max_attempts": /1 to 1000/ }],
    [SUBMIT, policy({ retry: { multiplier: 0.5 } }), { "policy.retry.multiplier": /from 1/ }],
    [SUBMIT, policy({ retry: { jitter: 2 } }), { "policy.retry.jitter": /0 to 1/ }],
    ["JobService/ListJobs", { page_size: 1001 }, { page_size: /1 to 1000/ }],
    ["JobService/ListJobs", { page_token: "made up" }, { page_token: /next_page_token/ }],
    ["ExecutionService/ReadLogs", { execution_id: UNKNOWN_ID, attempt: -1 }, { attempt: /at least 0/ }],
    ["ExecutionService/ReadLogs", { execution_id: UNKNOWN_ID, tail_lines: 100_001 }, { tail_lines: /0 to 100000/ }],
  ],
  "bad identifiers": [
    [CREATE, job({ job_id: "no spaces" }), { "job.job_id": /1 to 64 of \[A-Za-z0-9._-\].*no spaces/ }],
    [CREATE, job({ namespace: "a/b" }), { "job.namespace": /1 to 64/ }],
    ["JobService/GetJob", { job_id: "x".repeat(65) }, { job_id: /1 to 64/ }],
    ["JobService/GetJob", {}, { job_id: /1 to 64/ }],
    ["ExecutionService/GetExecution", { execution_id: "7" }, { execution_id: /UUID/ }],
    ["ExecutionService/CancelExecution", {}, { execution_id: /UUID/ }],
    ["ExecutionService/ReadLogs", { execution_id: "nope" }, { execution_id: /UUID/ }],
  ],
  "values that are too long": [
    [CREATE, job({ name: "n".repeat(256) }), { "job.name": /at most 255 characters.*256/ }],
    [CREATE, job({ description: "d".repeat(4_097) }), { "job.description": /at most 4096 characters.*4097/ }],
    [CREATE, job({ labels: { ["k".repeat(64)]: "v" } }), { [`job.labels["${"k".repeat(64)}"]`]: /63/ }],
    [CREATE, job({ labels: { k: "v".repeat(64) } }), { 'job.labels["k"]': /63/ }],
    [SUBMIT, { target: COMMAND, request_id: "r".repeat(65) }, { request_id: /64/ }],
    [SUBMIT, { target: { command: { command: "x".repeat(65_536) } } }, { "target.command.command": /65535 bytes/ }],
    [
      SUBMIT,
      { target: { command: { command: "cat", stdin_text: "x".repeat(262_145) } } },
      { "target.command.stdin_text": /262144 bytes/ },
    ],
  ],
  "a missing or senseless target": [
    [CREATE, { job: { job_id: "wrong" } }, { "job.target": /a kind: command, handler, grpc or http/ }],
    [CREATE, {}, { job: /required/ }],
    [SUBMIT, {}, { target: /a kind: command, handler, grpc or http/ }],
    [SUBMIT, { target: { command: {} } }, { "target.command.command": /must not be empty/ }],
    [SUBMIT, { target: { command: { command: "a", env: { "1A": "x" } } } }, { 'target.command.env["1A"]': /name/ }],
    [
      SUBMIT,
      { target: { command: { command: "a", working_directory: "here" } } },
      { "target.command.working_directory": /absolute/ },
    ],
  ],
  "a template that cannot be filled in, and a secret where others see it": [
    [SUBMIT, { target: { command: { command: "a", args: ["{{no}}"] } } }, { "target.command.args[0]": /no template/ }],
    [
      SUBMIT,
      { target: { command: { command: "a", env: { A: "-{{parameters.b}}" } } }, parameters: { a: "" } },
      { 'target.command.env["A"]': /^{{parameters\.b}} at character 1 has no value/ },
    ],
    [
      SUBMIT,
      { target: { http: { url: `http://h/?a=\${secret:A}` } } },
      { "target.http.url": /env, headers and metadata/ },
    ],
    [CREATE, job({ parameters: { a: "v".repeat(4_097) } }), { 'job.parameters["a"]': /at most 4096 characters/ }],
    [
      SUBMIT,
      { target: { grpc: { address: "x:1", method: "a.B/C", tls: { ca_secret: "../ca" } } } },
      { "target.grpc.tls.ca_secret": /secret's name/ },
    ],
  ],
  "an HTTP request that cannot be sent": [
    [SUBMIT, { target: { http: {} } }, { "target.http.url": /absolute http or https URL/ }],
    [SUBMIT, { target: { http: { url: "http://u:p@h/" } } }, { "target.http.url": /user or password/ }],
    [SUBMIT, { target: { http: { url: "http://h", method: "get" } } }, { "target.http.method": /A-Z/ }],
    [
      CREATE,
      job({ target: { http: { url: "http://h", headers: { Host: "x" } } } }),
      { 'job.target.http.headers["Host"]': /of the connection/ },
    ],
  ],
  "an unknown handler, and JSON that does not fit": [
    [SUBMIT, { target: { handler: { method: "acme.None/Nothing" } } }, { "target.handler.method": /no executor/ }],
    [SUBMIT, { target: { handler: { method: "nonsense" } } }, { "target.handler.method": /package\.Service\/Method/ }],
    [SUBMIT, handler({ request_json: { titel: "x" } }), { "target.handler.request_json": /titel/ }],
    [SUBMIT, handler({ request_json: { title: 5 } }), { "target.handler.request_json": /title/ }],
    [SUBMIT, handler({ request_json: { rows: [{ amount: "many" }] } }), { "target.handler.request_json": /amount/ }],
    [SUBMIT, handler({ request_json: "text" }), { "target.handler.request_json": /./ }],
    [SUBMIT, handler({ request: Buffer.from([0x0a, 0x7f]).toString("base64") }), { "target.handler.request": /./ }],
  ],
  "a gRPC call that cannot be made": [
    [SUBMIT, { target: { grpc: { address: "x", method: "a.B/C" } } }, { "target.grpc.address": /HOST:PORT/ }],
    [
      SUBMIT,
      { target: { grpc: { address: "x:1", method: "C" } } },
      { "target.grpc.method": /package\.Service\/Method/ },
    ],
  ],
  "descriptors that are none": [
    ["MeshService/PutDescriptors", {}, { descriptor_set: /unary method/ }],
    ["MeshService/PutDescriptors", { descriptor_set: "/w==" }, { descriptor_set: /FileDescriptorSet/ }],
    ["MeshService/ListHandlers", { namespace: "a b", page_size: -1 }, { namespace: /1 to 64/, page_size: /1 to 1000/ }],
  ],
  "all faults of one call at once": [
    [
      CREATE,
      { job: { job_id: "?", target: { command: {} }, schedule: { cron: "x", time_zone: "y" } } },
      { "job.job_id": /./, "job.target.command.command": /./, "job.schedule.cron": /./, "job.schedule.time_zone": /./ },
    ],
  ],
};

/** Refused by name, so that nothing is accepted and ignored. */
const UNSUPPORTED: readonly Case[] = [
  [CREATE, schedule({ exclude_calendars: ["holidays"] }), { "job.schedule.exclude_calendars": /not supported/ }],
  [CREATE, schedule({ cron_dialect: "CRON_DIALECT_QUARTZ" }), { "job.schedule.cron_dialect": /not supported/ }],
  [SUBMIT, policy({ limit_keys: ["db"] }), { "policy.limit_keys": /not supported/ }],
  [
    SUBMIT,
    policy({ routing: { strategy: "ROUTING_STRATEGY_BROADCAST" } }),
    { "policy.routing.strategy": /not supported/ },
  ],
];

async function assertViolations([method, message, expected]: Case, reason: string): Promise<void> {
  const status = await failing(method, message, Code.INVALID_ARGUMENT, reason);
  const found = (detail(status, "BadRequest")?.fieldViolations ?? []) as { field: string; description: string }[];
  assert.deepEqual(found.map(({ field }) => field).sort(), Object.keys(expected).sort(), status.message);
  for (const { field, description } of found) {
    assert.match(description, expected[field] ?? /^$/);
    assert.ok(status.message.includes(field.slice(0, 100)), `the message names ${field} too: ${status.message}`);
  }
}

for (const [name, cases] of Object.entries(INVALID)) {
  test(`INVALID_ARGUMENT shows ${name}, and nothing is stored`, async () => {
    const before = await stored();
    for (const one of cases) await assertViolations(one, "INVALID_FIELD");
    assert.deepEqual(await stored(), before);
  });
}

test("what this version does not do yet is refused by the field's name, and nothing is stored", async () => {
  const before = await stored();
  for (const one of UNSUPPORTED) await assertViolations(one, "FIELD_NOT_SUPPORTED");
  assert.deepEqual(await stored(), before);
});

test("JSON that is no request never reaches the mesh; fields that nobody knows are named", async () => {
  const half = await grpcurl.callWithText(`jobmesh.v1.${CREATE}`, '{"job":{');
  assert.notEqual(half.exitCode, 0);
  const unknown = await grpcurl.call(`jobmesh.v1.${CREATE}`, { job: { job_name: "x" } });
  assert.match(unknown.stderr, /job_name/);
});

test("NOT_FOUND names what is not there", async () => {
  const before = await stored();
  const jobCalls = ["GetJob", "DeleteJob", "PauseJob", "ResumeJob", "RunJob"];
  for (const call of jobCalls) {
    const status = await failing(`JobService/${call}`, { job_id: "gone" }, Code.NOT_FOUND, "JOB_NOT_FOUND");
    assert.deepEqual(detail(status, "ErrorInfo")?.metadata, { namespace: "default", jobId: "gone" });
  }
  await failing("JobService/UpdateJob", { job: { job_id: "gone", target: COMMAND } }, Code.NOT_FOUND, "JOB_NOT_FOUND");
  await failing("JobService/GetJob", { namespace: "other", job_id: "there" }, Code.NOT_FOUND, "JOB_NOT_FOUND");
  for (const call of ["GetExecution", "CancelExecution", "ListAttempts", "ReadLogs"]) {
    const request = { execution_id: UNKNOWN_ID };
    await failing(`ExecutionService/${call}`, request, Code.NOT_FOUND, "EXECUTION_NOT_FOUND");
  }
  const attempt = { execution_id: endedId, attempt: 2 };
  await failing("ExecutionService/ReadLogs", attempt, Code.NOT_FOUND, "ATTEMPT_NOT_FOUND");
  assert.deepEqual(await stored(), before);
});

test("ALREADY_EXISTS: a job_id that is taken, a request_id that was another request", async () => {
  const before = await stored();
  await failing(CREATE, { job: { job_id: "there", target: COMMAND } }, Code.ALREADY_EXISTS, "JOB_EXISTS");
  const other = { target: { command: { command: "false" } }, request_id: "taken" };
  await failing(SUBMIT, other, Code.ALREADY_EXISTS, "REQUEST_ID_REUSED");
  assert.deepEqual(await stored(), before);
});

test("ABORTED: a revision that is not the stored one", async () => {
  const before = await stored();
  const update = { job: { job_id: "there", revision: 7, target: COMMAND } };
  await failing("JobService/UpdateJob", update, Code.ABORTED, "REVISION_MISMATCH");
  await failing("JobService/DeleteJob", { job_id: "there", revision: 7 }, Code.ABORTED, "REVISION_MISMATCH");
  assert.deepEqual(await stored(), before);
});

test("FAILED_PRECONDITION: an execution that ended otherwise cannot be cancelled", async () => {
  const request = { execution_id: endedId };
  await failing("ExecutionService/CancelExecution", request, Code.FAILED_PRECONDITION, "EXECUTION_ENDED");
});

test("a message that is too large is refused with its limit, and the mesh goes on", async () => {
  const target = { command: { command: "cat", stdin_text: "x".repeat(5 * 1024 * 1024) } };
  const { status, stderr } = await grpcurl.call(`jobmesh.v1.${SUBMIT}`, { target }, ["-max-msg-sz", "16777216"]);
  assert.equal(status?.code, Code.RESOURCE_EXHAUSTED, stderr);
  await ok("JobService/GetJob", { job_id: "there" });
});
