/** HTTP targets through a real embedded mesh: by the client, by schedules and retries, and by the command line. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Execution, ExecutionState } from "../../gen/jobmesh/v1/execution.ts";
import { type DeepPartial, ReadLogsRequest, type ReadLogsResponse } from "../../gen/jobmesh/v1/execution_service.ts";
import { ExecutionPolicy, type RetryPolicy } from "../../gen/jobmesh/v1/job.ts";
import { CreateJobRequest } from "../../gen/jobmesh/v1/job_service.ts";
import type { MeshClient } from "../../services/client/mesh-client.ts";
import { http } from "../../services/client/targets.ts";
import { failureFromStatus } from "../../services/common/wire/failure.ts";
import { usOfTimestamp } from "../../services/common/wire/time.ts";
import { type DevMesh, MeshProcesses, type Outcome } from "../support/mesh-process.ts";
import { targetServer } from "../unit/executor-http/setup.ts";

const AUTHORIZATION = "Bearer swordfish";

const processes = new MeshProcesses({ after });
let mesh: DevMesh;
let client: MeshClient;

before(async () => {
  mesh = await processes.dev({ dataDir: processes.folder() });
  client = processes.client(mesh.address);
});

/** `jobmesh http -- WORDS` to its end. */
function run(...words: string[]): Promise<Outcome> {
  return processes.run(["http", "--", ...words], { env: { JOBMESH_SCHEDULER: mesh.address } });
}

function retrying(retry: DeepPartial<RetryPolicy>): ExecutionPolicy {
  return ExecutionPolicy.fromPartial({ retry });
}

/** The reason of what failed; empty for what did not. */
function reasonOf({ error }: Pick<Execution, "error">): string {
  return error === undefined ? "" : failureFromStatus(error).reason;
}

async function logOf(executionId: string): Promise<ReadLogsResponse[]> {
  const pieces: ReadLogsResponse[] = [];
  const request = ReadLogsRequest.fromPartial({ executionId, follow: true });
  for await (const piece of client.executions.readLogs(request)) pieces.push(piece);
  return pieces;
}

test("a submitted request ends with its answer as result, output and log, and one key", async (t) => {
  const server = await targetServer(t, (_got, response) => response.end('{"done":true}'));
  const target = http(`${server.url}/hook?x=1`, { headers: { "X-Team": "data" }, json: { order: 17 } });
  const { executionId } = await client.submit({ target, namespace: "billing" });
  const ended = await client.waitUntilEnded(executionId);
  assert.equal(ended.state, ExecutionState.EXECUTION_STATE_SUCCEEDED);
  assert.equal(ended.result.toString(), '{"done":true}');
  const [got] = server.got;
  assert.deepEqual([got?.method, got?.path, got?.body], ["POST", "/hook?x=1", '{"order":17}']);
  const headers = got?.headers ?? {};
  assert.deepEqual(
    [headers["x-team"], headers["idempotency-key"], headers["jobmesh-execution-id"], headers["jobmesh-namespace"]],
    ["data", executionId, executionId, "billing"],
  );
  assert.equal(headers.traceparent?.slice(3, 35), ended.traceId);
  const { attempts } = await client.executions.listAttempts({ executionId, pageSize: 0, pageToken: "" });
  assert.deepEqual([attempts.length, attempts[0]?.output, attempts[0]?.exitCode], [1, '{"done":true}', undefined]);
  assert.deepEqual(
    (await logOf(executionId)).map(({ content }) => content?.value),
    ['{"done":true}'],
  );
});

test("what is to be retried is, after the wait that Retry-After asks for, under the same key", async (t) => {
  const asks = [
    [503, "1"],
    [429, "0"],
  ] as const;
  const server = await targetServer(t, ({ headers }, response) => {
    const [status, wait] = asks[Number(headers["jobmesh-attempt"]) - 1] ?? [];
    if (status !== undefined) response.writeHead(status, { "Retry-After": wait }).end("later");
    else response.end("done");
  });
  // By the policy alone each further attempt would wait for an hour.
  const policy = retrying({ maxAttempts: 3, initialInterval: { seconds: 3_600n } });
  const { executionId } = await client.submit({ target: http(server.url), policy });
  const ended = await client.waitUntilEnded(executionId);
  assert.equal(ended.state, ExecutionState.EXECUTION_STATE_SUCCEEDED);
  assert.deepEqual(
    server.got.map(({ headers }) => [headers["idempotency-key"], headers["jobmesh-attempt"]]),
    [1, 2, 3].map((attempt) => [executionId, String(attempt)]),
  );
  const { attempts } = await client.executions.listAttempts({ executionId, pageSize: 0, pageToken: "" });
  const byNumber = attempts.toSorted((one, other) => one.attempt - other.attempt);
  assert.deepEqual(byNumber.map(reasonOf), ["http:503", "http:429", ""]);
  const [first, second] = byNumber;
  assert.ok(first?.endTime !== undefined && second?.startTime !== undefined);
  assert.ok(
    usOfTimestamp(second.startTime) - usOfTimestamp(first.endTime) >= 990_000,
    "a second, told in milliseconds",
  );
});

