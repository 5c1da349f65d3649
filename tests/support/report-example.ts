import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { ReportServiceService } from "../../examples/report/gen/acme/report/v1/report_service.ts";
import { type Attempt, type Execution, ExecutionState, StateReason } from "../../gen/jobmesh/v1/execution.ts";
import { ExecutionFilter, LogLevel, LogStream, ReadLogsRequest } from "../../gen/jobmesh/v1/execution_service.ts";
import { ExecutionPolicy } from "../../gen/jobmesh/v1/job.ts";
import { ExecutorState } from "../../gen/jobmesh/v1/mesh_service.ts";
import { JobmeshError } from "../../services/client/index.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { handler } from "../../services/client/targets.ts";
import type { MeshProcess, MeshProcesses } from "./mesh-process.ts";

const EXAMPLE = resolve(import.meta.dirname, "../../examples/report");
const RENDER = "acme.report.v1.ReportService/Render";
/** Enough that a drain begins among them; the example has 4 slots. */
const DRAINED = 400;

/** A mesh that examples/report is tried on. */
export type ReportMesh = {
  readonly t: TestContext;
  readonly processes: MeshProcesses;
  readonly client: MeshClient;
  /** Address of a scheduler. */
  readonly address: string;
  /** The real grpcurl. */
  readonly grpcurl: string;
  /** How the example finds the mesh. */
  readonly env: Readonly<Record<string, string>>;
};

/** Starts examples/report/main.ts and waits until a scheduler took it. */
export async function startReport({ processes, env }: ReportMesh, executorId: string): Promise<MeshProcess> {
  const data = { JOBMESH_EXECUTOR_ID: executorId, JOBMESH_DATA_DIR: join(processes.folder(), "data") };
  const program = [process.execPath, join(EXAMPLE, "main.ts")];
  const started = processes.start([], { program, env: { ...env, ...data } });
  await started.printed(/"a home took the executor"/, { stream: "stderr", waitMs: 40_000 });
  return started;
}

/** Everything that the pages say of the example: JSON and bytes, faults, failures, logs, the drain. */
export async function checkReport(mesh: ReportMesh): Promise<void> {
  const example = await startReport(mesh, "reports-1");
  await checkJson(mesh);
  await checkBytes(mesh);
  await checkFault(mesh);
  await checkFailure(mesh);
  await checkDrain(mesh, example);
}

async function checkJson(mesh: ReportMesh): Promise<void> {
  const rows = [
    { name: "orders", amount: "7" },
    { name: "returns", amount: "9007199254740993" },
  ];
  const target = { handler: { method: RENDER, request_json: { title: "March", rows } } };
  const { execution } = await grpcurl<{ execution: { executionId: string } }>(mesh, "SubmitExecution", { target });
  const wanted = { execution_id: execution.executionId, wait_until_ended: true };
  const { execution: ended } = await grpcurl<{ execution: Record<string, unknown> }>(mesh, "GetExecution", wanted);
  assert.equal(ended.state, "EXECUTION_STATE_SUCCEEDED", JSON.stringify(ended));
  const response = ReportServiceService.render.responseDeserialize(Buffer.from(String(ended.result), "base64"));
  const text = "March\norders: 7\nreturns: 9007199254740993\nsum: 9007199254741000";
  assert.deepEqual(response, { text, sum: 9_007_199_254_741_000n });
  const pieces = [];
  const request = ReadLogsRequest.fromPartial({ executionId: execution.executionId, follow: true });
  for await (const piece of mesh.client.executions.readLogs(request)) pieces.push(piece);
  assert.deepEqual(
    pieces.map(({ stream, level, content, fieldsJson }) => [stream, level, content?.value, JSON.parse(fieldsJson)]),
    [[LogStream.LOG_STREAM_HANDLER, LogLevel.LOG_LEVEL_INFO, "rendering", { title: "March", attempt: 1 }]],
  );
}

async function checkBytes({ client, processes, address }: ReportMesh): Promise<void> {
  const request = { title: "April", rows: [{ name: "orders", amount: -8n }] };
  const { executionId } = await client.submit({ target: handler(ReportServiceService.render, request) });
  const ended = await client.waitUntilEnded(executionId, AbortSignal.timeout(20_000));
  assert.equal(ended.state, ExecutionState.EXECUTION_STATE_SUCCEEDED, ended.error?.message);
  const response = ReportServiceService.render.responseDeserialize(ended.result);
  assert.deepEqual(response, { text: "April\norders: -8\nsum: -8", sum: -8n });

  const program = [process.execPath, join(EXAMPLE, "submit.ts")];
  const submitted = await processes.run([], { program, env: { JOBMESH_SCHEDULER: address } });
  assert.deepEqual([submitted.code, submitted.stdout], [0, "March\norders: 7\nsum: 7\n"], submitted.stderr);
}

