/** One trace an execution, as a receiver of OTLP sees it, without Kafka. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { type TestContext, test } from "node:test";
import {
  RenderRequest,
  RenderResponse,
  ReportServiceService,
} from "../../examples/report/gen/acme/report/v1/report_service.ts";
import type { Execution } from "../../gen/jobmesh/v1/execution.ts";
import {
  ListAttemptsRequest,
  ListExecutionsRequest,
  SubmitExecutionRequest,
} from "../../gen/jobmesh/v1/execution_service.ts";
import { ExecutionPolicy, Job } from "../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest } from "../../gen/jobmesh/v1/job_service.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { command, handler } from "../../services/client/targets.ts";
import { MeshProcesses } from "../support/mesh-process.ts";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import { attributeOf, traceTree } from "../support/trace-tree.ts";

const TRACE_EXECUTOR = resolve(import.meta.dirname, "../support/trace-executor.ts");
const CALLER = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const TWO_ATTEMPTS = ExecutionPolicy.fromPartial({
  retry: { maxAttempts: 2, initialInterval: { seconds: 0n, nanos: 10_000_000 } },
});
/** Fails first, and says at its second attempt which trace it is in. */
const SECOND_TIME = '[ "$JOBMESH_ATTEMPT" = 2 ] && echo "$TRACEPARENT"';

async function setup(t: TestContext, env: Readonly<Record<string, string>> = {}) {
  const receiver = await startOtlpReceiver();
  const processes = new MeshProcesses(t);
  t.after(() => receiver[Symbol.asyncDispose]());
  const mesh = await processes.dev({ dataDir: processes.folder(), env: { ...receiver.env, ...env } });
  const client = processes.client(mesh.address);
  return { receiver, processes, mesh, client };
}

async function run(client: MeshClient, request: Partial<SubmitExecutionRequest>, traceparent?: string) {
  const submission = SubmitExecutionRequest.fromPartial(request);
  const options = traceparent === undefined ? {} : { traceparent, tracestate: "vendor=1" };
  const { execution } = await client.executions.submitExecution(submission, options);
  return client.waitUntilEnded(execution?.executionId ?? "");
}

function submitted(service: string, attempts: readonly string[], runner = service): string {
  return [
    `jobmesh.rpc.server [${service} server]`,
    `  jobmesh.submit [${service} internal]`,
    `    jobmesh.store [${service} internal]`,
    ...attempts.flatMap((state, index) => attemptLines(service, runner, index + 1, state).map((line) => `    ${line}`)),
  ].join("\n");
}

function attemptLines(service: string, runner: string, attempt: number, state: string): readonly string[] {
  return [
    `jobmesh.dispatch [${service} producer] #${attempt}`,
    `  jobmesh.run [${runner} consumer] #${attempt} ${state}`,
    `    jobmesh.result [${service} consumer] #${attempt} ${state}`,
  ];
}

test("an embedded execution is one trace from the caller's span to its stored result, retries under its root", async (t) => {
  const { receiver, mesh, client } = await setup(t);
  const work = { target: command(SECOND_TIME), policy: TWO_ATTEMPTS, namespace: "billing" };
  const execution = await run(client, work, `00-${CALLER.traceId}-${CALLER.spanId}-01`);
  const output = await outputOf(client, execution);
  assert.deepEqual(await mesh.end("SIGINT"), { code: 0, signal: null });

  assert.equal(execution.traceId, CALLER.traceId);
  assert.equal(traceTree(receiver.spans, CALLER.traceId), submitted("jobmesh-dev", ["FAILED", "SUCCEEDED"]));
  const own = receiver.spans.filter(({ traceId }) => traceId === CALLER.traceId);
  assert.equal(own.find(({ name }) => name === "jobmesh.rpc.server")?.parentSpanId, CALLER.spanId);
  const inside = own.filter(({ name }) => name !== "jobmesh.rpc.server");
  for (const span of inside) {
    assert.equal(attributeOf(span, "jobmesh.execution_id"), execution.executionId, span.name);
    assert.equal(span.traceState, "vendor=1", span.name);
  }
  const [failed, succeeded] = own.filter(({ name }) => name === "jobmesh.run");
  assert.deepEqual(failed?.status, { code: 2, message: "exit:1" });
  assert.equal(attributeOf(succeeded as never, "jobmesh.namespace"), "billing");
  assert.equal(attributeOf(succeeded as never, "jobmesh.target"), "command");
  assert.equal(output.trim(), `00-${CALLER.traceId}-${succeeded?.spanId}-01`, "a command gets the span of its run");
});

test("what `jobmesh run` submits is one trace from the command on", async (t) => {
  const { receiver, processes, mesh } = await setup(t);
  const args = ["run", "--scheduler", mesh.address, "--", 'echo "$TRACEPARENT"'];
  const { code, stdout, stderr } = await processes.run(args, { env: receiver.env });
  assert.equal(code, 0, stderr);
  await mesh.end("SIGINT");
  const [, traceId = ""] = /00-([0-9a-f]{32})-/.exec(stdout) ?? assert.fail(stdout);
  const inside = submitted("jobmesh-dev", ["SUCCEEDED"]).replaceAll(/^/gm, "  ");
  assert.equal(traceTree(receiver.spans, traceId), `jobmesh.rpc.client [jobmesh-client client]\n${inside}`);
});

