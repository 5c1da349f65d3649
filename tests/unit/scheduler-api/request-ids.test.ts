import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutionServiceService, SubmitExecutionRequest } from "../../../gen/jobmesh/v1/execution_service.ts";
import { CreateJobRequest, DeleteJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import { command } from "../../../services/client/targets.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import { errorOf, jsonHandler, REPORT, registerReport, testApi } from "./setup.ts";

const DAY_MS = 86_400_000;

test("rule 5: a submission that is sent again answers the first one's execution, as it stands now", async (t) => {
  const api = await testApi(t);
  const first = await api.submit({ requestId: "r", name: "n" });
  assert.deepEqual((await api.submit({ requestId: "r", name: "n" })).executionId, first.executionId);
  await api.executions.cancelExecution({ executionId: first.executionId, reason: "" });
  const again = await api.submit({ requestId: "r", name: "n" });
  assert.deepEqual(again, await api.get(first.executionId));
  assert.equal(await api.storedCount(), 1);
});

test("rule 5: repeats at the same time make one execution", async (t) => {
  const api = await testApi(t);
  const all = await Promise.all(Array.from({ length: 20 }, () => api.submit({ requestId: "r" })));
  assert.equal(new Set(all.map(({ executionId }) => executionId)).size, 1);
  assert.equal(await api.storedCount(), 1);
});

test("rule 5: the same request_id with another body is ALREADY_EXISTS, and stores nothing", async (t) => {
  const api = await testApi(t);
  await api.submit({ requestId: "r" });
  const others = [{ name: "x" }, { labels: { a: "" } }, { policy: { priority: 1 } }, { target: command("false") }];
  for (const other of others) {
    const error = await errorOf(api.submit({ requestId: "r", ...other }));
    assert.deepEqual([error.code, error.reason], ["ALREADY_EXISTS", "REQUEST_ID_REUSED"]);
    assert.match(error.message, /request_id r /);
  }
  assert.equal(await api.storedCount(), 1);
});

test("rule 5: the body is compared as it is decoded: the order of map entries and of JSON keys does not count", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  const one = await api.submit({
    requestId: "r",
    labels: { a: "1", b: "2" },
    target: command("x", { env: { A: "", B: "" } }),
  });
  const two = await api.submit({
    requestId: "r",
    labels: { b: "2", a: "1" },
    target: command("x", { env: { B: "", A: "" } }),
  });
  assert.equal(two.executionId, one.executionId);
  const row = { name: "n", amount: "1" };
  const json = await api.submit({ requestId: "j", target: jsonHandler(REPORT, { title: "T", rows: [row] }) });
  const swapped = { rows: [{ amount: "1", name: "n" }], title: "T" };
  assert.equal(
    (await api.submit({ requestId: "j", target: jsonHandler(REPORT, swapped) })).executionId,
    json.executionId,
  );
  const other = { rows: [{ amount: "2", name: "n" }], title: "T" };
  assert.equal(
    (await errorOf(api.submit({ requestId: "j", target: jsonHandler(REPORT, other) }))).code,
    "ALREADY_EXISTS",
  );
});

test("rule 5: what is output only in a job is no part of the body, whatever is in it", async (t) => {
  const api = await testApi(t);
  const job = { jobId: "j", target: command("true") };
  const first = await api.jobs.createJob(CreateJobRequest.fromPartial({ job, requestId: "r" }));
  const noTime = { seconds: 2n ** 62n, nanos: 0 };
  const outputs = { createTime: noTime, updateTime: noTime, nextFireTime: noTime, lastFireTime: noTime, revision: 7n };
  const again = { ...job, ...outputs, uid: "another", pauseReason: "none" };
  const second = await api.jobs.createJob(CreateJobRequest.fromPartial({ job: again, requestId: "r" }));
  assert.equal(second.job?.uid, first.job?.uid);
  const other = { ...job, description: "another" };
  assert.equal(
    (await errorOf(api.jobs.createJob(CreateJobRequest.fromPartial({ job: other, requestId: "r" })))).reason,
    "REQUEST_ID_REUSED",
  );
});

