import assert from "node:assert/strict";
import type { Execution, ExecutionState } from "../../../gen/jobmesh/v1/execution.ts";
import {
  type DeepPartial,
  WatchExecutionsRequest,
  type WatchExecutionsResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import type { TestApi } from "./setup.ts";

/** Lets what is due in this turn of the event loop happen. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A watch, once the server has taken it, and what it was told so far. */
export async function watch(api: TestApi, request: DeepPartial<WatchExecutionsRequest> = {}) {
  const before = api.feed.watchers;
  const caller = new AbortController();
  const answers: WatchExecutionsResponse[] = [];
  /** Messages with a token alone. */
  const places: WatchExecutionsResponse[] = [];
  const stream = api.executions.watchExecutions(WatchExecutionsRequest.fromPartial(request), { signal: caller.signal });
  let isOver = false;
  const over = (async () => {
    for await (const answer of stream) (answer.execution === undefined ? places : answers).push(answer);
  })().finally(() => {
    isOver = true;
  });
  over.catch(() => undefined);
  while (api.feed.watchers === before && !isOver) await turn();
  await api.clock.settle();
  return {
    answers,
    places,
    over,
    states: (): ExecutionState[] => answers.map(({ execution }) => execution?.state ?? 0),
    ids: (): string[] => answers.map(({ execution }) => execution?.executionId ?? ""),
    /** Resolves when it was told so many changes. */
    told: async (count: number): Promise<void> => {
      while (answers.length < count && !isOver) await turn();
      if (answers.length < count) await over;
      assert.equal(answers.length, count);
    },
    leave: async (): Promise<void> => {
      const now = api.feed.watchers;
      caller.abort();
      await over.catch(() => undefined);
      while (api.feed.watchers === now) await turn();
    },
  };
}

/** Lets time pass until a watcher has been told so many changes. */
export async function passUntil(api: TestApi, watched: { readonly answers: readonly unknown[] }, count: number) {
  for (let turns = 0; turns < 2_000 && watched.answers.length < count; turns += 1) {
    if (turns % 20 === 19) await api.clock.advance(50);
    await turn();
  }
  assert.equal(watched.answers.length, count);
}

/** Ends it by a call. */
export const cancel = (api: TestApi, { executionId }: Execution) =>
  api.executions.cancelExecution({ executionId, reason: "" });

/** Ends it in the store, as another scheduler does of which no hint comes. */
export const endElsewhere = (api: TestApi, { executionId }: Execution) =>
  api.store.executions.requestStop(executionId as ExecutionId, "CANCEL", "elsewhere");
