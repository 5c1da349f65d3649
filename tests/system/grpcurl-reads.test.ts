/** Real grpcurl reads logs over retries, checks jobs, puts descriptors, and sees results and why work waits. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Grpcurl, type Json } from "../support/grpcurl.ts";
import { type DevMesh, MeshProcesses } from "../support/mesh-process.ts";
import { startReport } from "../support/report-example.ts";

const RENDER = "acme.report.v1.ReportService/Render";
const DESCRIPTORS = readFileSync(new URL("../../examples/report/gen/descriptors.binpb", import.meta.url));
const COMMAND = { command: { command: "true" } };

const processes = new MeshProcesses({ after });
let mesh: DevMesh;
let grpcurl: Grpcurl;

before(async () => {
  mesh = await processes.dev({ dataDir: processes.folder() });
  grpcurl = await Grpcurl.at(mesh.address);
});

/** The answers of a call that must end well. */
async function all(method: string, message: Json = {}): Promise<readonly Json[]> {
  const { exitCode, messages, stderr } = await grpcurl.call(`jobmesh.v1.${method}`, message);
  assert.equal(exitCode, 0, `${method}: ${stderr}`);
  return messages;
}

async function ok<T = Json>(method: string, message: Json = {}): Promise<T> {
  const [answer, ...more] = await all(method, message);
  assert.equal(more.length, 0);
  return (answer ?? {}) as T;
}

type Executed = { readonly execution: Json };

test("ReadLogs goes on over retries, resumes after a piece, and shows the last lines", async () => {
  const line = 'echo "one $JOBMESH_ATTEMPT"; echo two; [ "$JOBMESH_ATTEMPT" = 3 ]';
  const { execution } = await ok<Executed>("ExecutionService/SubmitExecution", {
    target: { command: { command: line } },
    policy: { retry: { max_attempts: 3, initial_interval: "0.1s" } },
  });
  const execution_id = execution.executionId;
  await all("ExecutionService/ReadLogs", { execution_id, until_ended: true });
  const texts = async (request: Json): Promise<string[]> => {
    const pieces = await all("ExecutionService/ReadLogs", { execution_id, ...request });
    return [...new Set(pieces.map(({ attempt }) => attempt))].map((attempt) => {
      const own = pieces.filter((piece) => piece.attempt === attempt);
      return `${attempt} ${own.map(({ text }) => text).join("")}`;
    });
  };
  const whole = ["1 one 1\ntwo\n", "2 one 2\ntwo\n", "3 one 3\ntwo\n"];
  assert.deepEqual(await texts({ attempt: 1, until_ended: true }), whole);
  assert.deepEqual(await texts({}), whole.slice(2), "the last attempt where none is named");
  const pieces = await all("ExecutionService/ReadLogs", { execution_id, attempt: 1 });
  const after_sequence = pieces.at(-1)?.sequence;
  assert.deepEqual(await texts({ attempt: 1, until_ended: true, after_sequence }), whole.slice(1));
  assert.deepEqual(await texts({ tail_lines: 1 }), ["3 two\n"]);
  assert.deepEqual(await texts({ attempt: 1, until_ended: true, tail_lines: 3 }), ["2 two\n", "3 one 3\ntwo\n"]);
  assert.deepEqual(await texts({ streams: ["LOG_STREAM_STDERR"] }), []);
});

test("CreateJob and UpdateJob are checked without being done, and UpdateJob creates what is missing", async () => {
  const job = { job_id: "checked", target: COMMAND, schedule: { interval: "3600s" } };
  const create = { job, request_id: "check-1", validate_only: true };
  const checked = await ok<{ job: Json }>("JobService/CreateJob", create);
  assert.deepEqual([checked.job.jobId, checked.job.revision], ["checked", "1"]);
  assert.ok(checked.job.nextFireTime);
  const missing = await grpcurl.call("jobmesh.v1.JobService/GetJob", { job_id: "checked" });
  assert.equal(missing.status?.code, 5);
  const update = { job: { ...job, description: "made by an update" }, allow_missing: true };
  await ok("JobService/UpdateJob", { ...update, validate_only: true });
  assert.equal((await grpcurl.call("jobmesh.v1.JobService/GetJob", { job_id: "checked" })).status?.code, 5);
  const made = await ok<{ job: Json }>("JobService/UpdateJob", update);
  assert.deepEqual([made.job.revision, made.job.description], ["1", "made by an update"]);
  assert.deepEqual(await ok("JobService/UpdateJob", update), made, "what changes nothing changes nothing");
  const paths = { update_mask: { paths: ["name"] }, validate_only: true };
  const renamed = await ok<{ job: Json }>("JobService/UpdateJob", { job: { job_id: "checked", name: "n" }, ...paths });
  assert.deepEqual([renamed.job.revision, renamed.job.name], ["2", "n"]);
  assert.deepEqual(await ok("JobService/GetJob", { job_id: "checked" }), made);
  await ok("JobService/DeleteJob", { job_id: "checked" });
});

