/** Rule 28: what comes while the store stands still is bounded by its bytes, however much comes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SubmitExecutionRequest } from "../../../gen/jobmesh/v1/execution_service.ts";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { command } from "../../../services/client/targets.ts";
import { MAX_TARGET_BYTES } from "../../../services/common/domain/target.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { submitGroupDefaults } from "../../../services/scheduler/dispatch/submitter.ts";
import { testApi } from "./setup.ts";

/** Submissions of the largest target, and small ones behind them. */
const LARGE = 384;
const SMALL = 9_616;
/** Large ones that are on the wire at once. */
const SENT_AT_ONCE = 32;
/** Four times what may wait: each is there as the client's bytes, the request and the row. */
const MAX_MEMORY_MIB = 1_536;

/** A command whose serialized target has 512 KiB. */
function largestTarget(): Target {
  const of = (length: number) => command("true", { env: { A: "x".repeat(length) } });
  const size = Target.encode(of(MAX_TARGET_BYTES - 64)).finish().length;
  return of(MAX_TARGET_BYTES - 64 + MAX_TARGET_BYTES - size);
}

test("rule 28: submissions of the largest target fill 256 MiB on their way to the store, and no more", async (t) => {
  const api = await testApi(t);
  const { executions } = api.store;
  const submit = executions.submit.bind(executions);
  const held = Promise.withResolvers<void>();
  let underWay = 0;
  let storedCount = 0;
  executions.submit = async (group) => {
    underWay += group.length;
    await held.promise;
    storedCount += group.length;
    return submit(group);
  };
  const refused: JobmeshError[] = [];
  const calls: Promise<unknown>[] = [];
  const send = (target: Target): void => {
    const call = api.client.submit(SubmitExecutionRequest.fromPartial({ target })).catch((error: unknown) => {
      if (!(error instanceof JobmeshError)) throw error;
      refused.push(error);
    });
    calls.push(call);
  };
  /** All that was sent is refused, waits, or is on its way to the store, which stands still. */
  const allArrived = async (): Promise<void> => {
    while (refused.length + api.submitter.waiting + underWay < calls.length) await nextTurn();
  };
  const target = largestTarget();
  assert.equal(Target.encode(target).finish().length, MAX_TARGET_BYTES);
  const memoryBefore = process.memoryUsage().rss;
  for (let sent = 0; sent < LARGE; sent += SENT_AT_ONCE) {
    for (let one = 0; one < SENT_AT_ONCE; one++) send(target);
    await allArrived();
  }
  const { maxWaiting, maxWaitingBytes } = submitGroupDefaults;
  const taken = calls.length - refused.length;
  assert.ok(taken - underWay <= maxWaitingBytes / MAX_TARGET_BYTES && taken >= 250, `${taken} were taken`);
  for (let one = 0; one < SMALL; one++) send(command("true"));
  await allArrived();
  const memory = (process.memoryUsage().rss - memoryBefore) / 2 ** 20;
  t.diagnostic(
    `of ${calls.length} ${refused.length} refused, ${api.submitter.waiting} wait, ${Math.round(memory)} MiB`,
  );
  assert.ok(api.submitter.waiting <= maxWaiting);
  for (const { code, reason, retryDelayMs } of refused) {
    assert.deepEqual([code, reason, retryDelayMs], ["RESOURCE_EXHAUSTED", "OVERLOADED", 1_000]);
  }
  assert.ok(memory < MAX_MEMORY_MIB, `${memory} MiB: client, server and what waits are one process`);
  held.resolve();
  await Promise.all(calls);
  assert.equal(storedCount, calls.length - refused.length, "what was taken is stored, what was refused is not");
  assert.equal((await api.submit()).namespace, "default", "and the scheduler goes on");
});
