import assert from "node:assert/strict";
import { test } from "node:test";
import { Cause, ExecutionState, StateReason } from "../../../gen/jobmesh/v1/execution.ts";
import { type DeepPartial, ExecutionFilter } from "../../../gen/jobmesh/v1/execution_service.ts";
import { errorOf, faultsOf, jsonHandler, REPORT, registerReport, type TestApi, testApi } from "./setup.ts";

type Filter = DeepPartial<ExecutionFilter>;
const S = ExecutionState;

async function namesOf(api: TestApi, filter: Filter): Promise<readonly string[]> {
  return (await api.list({ filter })).executions.map(({ name }) => name);
}

/** Four executions, by their names, oldest first; b runs, d is cancelled, c is of a job. */
async function sample(api: TestApi) {
  await registerReport(api);
  await api.createJob({ jobId: "j", name: "c", labels: { kind: "job" } });
  const executor = await api.join("e", 1, { labels: { zone: "b" } });
  await api.submit({
    name: "a",
    labels: { kind: "plain", x: '1"%_' },
    policy: { routing: { executorLabels: { zone: "a" } } },
  });
  await api.clock.advance(1_000);
  await api.submit({ name: "b", labels: { kind: "plain" } });
  assert.equal(executor.orders.length, 1);
  await api.clock.advance(1_000);
  await api.runJob({ jobId: "j" });
  await api.clock.advance(1_000);
  const { executionId } = await api.submit({ name: "d", target: jsonHandler(REPORT, {}) });
  await api.executions.cancelExecution({ executionId, reason: "" });
  await api.submit({ name: "elsewhere", namespace: "other" });
}

test("executions are listed newest first and by every filter", async (t) => {
  const api = await testApi(t);
  const startSeconds = BigInt(api.nowUs() / 1e6);
  await sample(api);
  const second = (after: number) => ({ seconds: startSeconds + BigInt(after), nanos: 0 });
  const filters: readonly (readonly [Filter, readonly string[]])[] = [
    [{}, ["d", "c", "b", "a"]],
    [{ namespace: "other" }, ["elsewhere"]],
    [{ jobId: "j" }, ["c"]],
    [{ jobId: "none" }, []],
    [{ states: [S.EXECUTION_STATE_READY] }, ["c", "a"]],
    [{ states: [S.EXECUTION_STATE_DISPATCHED, S.EXECUTION_STATE_CANCELLED] }, ["d", "b"]],
    [{ reasons: [StateReason.STATE_REASON_CANCEL_REQUESTED] }, ["d"]],
    [{ reasons: [StateReason.STATE_REASON_UNSPECIFIED] }, ["c", "b"]],
    [{ reasons: [StateReason.STATE_REASON_NO_MATCHING_EXECUTOR] }, ["a"]],
    [{ causes: [Cause.CAUSE_RUN_JOB] }, ["c"]],
    [{ causes: [Cause.CAUSE_SUBMIT, Cause.CAUSE_BACKFILL] }, ["d", "b", "a"]],
    [{ scheduledAfter: second(1) }, ["d", "c", "b"]],
    [{ scheduledBefore: second(1) }, ["a"]],
    [{ scheduledAfter: second(1), scheduledBefore: second(2) }, ["b"]],
    [{ executorId: "e" }, ["b"]],
    [{ handlerMethod: REPORT }, ["d"]],
    [{ handlerMethod: "a.B/C" }, []],
    [{ labels: { kind: "plain" } }, ["b", "a"]],
    [{ labels: { kind: "plain", x: '1"%_' } }, ["a"]],
    [{ labels: { kind: "lain" } }, []],
    [{ states: [S.EXECUTION_STATE_READY], labels: { kind: "job" }, jobId: "j" }, ["c"]],
  ];
  for (const [filter, names] of filters) {
    assert.deepEqual(
      await namesOf(api, filter),
      names,
      JSON.stringify(filter, (_, value) => `${value}`),
    );
    const { counts } = await countOf(api, filter);
    assert.equal(
      counts.reduce((sum, { count }) => sum + Number(count), 0),
      names.length,
      "CountExecutions counts the same",
    );
  }
  assert.deepEqual(new Set(await namesOf(api, { namespace: "-" })), new Set(["a", "b", "c", "d", "elsewhere"]));
});