test("descriptors that are put check requests before any executor runs them; the result is JSON by them", async (t) => {
  const put = await ok("MeshService/PutDescriptors", { descriptor_set: DESCRIPTORS.toString("base64") });
  assert.deepEqual(put, { methods: [RENDER] });
  const handler = { method: RENDER, request_json: { title: "T", rows: [{ name: "a", amount: "9007199254740993" }] } };
  const { execution } = await ok<Executed>("ExecutionService/SubmitExecution", { target: { handler } });
  const execution_id = execution.executionId;
  const [listed] = (await ok<{ handlers: Json[] }>("MeshService/ListHandlers")).handlers;
  assert.deepEqual(
    { ...listed, updateTime: undefined },
    {
      method: RENDER,
      requestType: "acme.report.v1.RenderRequest",
      responseType: "acme.report.v1.RenderResponse",
      updateTime: undefined,
    },
  );
  const filter = { reasons: ["STATE_REASON_NO_MATCHING_EXECUTOR"] };
  const waiting = await ok<{ executions: Json[] }>("ExecutionService/ListExecutions", { filter });
  assert.deepEqual(
    waiting.executions.map(({ executionId, stateReason, stateMessage }) => [executionId, stateReason, stateMessage]),
    [[execution_id, "STATE_REASON_NO_MATCHING_EXECUTOR", `no registered executor runs ${RENDER} of namespace default`]],
  );
  const counted = await ok("ExecutionService/CountExecutions", { filter });
  assert.deepEqual(counted, { counts: [{ state: "EXECUTION_STATE_READY", count: "1" }] });
  const { address } = mesh;
  const env = { JOBMESH_SCHEDULER: address };
  await startReport({ t, processes, client: processes.client(address), address, grpcurl: "", env }, "reports-1");
  const { execution: ended } = await ok<Executed>("ExecutionService/GetExecution", {
    execution_id,
    wait_until_ended: true,
  });
  assert.deepEqual(ended.resultJson, {
    text: "T\na: 9007199254740993\nsum: 9007199254740993",
    sum: "9007199254740993",
  });
  const basic = { execution_id, view: "EXECUTION_VIEW_BASIC" };
  assert.equal((await ok<Executed>("ExecutionService/GetExecution", basic)).execution.resultJson, undefined);
  const { handlers } = await ok<{ handlers: Json[] }>("MeshService/ListHandlers", { page_size: 1 });
  assert.deepEqual(handlers[0]?.executorIds, ["reports-1"]);
  assert.equal((await ok("ExecutionService/ListExecutions", { filter })).executions, undefined);
});

test("WatchExecutions shows one to its end, and what ended since a list's token; a token that is none is refused", async () => {
  const { resumeToken } = await ok<{ resumeToken: string }>("ExecutionService/ListExecutions", { page_size: 1 });
  const { execution } = await ok<Executed>("ExecutionService/SubmitExecution", { target: COMMAND });
  const execution_id = execution.executionId;
  const changes = await all("ExecutionService/WatchExecutions", { execution_id });
  const last = changes.at(-1)?.execution as Json;
  assert.deepEqual([last.executionId, last.state], [execution_id, "EXECUTION_STATE_SUCCEEDED"]);
  const flags = ["-max-time", "3"];
  const filter = { states: ["EXECUTION_STATE_SUCCEEDED"] };
  const watch = "jobmesh.v1.ExecutionService/WatchExecutions";
  const since = await grpcurl.call(watch, { resume_token: resumeToken, filter }, flags);
  assert.equal(since.status?.code, 4, "it goes on until its caller goes");
  assert.ok(since.messages.some((message) => (message.execution as Json).executionId === execution_id));
  const bad = await grpcurl.call(watch, { resume_token: "none" });
  assert.equal(bad.status?.code, 3, bad.stderr);
});
