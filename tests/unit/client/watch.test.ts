/** The client's watch goes on over what going on mends. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  ExecutionServiceService,
  ListExecutionsResponse,
  type WatchExecutionsRequest,
  WatchExecutionsResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { JobmeshError, MeshClient } from "../../../services/client/index.ts";
import type { Reason } from "../../../services/common/error/reasons.ts";
import type { SendStream } from "../../../services/common/rpc/contract.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";

type Turn = (stream: SendStream<WatchExecutionsResponse>) => void | Promise<void>;

/** A server whose watches go as the turns say, one after the other. */
async function setup(t: TestContext, turns: Turn[]) {
  const asked: WatchExecutionsRequest[] = [];
  const lists = { count: 0 };
  const server = new RpcServer({ log: silentLogger, clock: new SystemClock() }, { listen: "127.0.0.1:0" });
  server.addService(ExecutionServiceService, {
    listExecutions: () => {
      lists.count += 1;
      return ListExecutionsResponse.fromPartial({ resumeToken: "of the list" });
    },
    watchExecutions: async (request, stream) => {
      asked.push(request);
      await turns.shift()?.(stream);
    },
  });
  const { address } = await server.start();
  t.after(() => server.stop(0));
  const client = new MeshClient({ target: address });
  t.after(() => client.close());
  return { client, asked, lists };
}

const tell =
  (executionId: string): Turn =>
  (stream) => {
    stream.send(
      WatchExecutionsResponse.fromPartial({ execution: { executionId }, resumeToken: `after ${executionId}` }),
    );
  };
const fail =
  (reason: Reason): Turn =>
  () => {
    throw new JobmeshError(reason, { retryDelayMs: 1 });
  };
const both =
  (...turns: Turn[]): Turn =>
  async (stream) => {
    for (const turn of turns) await turn(stream);
  };

test("a watch begins at a list's token, and goes on from its last one when its stream breaks", async (t) => {
  const { client, asked, lists } = await setup(t, [
    fail("STORE_UNAVAILABLE"),
    both(tell("a"), tell("b"), fail("SHUTTING_DOWN")),
    fail("OVERLOADED"),
    tell("c"),
  ]);
  const seen: string[] = [];
  for await (const { execution } of client.watch()) seen.push(execution?.executionId ?? "");
  assert.deepEqual(seen, ["a", "b", "c"]);
  assert.deepEqual(
    asked.map(({ resumeToken }) => resumeToken),
    ["of the list", "of the list", "after b", "after b"],
  );
  assert.equal(lists.count, 1);
});

test("a message with a token alone is no change, and its token is where the watch goes on", async (t) => {
  const quiet: Turn = (stream) => {
    stream.send(WatchExecutionsResponse.fromPartial({ resumeToken: "after nothing" }));
  };
  const { client, asked } = await setup(t, [both(tell("a"), quiet, fail("SHUTTING_DOWN")), tell("b")]);
  const ids: string[] = [];
  for await (const { execution } of client.watch({})) ids.push(execution?.executionId ?? "none");
  assert.deepEqual(ids, ["a", "b"]);
  assert.deepEqual(
    asked.map(({ resumeToken }) => resumeToken),
    ["of the list", "after nothing"],
  );
});

test("a watch of one execution, or from a token, asks for no list", async (t) => {
  const { client, asked, lists } = await setup(t, [tell("a"), tell("a")]);
  for await (const _ of client.watch({ executionId: "a" }));
  for await (const _ of client.watch({ resumeToken: "given" }));
  assert.equal(lists.count, 0);
  assert.deepEqual(
    asked.map(({ resumeToken }) => resumeToken),
    ["", "given"],
  );
});

test("a watch ends with an error that going on does not mend", async (t) => {
  for (const reason of ["RESUME_TOKEN_EXPIRED", "EXECUTION_NOT_FOUND", "INVALID_FIELD"] as const) {
    const { client, asked } = await setup(t, [fail(reason)]);
    await assert.rejects(
      async () => {
        for await (const _ of client.watch()) assert.fail("nothing was told");
      },
      (error) => error instanceof JobmeshError && error.reason === reason,
    );
    assert.equal(asked.length, 1);
  }
});
