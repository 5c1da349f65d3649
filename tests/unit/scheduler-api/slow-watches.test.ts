/** WatchExecutions where nothing happens, the store is away, or the watcher does not read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutionState, ExecutionView } from "../../../gen/jobmesh/v1/execution.ts";
import {
  ListExecutionsRequest,
  WatchExecutionsRequest,
  type WatchExecutionsResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import type { ExecutionId } from "../../../services/common/domain/identifier.ts";
import type { CallContext, SendStream } from "../../../services/common/rpc/contract.ts";
import { watchOne } from "../../../services/scheduler/api/one-execution-watch.ts";
import { readWatchRequest } from "../../../services/scheduler/api/watch-request.ts";
import { placeOfToken } from "../../../services/scheduler/feed/resume-token.ts";
import { errorOf, testApi } from "./setup.ts";
import { endElsewhere, passUntil, turn, watch } from "./watching.ts";

const { EXECUTION_STATE_READY: READY, EXECUTION_STATE_CANCELLED: CANCELLED } = ExecutionState;

test("a watch that was cut off from its store while ends were deleted is OUT_OF_RANGE", async (t) => {
  const api = await testApi(t);
  const watched = await watch(api);
  const { feed } = api.store;
  const { ended } = feed;
  feed.ended = async () => {
    throw new Error("the store is away");
  };
  await api.clock.advance(250);
  await endElsewhere(api, await api.submit());
  await api.clock.advance(120_000);
  await api.store.retention.deleteEnded(api.nowUs() - 60_000_000, null, 250);
  feed.ended = ended;
  await api.clock.advance(250);
  const error = await errorOf(watched.over);
  assert.deepEqual([error.code, error.reason, watched.answers.length], ["OUT_OF_RANGE", "RESUME_TOKEN_EXPIRED", 0]);
});

test("a quiet watch gets newer tokens, one of which goes on after a restart beyond retention", async (t) => {
  const api = await testApi(t);
  const watched = await watch(api, { filter: { labels: { team: "blue" } } });
  await api.clock.advance(60_000);
  await endElsewhere(api, await api.submit());
  for (let second = 0; second < 60; second += 1) await api.clock.advance(1_000);
  for (let turns = 0; turns < 2_000 && watched.places.length < 10; turns += 1) await turn();
  assert.ok(watched.places.length >= 10, `${watched.places.length}`);
  assert.deepEqual(watched.answers, []);
  await watched.leave();
  await api.clock.advance(1_000);
  const blue = await api.submit({ labels: { team: "blue" } });
  await endElsewhere(api, blue);
  await api.store.retention.deleteEnded(api.nowUs() - 60_000_000, null, 250);
  const again = await watch(api, { resumeToken: watched.places.at(-1)?.resumeToken ?? "" });
  await passUntil(api, again, 1);
  assert.deepEqual(again.ids(), [blue.executionId]);
  await again.leave();
});

test("a watch that passes over many ends of others while it catches up gets a newer token on the way", async (t) => {
  const api = await testApi(t);
  const { resumeToken } = await api.executions.listExecutions(ListExecutionsRequest.fromPartial({}));
  await api.clock.advance(1_000);
  for (let count = 0; count < 2_001; count += 1) await endElsewhere(api, await api.submit());
  await api.clock.advance(60_000);
  const filter = { labels: { team: "blue" } };
  const watched = await watch(api, { filter, resumeToken });
  // After each 2,000.
  await passUntil(api, { answers: watched.places }, 1);
  await watched.leave();
  const newer = watched.places[0]?.resumeToken ?? "";
  assert.ok((placeOfToken(newer)?.endedUs ?? 0) > (placeOfToken(resumeToken)?.endedUs ?? 0));
  const again = await watch(api, { filter, resumeToken: newer });
  await endElsewhere(api, await api.submit({ labels: { team: "blue" } }));
  await passUntil(api, again, 1);
  await again.leave();
});

test("a watcher of one execution that does not read is told no state more until it does", async (t) => {
  const api = await testApi(t);
  api.waits.start();
  const execution = await api.submit();
  const sent: WatchExecutionsResponse[] = [];
  const room = Promise.withResolvers<void>();
  const stream = {
    send: (message: WatchExecutionsResponse, bytes?: number) => {
      assert.ok((bytes ?? 0) > 0, "large ones are counted by their bytes");
      return sent.push(message) > 1;
    },
    ready: () => room.promise,
  } as SendStream<WatchExecutionsResponse>;
  const context = { signal: new AbortController().signal, stopping: new AbortController().signal } as CallContext;
  const wanted = readWatchRequest(WatchExecutionsRequest.fromPartial({ view: ExecutionView.EXECUTION_VIEW_FULL }));
  const id = execution.executionId as ExecutionId;
  const over = watchOne(api, id, { ...wanted, filter: { ...wanted.filter, namespace: null } }, stream, context);
  while (sent.length === 0) await turn();
  await endElsewhere(api, execution);
  await api.clock.advance(1_000);
  assert.equal(sent.length, 1);
  room.resolve();
  await passUntil(api, { answers: sent }, 2);
  await over;
  assert.deepEqual(
    sent.map((message) => message.execution?.state),
    [READY, CANCELLED],
  );
});
