import assert from "node:assert/strict";
import { test } from "node:test";
import { ReadLogsRequest, type ReadLogsResponse } from "../../../gen/jobmesh/v1/execution_service.ts";
import type { AttemptKey, ExecutionId } from "../../../services/common/domain/identifier.ts";
import type { Store } from "../../../services/common/port/store.ts";
import type { ExecutionStore } from "../../../services/common/port/store-executions.ts";
import type { CallContext, SendStream } from "../../../services/common/rpc/contract.ts";
import { LogReader } from "../../../services/scheduler/api/log-reader.ts";
import type { ScriptedExecutor } from "../../support/scripted-executor.ts";
import { advanceTurning, follow, piece, running, turns, write } from "./log-follow.ts";
import { duration, errorOf, type TestApi, testApi } from "./setup.ts";

const retried = { policy: { retry: { maxAttempts: 3, initialInterval: duration(500) } } };
const failed = {
  kind: "failed",
  failure: { code: 2, message: "no", reason: "exit:1" },
  nonRetryable: false,
  retryDelayMs: null,
} as const;

/** The attempt fails, having said that it wrote so many pieces. */
async function fail(api: TestApi, executor: ScriptedExecutor, key: AttemptKey, outputPieceCount: number) {
  executor.result(key, failed, { outputPieceCount, exitCode: 1 });
  await turns(api);
}

/** The next attempt begins, as its timer and the dispatcher would make it; its key. */
async function nextAttempt(api: TestApi, executor: ScriptedExecutor, executionId: string): Promise<AttemptKey> {
  await api.clock.advance(500);
  await api.store.executions.makeReady([executionId as ExecutionId]);
  executor.beat(1, executor.orders.length);
  await turns(api);
  await api.dispatcher.runOnce(new AbortController().signal);
  await turns(api);
  return executor.orders.at(-1)?.key ?? assert.fail("it was dispatched again");
}

const texts = (log: ReturnType<typeof follow>) =>
  log.pieces.map(({ attempt, sequence, content }) => `${attempt}/${sequence} ${content?.value}`);

test("until_ended goes on over retries: the pieces of all attempts in order, to the end of the execution", async (t) => {
  const api = await testApi(t);
  const { executor, execution, key } = await running(api, retried);
  const { executionId } = execution;
  const log = follow(api, { executionId, untilEnded: true });
  const followed = follow(api, { executionId, follow: true });
  await write(api, piece(key, 1, "a"), piece(key, 2, "b"));
  await log.arrived(2);
  await fail(api, executor, key, 2);
  await advanceTurning(api, 250);
  await followed.done;
  assert.equal(followed.pieces.length, 2, "follow ends with the attempt");
  const second = await nextAttempt(api, executor, executionId);
  await write(api, piece(second, 1, "c"));
  await api.clock.advance(250);
  await log.arrived(3);
  await fail(api, executor, second, 1);
  const third = await nextAttempt(api, executor, executionId);
  await write(api, piece(third, 1, "d"));
  executor.result(third, { kind: "succeeded", result: new Uint8Array() }, { outputPieceCount: 1 });
  await turns(api);
  await advanceTurning(api, 500);
  await log.done;
  assert.deepEqual(texts(log), ["1/1 a", "1/2 b", "2/1 c", "3/1 d"]);

  const from = async (request: object): Promise<string[]> => {
    const again = follow(api, { executionId, untilEnded: true, ...request });
    await again.done;
    return texts(again);
  };
  assert.deepEqual(await from({ attempt: 1 }), ["1/1 a", "1/2 b", "2/1 c", "3/1 d"], "from the first attempt on");
  assert.deepEqual(await from({ attempt: 1, afterSequence: 1n }), ["1/2 b", "2/1 c", "3/1 d"], "resumed");
  assert.deepEqual(await from({ attempt: 2, afterSequence: 1n }), ["3/1 d"]);
  assert.deepEqual(await from({}), ["3/1 d"], "the last attempt where none is named");
  assert.deepEqual(await from({ attempt: 1, tailLines: 2n }), ["2/1 c", "3/1 d"], "the tail of all that is there");
  assert.deepEqual(await from({ attempt: 1, tailLines: 3n }), ["1/1 a", "1/2 b", "2/1 c", "3/1 d"]);
  assert.deepEqual(await from({ attempt: 3, tailLines: 9n }), ["3/1 d"]);
});

