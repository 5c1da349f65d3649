import assert from "node:assert/strict";
import { test } from "node:test";
import { RenderRequest } from "../../../examples/report/gen/acme/report/v1/report_service.ts";
import { Cause, type Execution, ExecutionState, StateReason } from "../../../gen/jobmesh/v1/execution.ts";
import { OverlapPolicy, Target } from "../../../gen/jobmesh/v1/job.ts";
import { DeleteJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import { command } from "../../../services/client/targets.ts";
import { duration, errorOf, faultsOf, jsonHandler, REPORT, registerReport, type TestApi, testApi } from "./setup.ts";

const { EXECUTION_STATE_READY, EXECUTION_STATE_SCHEDULED, EXECUTION_STATE_SKIPPED } = ExecutionState;

/** A time so many milliseconds from now. */
function inMs(api: TestApi, ms: number): { seconds: bigint; nanos: number } {
  const us = api.nowUs() + ms * 1000;
  return { seconds: BigInt(Math.floor(us / 1e6)), nanos: (us % 1e6) * 1000 };
}

/** Executions of a job, newest first. */
async function runsOf(api: TestApi, jobId: string): Promise<readonly Execution[]> {
  return (await api.list({ filter: { jobId } })).executions;
}

test("RunJob makes an execution of the job as it stands, paused or not, whatever its schedule says", async (t) => {
  const api = await testApi(t);
  const job = await api.createJob({ jobId: "j", name: "N", labels: { a: "1" }, policy: { priority: 7 } });
  await api.jobs.pauseJob({ namespace: "", jobId: "j", reason: "" });
  const run = await api.runJob({ jobId: "j" });
  assert.deepEqual(
    [run.jobId, run.jobUid, run.jobRevision, run.name, run.labels, run.policy?.priority, run.cause],
    ["j", job.uid, 1n, "N", { a: "1" }, 7, Cause.CAUSE_RUN_JOB],
  );
  assert.deepEqual(run.target, job.target);
  assert.equal(run.state, EXECUTION_STATE_READY);
  assert.deepEqual(run.scheduledTime, inMs(api, 0));
  assert.deepEqual(await api.get(run.executionId), { ...run, ...reasonOf(await api.get(run.executionId)) });
});

test("RunJob's target replaces the job's for this execution alone, and is checked as any", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  await api.createJob({ jobId: "j" });
  const other = command("echo", { args: ["other"] });
  assert.deepEqual((await api.runJob({ jobId: "j", target: other })).target, Target.fromPartial(other));
  const handled = await api.runJob({
    jobId: "j",
    target: jsonHandler(REPORT, RenderRequest.toJSON({ title: "T", rows: [] })),
  });
  assert.equal(handled.target?.kind?.$case, "handler");
  assert.deepEqual((await api.runJob({ jobId: "j" })).target, command("true"));
  const faults = await faultsOf(api.runJob({ jobId: "j", target: jsonHandler(REPORT, { titel: "" }) }));
  assert.deepEqual(Object.keys(faults), ["target.handler.request_json"]);
});

test("RunJob at a time waits for it; at a past one it is ready at once", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  const future = await api.runJob({ jobId: "j", scheduledTime: inMs(api, 5_000) });
  assert.deepEqual([future.state, future.scheduledTime], [EXECUTION_STATE_SCHEDULED, inMs(api, 5_000)]);
  const past = await api.runJob({ jobId: "j", scheduledTime: inMs(api, -5_000) });
  assert.deepEqual([past.state, past.scheduledTime], [EXECUTION_STATE_READY, inMs(api, -5_000)]);
});