test("rule 5: the bytes of a request do not count: fields in another order are the same request", async (t) => {
  const api = await testApi(t);
  const request = SubmitExecutionRequest.fromPartial({ requestId: "r", name: "n", target: command("true") });
  const { execution: first } = await api.executions.submitExecution(request);
  const parts = (["name", "target", "requestId"] as const).map((field) =>
    SubmitExecutionRequest.encode({ ...SubmitExecutionRequest.create(), [field]: request[field] }).finish(),
  );
  const reordered = Buffer.concat(parts);
  assert.notDeepEqual(reordered, Buffer.from(SubmitExecutionRequest.encode(request).finish()));
  const channel = new RpcChannel({ clock: new SystemClock() }, { target: api.address });
  try {
    const method = { ...ExecutionServiceService.submitExecution, requestSerialize: () => reordered };
    const { execution } = await channel.unary(method, request);
    assert.equal(execution?.executionId, first?.executionId);
  } finally {
    channel.close();
  }
});

test("rule 5: a request_id is of its namespace and kind of call, and forgotten after a day", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" }, "r");
  const submitted = await api.submit({ requestId: "r" });
  const elsewhere = await api.submit({ requestId: "r", namespace: "other" });
  const run = await api.runJob({ jobId: "j", requestId: "r" });
  assert.equal(new Set([submitted, elsewhere, run].map(({ executionId }) => executionId)).size, 3);
  await api.clock.advance(DAY_MS + 1_000);
  const later = await api.submit({ requestId: "r", name: "another body" });
  assert.notEqual(later.executionId, submitted.executionId);
});

test("rule 5: RunJob that is sent again answers its first execution; with another body it is ALREADY_EXISTS", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  await api.createJob({ jobId: "k" });
  const first = await api.runJob({ jobId: "j", requestId: "r" });
  assert.equal((await api.runJob({ jobId: "j", requestId: "r" })).executionId, first.executionId);
  assert.equal((await errorOf(api.runJob({ jobId: "k", requestId: "r" }))).reason, "REQUEST_ID_REUSED");
  assert.equal(await api.storedCount(), 1);
});

test("rule 5: CreateJob that is sent again answers its job as it stands now, though it was changed or deleted", async (t) => {
  const api = await testApi(t);
  const first = await api.createJob({ name: "n" }, "r");
  assert.deepEqual(await api.createJob({ name: "n" }, "r"), first, "the assigned identifier, too");
  await api.updateJob({ jobId: first.jobId, description: "d" }, ["description"]);
  assert.equal((await api.createJob({ name: "n" }, "r")).description, "d");
  assert.equal((await errorOf(api.createJob({ name: "m" }, "r"))).reason, "REQUEST_ID_REUSED");
  await api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: first.jobId }));
  assert.equal((await api.createJob({ name: "n" }, "r")).uid, first.uid);
  assert.deepEqual((await api.listJobs()).jobs, [], "nothing comes back");
});

test("rule 5: a refused call leaves its request_id free", async (t) => {
  const api = await testApi(t);
  await errorOf(api.submit({ requestId: "r", name: "n".repeat(256) }));
  await api.submit({ requestId: "r" });
  await api.createJob({ jobId: "j" });
  assert.equal((await errorOf(api.createJob({ jobId: "j" }, "c"))).reason, "JOB_EXISTS");
  assert.equal((await api.createJob({ jobId: "k" }, "c")).jobId, "k");
});

test("rule 5: a call whose outcome is not known is repeated safely when the store is back", async (t) => {
  const api = await testApi(t);
  api.outage.names = [];
  const error = await errorOf(api.submit({ requestId: "r" }));
  assert.deepEqual([error.code, error.reason, error.retryable], ["UNAVAILABLE", "STORE_UNAVAILABLE", true]);
  api.outage.names = null;
  const first = await api.submit({ requestId: "r" });
  assert.equal((await api.submit({ requestId: "r" })).executionId, first.executionId);
  assert.equal(await api.storedCount(), 1);
});