test("a handler in another process, reached by its session, continues the trace and hands it on", async (t) => {
  const { receiver, processes, mesh, client } = await setup(t, {
    JOBMESH_ALLOW_COMMANDS: "false",
    JOBMESH_LOG_LEVEL: "info",
  });
  const executor = processes.start([], {
    program: [process.execPath, TRACE_EXECUTOR],
    env: {
      ...receiver.env,
      JOBMESH_SCHEDULER: mesh.address,
      JOBMESH_EXECUTOR_ID: "away",
      JOBMESH_DATA_DIR: processes.folder(),
    },
  });
  // It sends them after it was taken; before that the handler's method is unknown.
  await mesh.printed(/"descriptors of handlers are stored"/, { stream: "stderr" });
  const request = RenderRequest.fromPartial({ title: "2" });
  const execution = await run(client, { target: handler(ReportServiceService.render, request), policy: TWO_ATTEMPTS });
  assert.deepEqual(await executor.end("SIGTERM"), { code: 0, signal: null });
  await mesh.end("SIGINT");

  const expected = submitted("jobmesh-dev", ["FAILED", "SUCCEEDED"], "jobmesh-executor");
  assert.equal(traceTree(receiver.spans, execution.traceId), expected);
  const last = receiver.spans.filter(({ name, traceId }) => name === "jobmesh.run" && traceId === execution.traceId)[1];
  assert.equal(
    RenderResponse.decode(execution.result).text,
    `00-${execution.traceId}-${last?.spanId}-01`,
    "a handler gets the span of its run",
  );
  assert.equal(attributeOf(last as never, "jobmesh.handler"), "acme.report.v1.ReportService/Render");
  assert.equal(attributeOf(last as never, "jobmesh.executor_id"), "away");
});

test("each fire of a schedule is a trace of its own, and so is each submission of a stream", async (t) => {
  const { receiver, mesh, client } = await setup(t);
  const interval = { $case: "interval", value: { seconds: 1n, nanos: 0 } } as const;
  const job = Job.fromPartial({ jobId: "tick", target: command("true"), schedule: { when: interval, maxFires: 2 } });
  await client.jobs.createJob(CreateJobRequest.fromPartial({ job }));
  const streamed = await submitStream(client, ["one", "two"]);
  await mesh.printed(/SUCCEEDED tick[\s\S]*SUCCEEDED tick/);
  const ofJob = ListExecutionsRequest.fromPartial({ filter: { jobId: "tick" } });
  const { executions: fired } = await client.executions.listExecutions(ofJob);
  const executions = await Promise.all(streamed.map((id) => client.waitUntilEnded(id)));
  await mesh.end("SIGINT");

  const traceIds = [...fired, ...executions].map(({ traceId }) => traceId);
  assert.equal(new Set(traceIds).size, 4);
  const attempt = attemptLines("jobmesh-dev", "jobmesh-dev", 1, "SUCCEEDED");
  for (const { traceId } of fired) {
    const lines = ["jobmesh.fire [jobmesh-dev internal]", ...attempt.map((line) => `  ${line}`)];
    assert.equal(traceTree(receiver.spans, traceId), lines.join("\n"));
  }
  for (const { traceId } of executions) {
    const lines = ["jobmesh.store [jobmesh-dev internal]", ...attempt].map((line) => `  ${line}`);
    const tree = ["jobmesh.submit [jobmesh-dev internal]", ...lines].join("\n");
    assert.equal(traceTree(receiver.spans, traceId), tree);
  }
});

test("what is sampled out is not exported and travels on, marked so", async (t) => {
  const env = { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" };
  const { receiver, mesh, client } = await setup(t, env);
  const execution = await run(client, { target: command('echo "$TRACEPARENT"') });
  const output = await outputOf(client, execution);
  await mesh.end("SIGINT");
  assert.match(output, new RegExp(`^00-${execution.traceId}-[0-9a-f]{16}-00\n$`));
  assert.equal(receiver.spans.length, 0);
});

test("without an exporter an execution has its trace all the same", async (t) => {
  const { mesh, client } = await setup(t, { OTEL_SDK_DISABLED: "true" });
  const execution = await run(client, { target: command(SECOND_TIME), policy: TWO_ATTEMPTS });
  const output = await outputOf(client, execution);
  await mesh.end("SIGINT");
  assert.match(execution.traceId, /^[0-9a-f]{32}$/);
  assert.match(output, new RegExp(`^00-${execution.traceId}-[0-9a-f]{16}-01\n$`));
});

/** Submits commands by one stream; resolves with their ids. */
function submitStream(client: MeshClient, names: readonly string[]): Promise<readonly string[]> {
  const ids: string[] = [];
  const stream = client.executions.submitExecutions();
  return new Promise((resolve, reject) => {
    stream.onMessage(({ executionId, error }) => {
      if (error !== undefined) reject(new Error(error.message));
      ids.push(executionId);
      if (ids.length === names.length) stream.end();
    });
    stream.onClosed((error) => (error === null ? resolve(ids) : reject(error)));
    for (const [index, name] of names.entries()) {
      const value = SubmitExecutionRequest.fromPartial({ name, target: command("true") });
      stream.send({ sequence: BigInt(index), kind: { $case: "submission", value } });
    }
  });
}

/** What the last attempt of an execution wrote. */
async function outputOf(client: MeshClient, { executionId }: Execution): Promise<string> {
  const { attempts } = await client.executions.listAttempts(ListAttemptsRequest.fromPartial({ executionId }));
  return attempts.at(-1)?.output ?? "";
}