test("rule 7: RunJob runs beside others unless it is told otherwise; SKIP and a full QUEUE_ONE answer OK with SKIPPED", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j", schedule: { when: { $case: "interval", value: duration(60_000) } } });
  const first = await api.runJob({ jobId: "j" });
  const beside = await api.runJob({ jobId: "j" });
  assert.deepEqual([first.state, beside.state], [EXECUTION_STATE_READY, EXECUTION_STATE_READY], "ALLOW when unset");
  const skipped = await api.runJob({ jobId: "j", overlapPolicy: OverlapPolicy.OVERLAP_POLICY_SKIP });
  assert.deepEqual([skipped.state, skipped.stateReason], [EXECUTION_STATE_SKIPPED, StateReason.STATE_REASON_OVERLAP]);
  const queued = await api.runJob({ jobId: "j", overlapPolicy: OverlapPolicy.OVERLAP_POLICY_QUEUE_ONE });
  assert.equal(queued.state, EXECUTION_STATE_READY);
  const full = await api.runJob({ jobId: "j", overlapPolicy: OverlapPolicy.OVERLAP_POLICY_QUEUE_ONE });
  assert.deepEqual([full.state, full.stateReason], [EXECUTION_STATE_SKIPPED, StateReason.STATE_REASON_OVERLAP]);
  const all = await api.runJob({ jobId: "j", overlapPolicy: OverlapPolicy.OVERLAP_POLICY_QUEUE_ALL });
  assert.equal(all.state, EXECUTION_STATE_READY);
});

test("rule 7: RunJob under CANCEL_RUNNING ends what runs, which says why, and runs when that has ended", async (t) => {
  const api = await testApi(t);
  const executor = await api.join("e", 4);
  const overlapPolicy = OverlapPolicy.OVERLAP_POLICY_CANCEL_RUNNING;
  const when = { $case: "cron", value: "0 0 1 1 *" } as const;
  const job = await api.createJob({ jobId: "j", schedule: { when, overlapPolicy } });
  assert.equal(job.schedule?.overlapPolicy, overlapPolicy);
  const first = await api.runJob({ jobId: "j", overlapPolicy });
  await api.dispatcher.runOnce(new AbortController().signal);
  const second = await api.runJob({ jobId: "j", overlapPolicy });
  assert.deepEqual([second.state, second.stateReason], [EXECUTION_STATE_READY, StateReason.STATE_REASON_OVERLAP]);
  await api.stops.runOnce();
  await api.clock.settle();
  const [stop] = executor.stops;
  assert.deepEqual([stop?.key.executionId, stop?.reason], [first.executionId, "CANCEL"]);
  assert.match(stop?.message ?? "", /OVERLAP_POLICY_CANCEL_RUNNING/);
});

test("rule 7: RunJob waits for the job's max_concurrency", async (t) => {
  const api = await testApi(t);
  const executor = await api.join("e", 4);
  await api.createJob({ jobId: "j", policy: { maxConcurrency: 1 } });
  const first = await api.runJob({ jobId: "j" });
  const second = await api.runJob({ jobId: "j" });
  await api.dispatcher.runOnce(new AbortController().signal);
  assert.deepEqual(
    executor.orders.map(({ key }) => key.executionId),
    [first.executionId],
  );
  assert.equal((await api.get(second.executionId)).state, EXECUTION_STATE_READY);
});

test("what RunJob does not carry out is refused by its name", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  const unknown = await faultsOf(api.runJob({ jobId: "", overlapPolicy: 9 as OverlapPolicy, requestId: "é" }));
  assert.deepEqual(Object.keys(unknown).sort(), ["job_id", "overlap_policy", "request_id"]);
  assert.deepEqual(await runsOf(api, "j"), []);
});

test("rule 5: a repeat of RunJob is answered also when its job has been deleted since", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  const first = await api.runJob({ jobId: "j", requestId: "r" });
  await api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "j" }));
  assert.equal((await api.runJob({ jobId: "j", requestId: "r" })).executionId, first.executionId);
  const other = { jobId: "j", requestId: "r", scheduledTime: inMs(api, 60_000) };
  assert.equal((await errorOf(api.runJob(other))).reason, "REQUEST_ID_REUSED");
  assert.equal((await errorOf(api.runJob({ jobId: "j", requestId: "unknown" }))).reason, "JOB_NOT_FOUND");
  assert.equal((await errorOf(api.runJob({ jobId: "j" }))).reason, "JOB_NOT_FOUND");
});