function countOf(api: TestApi, filter: Filter) {
  return api.executions.countExecutions({ filter: ExecutionFilter.fromPartial(filter) });
}

test("counts are by state, one for each that has any", async (t) => {
  const api = await testApi(t);
  await sample(api);
  const { counts } = await api.executions.countExecutions({ filter: undefined });
  assert.deepEqual(counts, [
    { state: S.EXECUTION_STATE_READY, count: 2n },
    { state: S.EXECUTION_STATE_DISPATCHED, count: 1n },
    { state: S.EXECUTION_STATE_CANCELLED, count: 1n },
  ]);
});

test("a filter may name a value however often", async (t) => {
  const api = await testApi(t);
  await sample(api);
  const states = Array.from({ length: 100_000 }, () => S.EXECUTION_STATE_DISPATCHED);
  const reasons = Array.from({ length: 100_000 }, () => StateReason.STATE_REASON_UNSPECIFIED);
  const causes = Array.from({ length: 100_000 }, () => Cause.CAUSE_SUBMIT);
  assert.deepEqual(await namesOf(api, { states, reasons, causes }), ["b"]);
});

test("a filter at fault is refused field by field", async (t) => {
  const api = await testApi(t);
  const bad: Filter = {
    namespace: "a b",
    jobId: "a b",
    states: [S.EXECUTION_STATE_READY, 0, 12 as ExecutionState],
    reasons: [99 as StateReason],
    causes: [0],
    scheduledAfter: { seconds: -1n },
    scheduledBefore: { nanos: -1 },
    executorId: "a b",
    handlerMethod: "h".repeat(256),
    labels: { "": "" },
    parentExecutionId: "p",
  };
  const fields = [
    "filter.causes[0]",
    "filter.executor_id",
    "filter.handler_method",
    "filter.job_id",
    'filter.labels[""]',
    "filter.namespace",
    "filter.parent_execution_id",
    "filter.reasons[0]",
    "filter.scheduled_after",
    "filter.scheduled_before",
    "filter.states[1]",
    "filter.states[2]",
  ];
  assert.deepEqual(Object.keys(await faultsOf(api.list({ filter: bad }))).sort(), fields);
  assert.deepEqual(Object.keys(await faultsOf(countOf(api, bad))).sort(), fields);
});

test("no execution has a parent yet: a repeated one is no child of the one that it repeats", async (t) => {
  const api = await testApi(t);
  await sample(api);
  const [ended] = (await api.list({ filter: { states: [S.EXECUTION_STATE_CANCELLED] } })).executions;
  const executionId = ended?.executionId ?? assert.fail();
  const { execution } = await api.executions.retryExecution({ executionId, requestId: "" });
  assert.deepEqual([execution?.retryOfExecutionId, execution?.parentExecutionId], [executionId, ""]);
  assert.deepEqual(await namesOf(api, { parentExecutionId: executionId }), []);
  assert.deepEqual((await countOf(api, { parentExecutionId: executionId })).counts, []);
});

test("page sizes are 1 to 1,000, 100 when unset, in every list", async (t) => {
  const api = await testApi(t);
  for (let count = 0; count < 101; count += 1) await api.submit();
  assert.equal((await api.list()).executions.length, 100);
  assert.equal((await api.list({ pageSize: 1 })).executions.length, 1);
  assert.equal((await api.list({ pageSize: 1_000 })).executions.length, 101);
  const executionId = (await api.list()).executions[0]?.executionId ?? "";
  for (const pageSize of [-1, 1_001]) {
    const calls = [
      api.list({ pageSize }),
      api.listJobs({ pageSize }),
      api.executions.listAttempts({ executionId, pageSize, pageToken: "" }),
      api.mesh.listExecutors({ labels: {}, pageSize, pageToken: "", namespace: "", states: [], capability: "" }),
    ];
    for (const call of calls) {
      assert.deepEqual(await faultsOf(call), { page_size: `must be from 1 to 1000; was ${pageSize}` });
    }
  }
});

test("pages follow each other while executions are added: none of the first ones is doubled or left out", async (t) => {
  const api = await testApi(t);
  const first = new Set<string>();
  for (let count = 0; count < 25; count += 1) {
    first.add((await api.submit()).executionId);
    await api.clock.advance(1);
  }
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await api.list({ pageSize: 10, pageToken });
    seen.push(...page.executions.map(({ executionId }) => executionId));
    pageToken = page.nextPageToken;
    for (let count = 0; count < 7; count += 1) await api.submit();
  } while (pageToken !== "");
  assert.deepEqual(seen, [...first].reverse());
});

