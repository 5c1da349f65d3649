import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorInfo } from "../../../gen/google/rpc/error_details.ts";
import {
  Cause,
  type Execution,
  ExecutionState,
  ExecutionView,
  StateReason,
} from "../../../gen/jobmesh/v1/execution.ts";
import type { AttemptOutcome } from "../../../services/common/domain/attempt.ts";
import { usOfTimestamp } from "../../../services/common/wire/time.ts";
import type { ScriptedExecutor } from "../../support/scripted-executor.ts";
import { duration, errorOf, faultsOf, jsonHandler, REPORT, registerReport, type TestApi, testApi } from "./setup.ts";

const S = ExecutionState;
const signal = new AbortController().signal;
const UNKNOWN_ID = "00000000-0000-7000-8000-000000000000";

function inMs(api: TestApi, ms: number): { seconds: bigint; nanos: number } {
  const us = api.nowUs() + ms * 1000;
  return { seconds: BigInt(Math.floor(us / 1e6)), nanos: (us % 1e6) * 1000 };
}

/** Ends the executor's newest order, and frees its slot. */
async function end(api: TestApi, executor: ScriptedExecutor, outcome: AttemptOutcome): Promise<void> {
  const order = executor.orders.at(-1);
  assert.ok(order);
  executor.result(order.key, outcome, { startUs: api.nowUs() - 5_000, endUs: api.nowUs(), output: "out" });
  await api.clock.settle();
  executor.beat(executor.profile.slots, executor.orders.length);
  await api.clock.settle();
}

const failed: AttemptOutcome = {
  kind: "failed",
  failure: { code: 2, message: "exit 3", reason: "exit:3" },
  nonRetryable: false,
  retryDelayMs: null,
};

