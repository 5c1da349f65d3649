/** Rule 28: what comes while the store stands still is bounded by its bytes, however much comes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutionServiceService, SubmitExecutionRequest } from "../../../gen/jobmesh/v1/execution_service.ts";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { command } from "../../../services/client/targets.ts";
import { MAX_TARGET_BYTES } from "../../../services/common/domain/target.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { serviceClient } from "../../../services/common/rpc/service-client.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";
import type { SubmissionSink } from "../../../services/scheduler/api/submissions.ts";
import { submitGroupDefaults } from "../../../services/scheduler/dispatch/submitter.ts";
import { testApi } from "./setup.ts";

/** Submissions of the largest target, and small ones behind them: a thousand in flight. */
const LARGE = 24;
const SMALL = 976;
/** Bytes that may wait here; as a product it has 256 MiB of them, which take minutes to send. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** What waits is there as the client's bytes, the request and the row; the rest is of 10,000 open calls. */
const MAX_MEMORY_MIB = 512;
const PATIENT_MS = 60_000;

/** A command whose serialized target has 512 KiB. */
function largestTarget(): Target {
  const of = (length: number) => command("true", { env: { A: "x".repeat(length) } });
  const size = Target.encode(of(MAX_TARGET_BYTES - 64)).finish().length;
  return of(MAX_TARGET_BYTES - 64 + MAX_TARGET_BYTES - size);
}

test("rule 28: submissions of the largest target fill the bytes that may wait for the store, and no more", async (t) => {
  let arrived = 0;
  const all = Promise.withResolvers<void>();
  const sink = (submitter: SubmissionSink): SubmissionSink => ({
    submit: (submission) => {
      const outcome = submitter.submit(submission);
      if (++arrived === LARGE + SMALL) all.resolve();
      return outcome;
    },
  });
  const submitLimits = { ...submitGroupDefaults, maxWaitingBytes: MAX_WAITING_BYTES };
  // Both sides are this process: what they probe would say how busy it is.
  const api = await testApi(t, { sink, submitLimits, server: { keepaliveTimeoutMs: PATIENT_MS } });
  const channel = new RpcChannel(
    { clock: new SystemClock() },
    { target: api.address, keepaliveTimeoutMs: PATIENT_MS, timeoutMs: PATIENT_MS },
  );
  t.after(() => channel.close());
  const client = serviceClient(ExecutionServiceService, channel);
  const { executions } = api.store;
  const submit = executions.submit.bind(executions);
  const held = Promise.withResolvers<void>();
  let storedCount = 0;
  executions.submit = async (group) => {
    await held.promise;
    storedCount += group.length;
    return submit(group);
  };
  const refused: JobmeshError[] = [];
  const send = (target: Target): Promise<unknown> =>
    client
      .submitExecution(SubmitExecutionRequest.fromPartial({ target }), { timeoutMs: null })
      .catch((error: unknown) => {
        if (!(error instanceof JobmeshError)) throw error;
        refused.push(error);
      });
  const target = largestTarget();
  assert.equal(Target.encode(target).finish().length, MAX_TARGET_BYTES);
  const memoryBefore = process.memoryUsage().rss;
  const calls = Array.from({ length: LARGE + SMALL }, (_, index) => send(index < LARGE ? target : command("true")));
  await all.promise;
  const memory = Math.round((process.memoryUsage().rss - memoryBefore) / 2 ** 20);
  const { waiting } = api.submitter;
  assert.ok(waiting < LARGE + SMALL, "some are refused");
  held.resolve();
  await Promise.all(calls);
  t.diagnostic(`of ${calls.length} in flight ${refused.length} refused, ${waiting} waited, ${memory} MiB more`);
  assert.ok(refused.length >= LARGE - MAX_WAITING_BYTES / MAX_TARGET_BYTES - 8, `${refused.length} refused`);
  for (const { code, reason, retryDelayMs } of refused) {
    assert.deepEqual([code, reason, retryDelayMs], ["RESOURCE_EXHAUSTED", "OVERLOADED", 1_000]);
  }
  assert.ok(memory < MAX_MEMORY_MIB, `${memory} MiB`);
  assert.equal(storedCount, calls.length - refused.length, "what was taken is stored, what was refused is not");
  assert.equal((await api.submit()).namespace, "default", "and the scheduler goes on");
});
