import assert from "node:assert/strict";
import { test } from "node:test";
import { Cause, type Execution, ExecutionState } from "../../../gen/jobmesh/v1/execution.ts";
import { DeleteJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import { command } from "../../../services/client/targets.ts";
import { NO_COMMAND_BYTES } from "../../../services/common/domain/target.ts";
import { testExecution } from "../../support/new-execution.ts";
import { errorOf, faultsOf, type TestApi, testApi } from "./setup.ts";

async function retry(api: TestApi, executionId: string, requestId = ""): Promise<Execution> {
  const { execution } = await api.executions.retryExecution({ executionId, requestId });
  assert.ok(execution);
  return execution;
}

async function cancelled(api: TestApi, execution: Execution): Promise<Execution> {
  await api.executions.cancelExecution({ executionId: execution.executionId, reason: "" });
  return await api.get(execution.executionId);
}

test("RetryExecution makes a new execution of one that has ended, which stays as it is", async (t) => {
  const api = await testApi(t);
  const more = { name: "n", labels: { a: "1" }, policy: { priority: 3 }, target: command("echo", { args: ["x"] }) };
  const old = await cancelled(api, await api.submit(more));
  const made = await retry(api, old.executionId);
  assert.notEqual(made.executionId, old.executionId);
  assert.deepEqual(
    [made.name, made.labels, made.policy, made.target, made.state, made.cause, made.retryOfExecutionId],
    [
      old.name,
      old.labels,
      old.policy,
      old.target,
      ExecutionState.EXECUTION_STATE_READY,
      Cause.CAUSE_RETRY_EXECUTION,
      old.executionId,
    ],
  );
  assert.deepEqual(await api.get(old.executionId), old);
  assert.equal((await api.get(made.executionId)).retryOfExecutionId, old.executionId);
  assert.notEqual(made.traceId, old.traceId, "an execution is one trace");
});

test("one of a job is of that job, as it was then, and counts in its limit", async (t) => {
  const api = await testApi(t);
  const job = await api.createJob({ jobId: "j", policy: { maxConcurrency: 1 } });
  const old = await cancelled(api, await api.runJob({ jobId: "j" }));
  await api.updateJob({ jobId: "j", target: command("echo other"), revision: job.revision }, ["target"]);
  const made = await retry(api, old.executionId);
  assert.deepEqual([made.jobId, made.jobRevision, made.target], ["j", 1n, old.target]);
  const behind = await api.runJob({ jobId: "j" });
  const executor = await api.join("one", 2);
  await api.dispatcher.runOnce(new AbortController().signal);
  assert.deepEqual(
    executor.orders.map(({ key }) => key.executionId),
    [made.executionId],
    `${behind.executionId} waits for it`,
  );
  await api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "j" }));
  assert.equal((await retry(api, old.executionId)).jobId, "j", "its job need not be there any more");
});

test("rule 5: with a request_id it is made once", async (t) => {
  const api = await testApi(t);
  const old = await cancelled(api, await api.submit());
  const other = await cancelled(api, await api.submit());
  const made = await retry(api, old.executionId, "r");
  assert.equal((await retry(api, old.executionId, "r")).executionId, made.executionId);
  assert.equal((await errorOf(retry(api, other.executionId, "r"))).reason, "REQUEST_ID_REUSED");
  assert.notEqual((await retry(api, old.executionId)).executionId, made.executionId);
});

test("rule 5: a repeat is answered also when what it retried has been deleted since", async (t) => {
  const api = await testApi(t);
  const old = await cancelled(api, await api.submit({ namespace: "team" }));
  const made = await retry(api, old.executionId, "r");
  assert.equal((await api.store.retention.deleteEnded(Number.MAX_SAFE_INTEGER, null, 10)).deleted, 1);
  assert.equal((await retry(api, old.executionId, "r")).executionId, made.executionId);
  assert.equal((await errorOf(retry(api, old.executionId, "another"))).reason, "EXECUTION_NOT_FOUND");
  assert.equal((await errorOf(retry(api, old.executionId))).reason, "EXECUTION_NOT_FOUND");
});

test("adopted history of which nobody knows what ran is refused, and nothing runs", async (t) => {
  const api = await testApi(t);
  const execution = testExecution(api.nowUs());
  const target = { ...execution.target, summary: "", bytes: NO_COMMAND_BYTES };
  await api.store.executions.submit([{ execution: { ...execution, target }, request: null, slot: null }]);
  await api.store.executions.requestStop(execution.executionId, "CANCEL", "");
  const { code, reason, metadata } = await errorOf(retry(api, execution.executionId, "r"));
  assert.deepEqual([code, reason], ["FAILED_PRECONDITION", "TARGET_UNKNOWN"]);
  assert.deepEqual(metadata, { executionId: execution.executionId });
  assert.equal((await api.store.counts()).ready, 0);
});

test("one that has not ended is FAILED_PRECONDITION, one that is not there NOT_FOUND, and a bad id is named", async (t) => {
  const api = await testApi(t);
  const waits = await api.submit();
  const error = await errorOf(retry(api, waits.executionId));
  assert.deepEqual(
    [error.code, error.reason, error.metadata],
    ["FAILED_PRECONDITION", "EXECUTION_NOT_ENDED", { executionId: waits.executionId, state: "READY" }],
  );
  const unknown = `${waits.executionId.slice(0, -1)}${waits.executionId.endsWith("0") ? "1" : "0"}`;
  assert.equal((await errorOf(retry(api, unknown))).reason, "EXECUTION_NOT_FOUND");
  assert.deepEqual(Object.keys(await faultsOf(retry(api, "x"))), ["execution_id"]);
  assert.deepEqual(Object.keys(await faultsOf(retry(api, waits.executionId, "é"))), ["request_id"]);
});