test("what no other try mends ends at the first: 404, a metadata address", async (t) => {
  const server = await targetServer(t, (_got, response) => response.writeHead(404).end("no such thing"));
  const policy = retrying({ maxAttempts: 5 });
  for (const [url, reason] of [
    [server.url, "http:404"],
    ["http://169.254.169.254/latest/meta-data/", "TARGET_FORBIDDEN"],
  ] as const) {
    const { executionId } = await client.submit({ target: http(url), policy });
    const ended = await client.waitUntilEnded(executionId);
    assert.deepEqual([ended.state, ended.countedAttempts], [ExecutionState.EXECUTION_STATE_FAILED, 1]);
    assert.equal(reasonOf(ended), reason);
  }
});

test("a job with an HTTP target fires, and a credential in it is named in both logs, never told", async (t) => {
  const fired = Promise.withResolvers<string>();
  const server = await targetServer(t, ({ headers }, response) => {
    response.end("ok");
    fired.resolve(`${headers["jobmesh-job-id"]} ${headers["jobmesh-execution-id"]} ${headers.authorization}`);
  });
  const target = http(server.url, { headers: { Authorization: AUTHORIZATION } });
  const schedule = { when: { $case: "interval" as const, value: { seconds: 1n, nanos: 0 } } };
  await client.jobs.createJob(CreateJobRequest.fromPartial({ job: { jobId: "ping", target, schedule } }));
  const [jobId, executionId = "", ...sent] = (await fired.promise).split(" ");
  assert.deepEqual([jobId, sent.join(" ")], ["ping", AUTHORIZATION]);
  const pieces = await logOf(executionId);
  const [warning] = pieces.map(({ content }) => String(content?.value));
  assert.match(warning ?? "", /^jobmesh: the header Authorization is given in so many words/);
  await mesh.printed(/an HTTP target holds a credential in so many words/, { stream: "stderr" });
  assert.doesNotMatch(`${mesh.stdout}${mesh.stderr}${JSON.stringify(pieces.map(String))}`, /swordfish/);
});

test("http sends what its words say, shows the answer alone on standard output, and exits with 0", async (t) => {
  const server = await targetServer(t, (_got, response) => response.end("zäh 🎉\n"));
  const outcome = await run("PUT", `${server.url}/p`, "X-Team: data", "X-Empty:", "a: b is content no more");
  assert.deepEqual([outcome.code, outcome.stdout], [0, "zäh 🎉\n"], outcome.stderr);
  assert.match(outcome.stderr, /^jobmesh: execution [0-9a-f-]{36}\n$/);
  const posted = await run(server.url, "Content-Type: application/json", '{"a": 1}');
  assert.equal(posted.code, 0, posted.stderr);
  const [put, post] = server.got;
  assert.deepEqual(
    [put?.method, put?.path, put?.headers["x-team"], put?.headers["x-empty"]],
    ["PUT", "/p", "data", ""],
  );
  assert.equal(put?.headers.a, "b is content no more");
  assert.deepEqual([post?.method, post?.headers["content-type"], post?.body], ["POST", "application/json", '{"a": 1}']);
});

test("http exits with 1 when the answer is no success, and says why", async (t) => {
  const server = await targetServer(t, (_got, response) => response.writeHead(500).end("broken\n"));
  const outcome = await run("GET", server.url);
  assert.deepEqual([outcome.code, outcome.stdout], [1, "broken\n"]);
  assert.match(outcome.stderr, /\njobmesh: FAILED: HTTP 500 Internal Server Error\n$/);
  for (const words of [[], ["GET"], [server.url, "no header", "content"]]) {
    const refused = await run(...words);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /^jobmesh: .+\n$/);
  }
  const field = await run("GET", server.url, "content");
  assert.match(field.stderr, /target\.http\.text: must not be set: a GET request has no content/);
});

test("without --allow-http nothing is sent: the request waits", async (t) => {
  const server = await targetServer(t, () => assert.fail("nothing was to be asked"));
  const dev = await processes.dev({ dataDir: processes.folder(), args: ["--allow-http=false"] });
  const closed = processes.client(dev.address);
  const { executionId } = await closed.submit({ target: http(server.url) });
  const waited = closed.executions.getExecution({ executionId, waitUntilEnded: true, view: 0 }, { timeoutMs: 1_500 });
  await assert.rejects(waited, { reason: "DEADLINE" });
  const { execution } = await closed.executions.getExecution({ executionId, waitUntilEnded: false, view: 0 });
  assert.equal(execution?.state, ExecutionState.EXECUTION_STATE_READY);
});