test("a submission is answered as stored: ready now, at a past time, or waiting for a future one", async (t) => {
  const api = await testApi(t);
  const now = await api.submit({ name: "n", labels: { b: "2", a: "1" } });
  assert.match(now.executionId, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  assert.deepEqual(
    [now.state, now.cause, now.namespace, now.name],
    [S.EXECUTION_STATE_READY, Cause.CAUSE_SUBMIT, "default", "n"],
  );
  assert.deepEqual([now.labels, now.jobId, now.attempt, now.executorId], [{ a: "1", b: "2" }, "", 0, ""]);
  assert.deepEqual([now.scheduledTime, now.createTime, now.readyTime], [inMs(api, 0), inMs(api, 0), inMs(api, 0)]);
  assert.match(now.traceId, /^[0-9a-f]{32}$/);
  const past = await api.submit({ scheduledTime: { seconds: 86_400n, nanos: 5_000_000 } });
  assert.equal(past.state, S.EXECUTION_STATE_READY);
  assert.deepEqual(past.scheduledTime, { seconds: 86_400n, nanos: 5_000_000 });
  assert.equal(past.executionId.slice(0, 13), "00000526-5c05", "its first bits are its time");
  assert.deepEqual(past.readyTime, inMs(api, 0), "it was not ready before it was there");
  const future = await api.submit({ scheduledTime: inMs(api, 5_000) });
  assert.deepEqual(
    [future.state, future.readyTime, future.nextAttemptTime],
    [S.EXECUTION_STATE_SCHEDULED, undefined, undefined],
  );
  assert.deepEqual(await api.get(future.executionId), future);
});

test("a past time stands behind what waited before it, of the same priority", async (t) => {
  const api = await testApi(t);
  const first = await api.submit();
  await api.clock.advance(10);
  const past = await api.submit({ scheduledTime: { seconds: 5n } });
  const urgent = await api.submit({ policy: { priority: 1 } });
  const executor = await api.join("e", 3);
  await api.dispatcher.runOnce(signal);
  await api.clock.settle();
  assert.deepEqual(
    executor.orders.map(({ key }) => key.executionId),
    [urgent, first, past].map(({ executionId }) => executionId),
  );
});

test("an execution that is not there is NOT_FOUND, and an identifier that is none INVALID_ARGUMENT", async (t) => {
  const api = await testApi(t);
  const { executions } = api;
  const logs = (executionId: string) =>
    executions
      .readLogs({
        executionId,
        attempt: 0,
        follow: false,
        untilEnded: false,
        tailLines: 0n,
        afterSequence: 0n,
        streams: [],
      })
      .next();
  const calls = [
    (executionId: string) => api.get(executionId),
    (executionId: string) => executions.cancelExecution({ executionId, reason: "" }),
    (executionId: string) => executions.listAttempts({ executionId, pageSize: 0, pageToken: "" }),
    logs,
  ];
  for (const call of calls) {
    const error = await errorOf(call(UNKNOWN_ID));
    assert.deepEqual(
      [error.code, error.reason, error.metadata.executionId],
      ["NOT_FOUND", "EXECUTION_NOT_FOUND", UNKNOWN_ID],
    );
    for (const id of ["", "x", UNKNOWN_ID.toUpperCase().replace("0", "A"), `${UNKNOWN_ID}0`]) {
      assert.match((await faultsOf(call(id))).execution_id ?? "", /must be a UUID in lower case/);
    }
  }
});

test("FULL shows result and error details, BASIC neither; a view that the contract lacks is refused", async (t) => {
  const api = await testApi(t);
  const executor = await api.join("e", 4);
  const good = await api.submit();
  await end(api, executor, { kind: "succeeded", result: Buffer.from("answer") });
  const bad = await api.submit();
  await end(api, executor, failed);
  const full = await api.get(good.executionId);
  assert.deepEqual([full.state, full.result.toString(), full.executorId], [S.EXECUTION_STATE_SUCCEEDED, "answer", "e"]);
  assert.deepEqual([full.attempt, full.countedAttempts, full.endTime === undefined], [1, 1, false]);
  const basic = await api.get(good.executionId, ExecutionView.EXECUTION_VIEW_BASIC);
  assert.equal(basic.result.length, 0);
  const { error } = await api.get(bad.executionId);
  assert.deepEqual([error?.code, error?.message, error?.details.length], [2, "exit 3", 1]);
  assert.equal(ErrorInfo.decode(error?.details[0]?.value ?? Buffer.alloc(0)).reason, "exit:3");
  const short = await api.get(bad.executionId, ExecutionView.EXECUTION_VIEW_BASIC);
  assert.deepEqual([short.error?.message, short.error?.details], ["exit 3", []]);
  assert.match((await faultsOf(api.get(good.executionId, 3 as ExecutionView))).view ?? "", /BASIC, FULL; was 3/);
  assert.match((await faultsOf(api.list({ view: 3 as ExecutionView }))).view ?? "", /was 3/);
});

test("a cancel ends what waits at once, asks what runs to end, and is OK for what is cancelled already", async (t) => {
  const api = await testApi(t);
  const executor = await api.join("e", 1);
  const running = await api.submit();
  const waiting = await api.submit();
  const cancel = async ({ executionId }: Execution, reason = "enough"): Promise<Execution> => {
    const { execution } = await api.executions.cancelExecution({ executionId, reason });
    assert.ok(execution);
    return execution;
  };
  const cancelled = await cancel(waiting);
  assert.deepEqual(
    [cancelled.state, cancelled.stateReason, cancelled.stateMessage],
    [S.EXECUTION_STATE_CANCELLED, StateReason.STATE_REASON_CANCEL_REQUESTED, "enough"],
  );
  assert.deepEqual(await cancel(waiting, "again"), cancelled, "what is cancelled stays as it is");
  const stopping = await cancel(running);
  assert.equal(stopping.state, S.EXECUTION_STATE_DISPATCHED, "its executor has not said that it ended");
  assert.deepEqual(stopping.cancelRequestTime, inMs(api, 0));
  await end(api, executor, { kind: "cancelled", failure: { code: 1, message: "stopped", reason: "" } });
  assert.equal((await api.get(running.executionId)).state, S.EXECUTION_STATE_CANCELLED);
  assert.equal((await cancel(running)).state, S.EXECUTION_STATE_CANCELLED);
});

test("a cancel of what ended otherwise is FAILED_PRECONDITION, and changes nothing", async (t) => {
  const api = await testApi(t);
  const executor = await api.join("e", 1);
  const { executionId } = await api.submit();
  await end(api, executor, { kind: "succeeded", result: new Uint8Array() });
  const before = await api.get(executionId);
  const error = await errorOf(api.executions.cancelExecution({ executionId, reason: "" }));
  assert.deepEqual(
    [error.code, error.reason, error.metadata.state],
    ["FAILED_PRECONDITION", "EXECUTION_ENDED", "SUCCEEDED"],
  );
  assert.deepEqual(await api.get(executionId), before);
  const faults = await faultsOf(api.executions.cancelExecution({ executionId: "x", reason: "r".repeat(1_001) }));
  assert.deepEqual(Object.keys(faults), ["execution_id", "reason"]);
});

test("attempts are listed first to last, page by page, with what each left", async (t) => {
  const api = await testApi(t);
  const executor = await api.join("e", 1);
  const { executionId } = await api.submit({ policy: { retry: { maxAttempts: 3, initialInterval: duration(1_000) } } });
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await end(api, executor, failed);
    const shown = await api.get(executionId);
    if (attempt < 3) {
      assert.deepEqual(
        [shown.state, shown.stateReason],
        [S.EXECUTION_STATE_SCHEDULED, StateReason.STATE_REASON_RETRY_BACKOFF],
      );
      assert.deepEqual(shown.nextAttemptTime, inMs(api, 1_000));
    }
    await api.clock.advance(1_000);
    await api.store.executions.makeReady([shown.executionId as never]);
    await api.dispatcher.runOnce(signal);
    await api.clock.settle();
  }
  const { attempts, nextPageToken } = await api.executions.listAttempts({ executionId, pageSize: 2, pageToken: "" });
  assert.deepEqual(
    attempts.map(({ attempt }) => attempt),
    [1, 2],
  );
  const rest = await api.executions.listAttempts({ executionId, pageSize: 2, pageToken: nextPageToken });
  assert.deepEqual([rest.attempts.map(({ attempt }) => attempt), rest.nextPageToken], [[3], ""]);
  const [first] = attempts;
  assert.deepEqual(
    [first?.state, first?.executorId, first?.incarnation, first?.exitCode, first?.output, first?.counted],
    [S.EXECUTION_STATE_FAILED, "e", "e-1", 0, "out", true],
  );
  assert.equal(
    usOfTimestamp(first?.endTime ?? assert.fail()) - usOfTimestamp(first?.startTime ?? assert.fail()),
    5_000,
  );
});