test("a time that no clock has is refused by its name, with a request_id as without", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  for (const seconds of [2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    const request = { jobId: "j", scheduledTime: { seconds, nanos: 0 } };
    assert.deepEqual(Object.keys(await faultsOf(api.runJob(request))), ["scheduled_time"]);
    assert.deepEqual(Object.keys(await faultsOf(api.runJob({ ...request, requestId: "r" }))), ["scheduled_time"]);
  }
  assert.deepEqual(await runsOf(api, "j"), []);
});

test("a deleted job leaves its executions; with cancel_executions those that have not ended are asked to end", async (t) => {
  const api = await testApi(t);
  const executor = await api.join("e", 1);
  await api.createJob({ jobId: "kept" });
  const kept = await api.runJob({ jobId: "kept" });
  await api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "kept" }));
  assert.equal((await api.get(kept.executionId)).jobId, "kept");
  executor.succeed(executor.orders[0]?.key ?? assert.fail("it was dispatched"));
  await api.createJob({ jobId: "j" });
  executor.beat(1, 1);
  await api.clock.settle();
  const running = await api.runJob({ jobId: "j" });
  const waiting = await api.runJob({ jobId: "j", scheduledTime: inMs(api, 60_000) });
  const hinted: string[] = [];
  api.hints.on("stop", ({ executionId }) => void hinted.push(`stop ${executionId}`));
  api.hints.on("ended", ({ executionId }) => void hinted.push(`ended ${executionId}`));
  await api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "j", cancelExecutions: true }));
  assert.deepEqual(hinted.sort(), [`ended ${waiting.executionId}`, `stop ${running.executionId}`]);
  assert.equal((await api.get(waiting.executionId)).state, ExecutionState.EXECUTION_STATE_CANCELLED);
  assert.ok((await api.get(running.executionId)).cancelRequestTime !== undefined);
  assert.equal((await errorOf(api.getJob("j"))).code, "NOT_FOUND");
});

test("a deletion that cancels asks all, though more run than one round asks", { timeout: 30_000 }, async (t) => {
  const api = await testApi(t);
  // Those of the first executor alone fill a round, asked already or not.
  await api.join("a", 520, { slots: 520 });
  await api.join("b", 80, { slots: 80 });
  await api.createJob({ jobId: "j" });
  const runs = Array.from({ length: 620 }, () => api.runJob({ jobId: "j" }));
  await Promise.all(runs);
  await api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "j", cancelExecutions: true }), { timeoutMs: 20_000 });
  const states = new Map<ExecutionState, number>();
  const { executions } = await api.list({ filter: { jobId: "j" }, pageSize: 1_000 });
  for (const { state, cancelRequestTime } of executions) {
    if (state !== ExecutionState.EXECUTION_STATE_CANCELLED) assert.ok(cancelRequestTime !== undefined);
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  assert.deepEqual(states.get(ExecutionState.EXECUTION_STATE_DISPATCHED), 600);
  assert.deepEqual(states.get(ExecutionState.EXECUTION_STATE_CANCELLED), 20);
});

test("a deletion that may find nothing is OK, and still cancels what an earlier one left", async (t) => {
  const api = await testApi(t);
  await api.createJob({ jobId: "j" });
  const left = await api.runJob({ jobId: "j" });
  await api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "j" }));
  await api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "j", allowMissing: true, cancelExecutions: true }));
  assert.equal((await api.get(left.executionId)).state, ExecutionState.EXECUTION_STATE_CANCELLED);
});

test("a job that is created again under its identifier is another: its uid differs, and old executions are not its", async (t) => {
  const api = await testApi(t);
  const first = await api.createJob({ jobId: "j" });
  await api.jobs.deleteJob(DeleteJobRequest.fromPartial({ jobId: "j" }));
  const second = await api.createJob({ jobId: "j" });
  assert.notEqual(second.uid, first.uid);
  assert.deepEqual([second.revision, second.paused], [1n, false]);
});

/** Why it waits is read anew each time. */
function reasonOf({ stateReason, stateMessage }: Execution) {
  return { stateReason, stateMessage };
}