test("an attempt that ended while a later one waits for its time is shown at once", async (t) => {
  const api = await testApi(t);
  const { executor, execution, key } = await running(api, retried);
  await fail(api, executor, key, 0);
  const second = await nextAttempt(api, executor, execution.executionId);
  await write(api, piece(second, 1, "c"));
  await fail(api, executor, second, 1);
  const log = follow(api, { executionId: execution.executionId, attempt: 1, untilEnded: true });
  await log.arrived(1);
  assert.deepEqual(texts(log), ["2/1 c"]);
  await api.executions.cancelExecution({ executionId: execution.executionId, reason: "" });
  await advanceTurning(api, 500);
  await log.done;
});

test("until_ended follows one that waits for its first attempt, and ends with one that never has any", async (t) => {
  const api = await testApi(t);
  const { executionId } = await api.submit();
  const log = follow(api, { executionId, untilEnded: true, tailLines: 5n });
  await turns(api);
  await api.executions.cancelExecution({ executionId, reason: "" });
  await advanceTurning(api, 500);
  await log.done;
  assert.deepEqual(log.pieces, []);
});

test("rule 35: pieces that never arrive are said when the execution has ended; later attempts are shown", async (t) => {
  const api = await testApi(t);
  const { executor, execution, key } = await running(api, retried);
  await write(api, piece(key, 1, "a"));
  await fail(api, executor, key, 4);
  const second = await nextAttempt(api, executor, execution.executionId);
  await write(api, piece(second, 1, "c"));
  executor.result(second, { kind: "succeeded", result: new Uint8Array() }, { outputPieceCount: 1 });
  await turns(api);
  const log = follow(api, { executionId: execution.executionId, attempt: 1, untilEnded: true });
  await log.arrived(1);
  await advanceTurning(api, 6_000);
  const error = await errorOf(log.done);
  assert.deepEqual(
    [error.code, error.reason, error.message],
    ["DATA_LOSS", "LOG_INCOMPLETE", "attempt 1: 3 of 4 pieces never arrived"],
  );
  assert.deepEqual(texts(log), ["1/1 a", "2/1 c"]);
});

test("a log whose attempt and execution end between two looks is whole all the same", async (t) => {
  const api = await testApi(t);
  const { executor, execution, key } = await running(api);
  await write(api, piece(key, 1, "a"));
  let ended = false;
  // Between the look at the attempt and the look at the execution everything ends.
  const executions: Pick<ExecutionStore, "get" | "states"> = {
    get: (executionId) => api.store.executions.get(executionId),
    states: async (ids) => {
      if (!ended) {
        ended = true;
        await write(api, piece(key, 2, "b"));
        executor.result(key, { kind: "succeeded", result: new Uint8Array() }, { outputPieceCount: 2 });
        await turns(api);
      }
      return await api.store.executions.states(ids);
    },
  };
  const store = { output: api.store.output, executions } as Store;
  const sent: ReadLogsResponse[] = [];
  const stream = { send: (one: ReadLogsResponse) => sent.push(one) > 0 } as SendStream<ReadLogsResponse>;
  const context = { signal: new AbortController().signal, stopping: new AbortController().signal } as CallContext;
  const request = ReadLogsRequest.fromPartial({ executionId: execution.executionId, follow: true });
  await new LogReader({ store, hints: api.hints, clock: api.clock }).open(request, stream, context);
  assert.deepEqual(
    sent.map(({ content }) => content?.value),
    ["a", "b"],
  );
});