test("READY says why it waits: nobody can run it, or all who can are full", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  const waits = async (execution: Execution) => {
    const { state, stateReason, stateMessage } = await api.get(execution.executionId);
    assert.equal(state, S.EXECUTION_STATE_READY);
    return [stateReason, stateMessage] as const;
  };
  const { STATE_REASON_NO_MATCHING_EXECUTOR: NOBODY, STATE_REASON_NO_FREE_SLOT: FULL } = StateReason;
  const plain = await api.submit();
  assert.deepEqual(await waits(plain), [NOBODY, "no registered executor runs a command of namespace default"]);
  const executor = await api.join("e", 0);
  await api.beats.runOnce();
  assert.deepEqual(await waits(plain), [FULL, "no executor that can run it has a free slot; 1 could run it"]);
  const labelled = await api.submit({ policy: { routing: { executorLabels: { zone: "b" } } } });
  assert.match((await waits(labelled))[1], /with the labels zone=b/);
  const handled = await api.submit({ target: jsonHandler(REPORT, {}) });
  assert.match((await waits(handled))[1], /no registered executor runs acme\.report\.v1\.ReportService\/Render/);
  executor.beat(2);
  await api.clock.settle();
  await api.beats.runOnce();
  assert.deepEqual(await waits(plain), [StateReason.STATE_REASON_UNSPECIFIED, ""], "room is there: it is about to go");
});