test("a token that no list gave, or another list, is INVALID_ARGUMENT", async (t) => {
  const api = await testApi(t);
  for (const jobId of ["a", "b"]) await api.createJob({ jobId });
  for (const jobId of ["a", "b"]) await api.runJob({ jobId });
  const jobs = (await api.listJobs({ pageSize: 1 })).nextPageToken;
  const executions = (await api.list({ pageSize: 1 })).nextPageToken;
  assert.ok(jobs !== "" && executions !== "");
  const executionId = (await api.list()).executions[0]?.executionId ?? "";
  const number = Buffer.from("[1]").toString("base64url");
  const text = Buffer.from('["x"]').toString("base64url");
  const lists: readonly (readonly [(pageToken: string) => Promise<unknown>, readonly string[]])[] = [
    [(pageToken) => api.list({ pageToken }), ["x", "%%%", jobs, number, text]],
    [(pageToken) => api.listJobs({ pageToken }), ["x", executions, number]],
    [(pageToken) => api.executions.listAttempts({ executionId, pageSize: 0, pageToken }), ["x", executions, jobs]],
    [
      (pageToken) =>
        api.mesh.listExecutors({ labels: {}, pageSize: 0, pageToken, namespace: "", states: [], capability: "" }),
      ["x", executions, jobs, number],
    ],
  ];
  for (const [list, tokens] of lists) {
    for (const token of tokens) {
      assert.deepEqual(await faultsOf(list(token)), { page_token: "must be the next_page_token of the page before" });
    }
  }
});

test("jobs are listed by job_id and by every filter, page by page while jobs come and go", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  await api.createJob({ jobId: "a_1", labels: { x: "1", y: "2" } });
  await api.createJob({ jobId: "ab", labels: { x: "1" } });
  await api.createJob({ jobId: "b", target: jsonHandler(REPORT, {}) });
  await api.createJob({ jobId: "B" });
  await api.createJob({ jobId: "other", namespace: "other" });
  await api.jobs.pauseJob({ namespace: "", jobId: "b", reason: "" });
  const ids = async (request: Parameters<typeof api.listJobs>[0]) =>
    (await api.listJobs(request)).jobs.map(({ jobId }) => jobId);
  assert.deepEqual(await ids({}), ["B", "a_1", "ab", "b"], "by byte");
  assert.deepEqual(await ids({ namespace: "-" }), ["B", "a_1", "ab", "b", "other"]);
  assert.deepEqual(await ids({ labels: { x: "1" } }), ["a_1", "ab"]);
  assert.deepEqual(await ids({ labels: { x: "1", y: "2" } }), ["a_1"]);
  assert.deepEqual(await ids({ jobIdPrefix: "a" }), ["a_1", "ab"]);
  assert.deepEqual(await ids({ jobIdPrefix: "a_" }), ["a_1"], "_ is no wildcard");
  assert.deepEqual([await ids({ paused: true }), await ids({ paused: false })], [["b"], ["B", "a_1", "ab"]]);
  assert.deepEqual(await ids({ handlerMethod: REPORT }), ["b"]);
  const first = await api.listJobs({ pageSize: 2 });
  await api.createJob({ jobId: "a" });
  await api.createJob({ jobId: "aa" });
  const rest = await api.listJobs({ pageSize: 10, pageToken: first.nextPageToken });
  assert.deepEqual(
    rest.jobs.map(({ jobId }) => jobId),
    ["aa", "ab", "b"],
  );
  assert.equal(rest.nextPageToken, "");
  const bad = { namespace: "a b", jobIdPrefix: "%", labels: { "": "" }, handlerMethod: "h".repeat(256) };
  assert.deepEqual(Object.keys(await faultsOf(api.listJobs(bad))).sort(), [
    "handler_method",
    "job_id_prefix",
    'labels[""]',
    "namespace",
  ]);
  assert.equal((await errorOf(api.listJobs({ minConsecutiveFailures: 1n }))).reason, "FIELD_NOT_SUPPORTED");
});
