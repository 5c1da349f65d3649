/** gRPC targets through a whole embedded mesh: by the client, by `jobmesh call`, and a handler without descriptors beside them. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  RenderRequest,
  RenderResponse,
  ReportServiceService,
} from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { ExecutionState, StateReason } from "../../gen/jobmesh/v1/execution.ts";
import { CancelExecutionRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { ExecutionPolicy } from "../../gen/jobmesh/v1/job.ts";
import { ListJobsResponse } from "../../gen/jobmesh/v1/job_service.ts";
import { ListExecutorsRequest } from "../../gen/jobmesh/v1/mesh_service.ts";
import { grpc, grpcJson, handler } from "../../services/client/targets.ts";
import { silentLogger } from "../../services/common/runtime/log.ts";
import { createExecutor } from "../../services/executor/index.ts";
import { MeshProcesses, type Outcome } from "../support/mesh-process.ts";
import { RENDER, startServer } from "../unit/executor-grpc/setup.ts";

async function setup(t: TestContext, args: readonly string[] = []) {
  const processes = new MeshProcesses(t);
  const mesh = await processes.dev({ dataDir: processes.folder(), args });
  const env = { JOBMESH_SCHEDULER: mesh.address };
  const call = (...words: string[]): Promise<Outcome> => processes.run(["call", "--", ...words], { env });
  return { processes, mesh, call, client: processes.client(mesh.address) };
}

const request = { title: "March", rows: [{ name: "orders", amount: 7n }] };

test("a call by the client, in bytes and in JSON, gives the server's answer as the result", async (t) => {
  const { client } = await setup(t);
  const server = await startServer(t, { reflection: ["v1"] });
  const targets = [
    grpc(server.address, ReportServiceService.render, request, { metadata: { team: "data" } }),
    grpcJson(`dns:///${server.address}`, RENDER, RenderRequest.toJSON(RenderRequest.fromPartial(request))),
  ];
  for (const target of targets) {
    const { executionId } = await client.submit({ target });
    const { state, result } = await client.waitUntilEnded(executionId);
    assert.equal(state, ExecutionState.EXECUTION_STATE_SUCCEEDED);
    assert.equal(RenderResponse.decode(result).text, "March: 1");
    const metadata = server.calls.at(-1)?.metadata.getMap();
    assert.equal(metadata?.["jobmesh-execution-id"], executionId);
    assert.match(String(metadata?.traceparent), /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
  }
  assert.equal(server.calls[0]?.metadata.getMap().team, "data");
});

test("what may go away is tried again, and what no try mends is not", async (t) => {
  const { client } = await setup(t);
  let code = 14;
  const server = await startServer(t, {
    render: (_call, answer) =>
      code === 0 ? answer(null, { text: "", sum: 0n }) : answer({ code, details: "not now" }),
  });
  const retry = { maxAttempts: 3, initialInterval: { seconds: 0n, nanos: 10_000_000 } };
  const policy = ExecutionPolicy.fromPartial({ retry });
  const target = grpc(server.address, ReportServiceService.render, request);
  const run = async () => client.waitUntilEnded((await client.submit({ target, policy })).executionId);
  assert.deepEqual([(await run()).state, server.calls.length], [ExecutionState.EXECUTION_STATE_FAILED, 3]);
  code = 5;
  assert.deepEqual([(await run()).state, server.calls.length], [ExecutionState.EXECUTION_STATE_FAILED, 4]);
  code = 0;
  assert.deepEqual([(await run()).state, server.calls.length], [ExecutionState.EXECUTION_STATE_SUCCEEDED, 5]);
  const attempts = server.calls.map(({ metadata }) => Number(metadata.getMap()["jobmesh-attempt"]));
  assert.deepEqual(attempts, [1, 2, 3, 1, 1]);
});

test("a cancel ends a call that runs, and the server hears of it", { timeout: 60_000 }, async (t) => {
  const { client } = await setup(t);
  const server = await startServer(t, { render: () => {} });
  const called = server.next();
  const { executionId } = await client.submit({ target: grpc(server.address, ReportServiceService.render, request) });
  const { cancelled } = await called;
  await client.executions.cancelExecution(CancelExecutionRequest.fromPartial({ executionId, reason: "not needed" }));
  const { state, stateMessage } = await client.waitUntilEnded(executionId);
  assert.deepEqual([state, stateMessage], [ExecutionState.EXECUTION_STATE_CANCELLED, "not needed"]);
  await cancelled;
});

test("call shows the answer and exits with 0; the mesh itself is found by its name", async (t) => {
  const { call } = await setup(t);
  const outcome = await call("etcd:///scheduler", "jobmesh.v1.JobService/ListJobs", '{"page_size": 1}');
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stderr, /^jobmesh: execution [0-9a-f-]{36}\n$/);
  const { jobs } = ListJobsResponse.decode(Buffer.from(outcome.stdout, "base64"));
  assert.equal(jobs.length, 1);
});

test("call says how a call failed, and exits with 1", async (t) => {
  const { call } = await setup(t);
  const missing = await call("etcd:///scheduler", "jobmesh.v1.JobService/GetJob", '{"job_id": "none"}');
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /\njobmesh: FAILED: grpc:NOT_FOUND: .*none/);
  const nobody = await call("etcd:///billing", "acme.B/Do");
  assert.match(nobody.stderr, /\njobmesh: FAILED: grpc:UNAVAILABLE: .*etcd:\/\/\/billing/);
  for (const words of [[], ["a:1"], ["a:1", "a.B/Do", "{}", "more"], ["a:1", "a.B/Do", "{"], ["a", "a.B/Do"]]) {
    const refused = await call(...words);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^jobmesh: .+\n$/);
    assert.equal(refused.stdout, "");
  }
});

test("an executor that may make no calls makes none: the call waits, and says for what", async (t) => {
  const { client } = await setup(t, ["--allow-grpc=false"]);
  const { executionId } = await client.submit({ target: grpcJson("etcd:///scheduler", "a.B/Do", {}) });
  const late = { timeoutMs: 1_500 };
  const waited = client.executions.getExecution({ executionId, waitUntilEnded: true, view: 0 }, late);
  await assert.rejects(waited, { reason: "DEADLINE" });
  const { execution } = await client.executions.getExecution({ executionId, waitUntilEnded: false, view: 0 });
  assert.equal(execution?.state, ExecutionState.EXECUTION_STATE_READY);
  assert.equal(execution?.stateReason, StateReason.STATE_REASON_NO_MATCHING_EXECUTOR);
});

test("a handler that was registered without descriptors answers, and nothing is checked at submit", async (t) => {
  const { processes, mesh, client } = await setup(t);
  const options = { scheduler: mesh.address, executorId: "plain", dataDir: processes.folder(), log: silentLogger };
  const app = createExecutor({ ...options, env: {} });
  t.after(() => app.stop());
  app.handle(ReportServiceService.render, ({ title }) => ({ text: title, sum: 0n }));
  await app.start();
  const { executors } = await client.mesh.listExecutors(ListExecutorsRequest.fromPartial({}));
  const own = executors.find(({ executorId }) => executorId === "plain");
  assert.deepEqual(own?.capabilities, [RENDER], "a program of handlers makes no calls unless it is asked to");
  const { executionId } = await client.submit({ target: handler(ReportServiceService.render, request) });
  const { state, result } = await client.waitUntilEnded(executionId);
  assert.equal(state, ExecutionState.EXECUTION_STATE_SUCCEEDED);
  assert.equal(RenderResponse.decode(result).text, "March");
});