/** What is no request of the method is refused by the name of the field, in JSON and in bytes; nothing is stored. */
async function checkFault(mesh: ReportMesh): Promise<void> {
  const { client } = mesh;
  // Of this handler alone: the example jobs of an embedded mesh run on.
  const filter = ExecutionFilter.fromPartial({ handlerMethod: RENDER });
  const before = await client.executions.countExecutions({ filter });
  const faults = [
    { title: 7, rows: [] },
    { title: "May", rows: [{ name: "orders", amount: "many" }] },
    { title: "May", lines: [] },
  ];
  const names = [/title/, /amount/, /lines/];
  for (const [index, request_json] of faults.entries()) {
    const target = { handler: { method: RENDER, request_json } };
    const { code, stderr } = await grpcurlFails(mesh, "SubmitExecution", { target });
    assert.equal(code, 64 + 3, stderr);
    assert.match(stderr, /"field": "target\.handler\.request_json/);
    assert.match(stderr, names[index] ?? /$^/);
  }
  const value = { method: RENDER, payload: { $case: "request", value: Buffer.from([0x0a, 0x7f]) } } as const;
  await assert.rejects(
    client.submit({ target: { kind: { $case: "handler", value } } }),
    (error) => error instanceof JobmeshError && error.code === "INVALID_ARGUMENT" && /request/.test(error.message),
  );
  assert.deepEqual(await client.executions.countExecutions({ filter }), before, "nothing was stored");
}

/** A failure that the handler calls final ends the execution at its first attempt, whatever the policy allows. */
async function checkFailure({ client }: ReportMesh): Promise<void> {
  const policy = ExecutionPolicy.fromPartial({ retry: { maxAttempts: 5, initialInterval: { nanos: 1_000_000 } } });
  const target = handler(ReportServiceService.render, { title: "empty", rows: [] });
  const { executionId } = await client.submit({ target, policy });
  const ended = await client.waitUntilEnded(executionId, AbortSignal.timeout(20_000));
  assert.deepEqual(
    [ended.state, ended.stateReason, ended.attempt],
    [ExecutionState.EXECUTION_STATE_FAILED, StateReason.STATE_REASON_TARGET_FAILED, 1],
  );
  assert.equal(ended.error?.message, "a report needs at least one row");
  const attempts = await attemptsOf(client, executionId);
  assert.equal(attempts.length, 1);
  assert.match(
    JSON.stringify(attempts[0]?.error?.details.map(({ value }) => Buffer.from(value).toString())),
    /NO_ROWS/,
  );
  assert.match(attempts[0]?.errorOutput ?? "", /HandlerError: a report needs at least one row/);
}

/** SIGTERM among its work: what it took ends or comes back, it leaves with 0; the next one runs what is left. */
async function checkDrain(mesh: ReportMesh, example: MeshProcess): Promise<void> {
  const { client, t } = mesh;
  const request = { title: "June", rows: [{ name: "orders", amount: 1n }] };
  const target = handler(ReportServiceService.render, request);
  assert.deepEqual(await activeReports(client), ["reports-1"]);
  const submitted = Array.from({ length: DRAINED }, async () => (await client.submit({ target })).executionId);
  await client.waitUntilEnded((await submitted[DRAINED / 8]) ?? "", AbortSignal.timeout(20_000));
  assert.deepEqual(await example.end("SIGTERM", 30_000), { code: 0, signal: null }, example.stderr);
  const ids = await Promise.all(submitted);
  assert.deepEqual(await activeReports(client), [], "it has left");
  const left = await Promise.all(ids.map((executionId) => stateOf(client, executionId)));
  const waiting = left.filter((state) => state !== ExecutionState.EXECUTION_STATE_SUCCEEDED);
  const waits = new Set([ExecutionState.EXECUTION_STATE_READY, ExecutionState.EXECUTION_STATE_SCHEDULED]);
  assert.ok(
    waiting.every((state) => waits.has(state as never)),
    `nothing hangs at one that has left: ${waiting}`,
  );

  const next = await startReport(mesh, "reports-2");
  let returned = 0;
  for (const executionId of ids) {
    const ended = await client.waitUntilEnded(executionId, AbortSignal.timeout(30_000));
    assert.equal(ended.state, ExecutionState.EXECUTION_STATE_SUCCEEDED, ended.error?.message);
    const states = (await attemptsOf(client, executionId)).map(({ state }) => state);
    returned += states.length - 1;
    const returns = states.slice(0, -1).every((state) => state === ExecutionState.EXECUTION_STATE_SKIPPED);
    assert.ok(returns, `an attempt before the last was handed back, not lost or failed: ${states}`);
  }
  t.diagnostic(`of ${DRAINED}: ${DRAINED - waiting.length} ran before the drain ended, ${returned} attempts came back`);
  assert.deepEqual(await next.end("SIGTERM", 30_000), { code: 0, signal: null }, next.stderr);
}

async function activeReports(client: MeshClient): Promise<string[]> {
  const { executors } = await client.mesh.listExecutors({
    ...{ labels: {}, pageSize: 0, pageToken: "", namespace: "", capability: RENDER },
    states: [ExecutorState.EXECUTOR_STATE_ACTIVE],
  });
  return executors.map(({ executorId }) => executorId);
}

async function stateOf(client: MeshClient, executionId: string): Promise<Execution["state"] | undefined> {
  const { execution } = await client.executions.getExecution({ executionId, waitUntilEnded: false, view: 0 });
  return execution?.state;
}

async function attemptsOf(client: MeshClient, executionId: string): Promise<readonly Attempt[]> {
  return (await client.executions.listAttempts({ executionId, pageSize: 0, pageToken: "" })).attempts;
}

async function grpcurl<T>(mesh: ReportMesh, method: string, request: unknown): Promise<T> {
  const { stdout } = await promisify(execFile)(mesh.grpcurl, grpcurlArgs(mesh, method, request));
  return JSON.parse(stdout) as T;
}

async function grpcurlFails(
  mesh: ReportMesh,
  method: string,
  request: unknown,
): Promise<{ readonly code: unknown; readonly stderr: string }> {
  const failure: unknown = await grpcurl(mesh, method, request).catch((error: unknown) => error);
  assert.ok(failure instanceof Error && "code" in failure && "stderr" in failure, JSON.stringify(failure));
  return { code: failure.code, stderr: String(failure.stderr) };
}

function grpcurlArgs({ address }: ReportMesh, method: string, request: unknown): string[] {
  return ["-plaintext", "-d", JSON.stringify(request), address, `jobmesh.v1.ExecutionService/${method}`];
}
