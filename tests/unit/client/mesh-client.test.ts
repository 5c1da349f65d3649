import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Execution, ExecutionState, ExecutionView } from "../../../gen/jobmesh/v1/execution.ts";
import {
  ExecutionServiceService,
  GetExecutionResponse,
  SubmitExecutionResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { command, JobmeshError, MeshClient } from "../../../services/client/index.ts";
import type { Handlers } from "../../../services/common/rpc/contract.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";

const ID = "00000000-0000-7000-8000-000000000000";

async function setup(t: TestContext, handlers: Handlers<typeof ExecutionServiceService>, listen = "127.0.0.1:0") {
  const server = new RpcServer({ log: silentLogger, clock: new SystemClock() }, { listen });
  server.addService(ExecutionServiceService, handlers);
  const { address } = await server.start();
  t.after(() => server.stop(0));
  const client = new MeshClient({ target: address });
  t.after(() => client.close());
  return { server, address, client };
}

const ended = (): GetExecutionResponse =>
  GetExecutionResponse.fromPartial({ execution: { executionId: ID, state: ExecutionState.EXECUTION_STATE_SUCCEEDED } });

test("a submission goes with the contract's defaults and answers the stored execution", async (t) => {
  const { client } = await setup(t, {
    submitExecution: (request) =>
      SubmitExecutionResponse.fromPartial({ execution: { executionId: ID, name: request.name } }),
  });
  const execution = await client.submit({ target: command("true"), name: "n" });
  assert.deepEqual([execution.executionId, execution.name], [ID, "n"]);
});

test("an answer without an execution is an error, and never undefined", async (t) => {
  const { client } = await setup(t, { submitExecution: () => SubmitExecutionResponse.create() });
  await assert.rejects(
    client.submit({ target: command("true") }),
    (error) => error instanceof JobmeshError && error.code === "INTERNAL",
  );
});

test("a wait asks for all of the execution, and goes on over what waiting mends", async (t) => {
  const answers: (() => GetExecutionResponse)[] = [
    () => {
      throw new JobmeshError("SHUTTING_DOWN");
    },
    () => {
      throw new JobmeshError("DEADLINE");
    },
    () => {
      throw new JobmeshError("STORE_UNAVAILABLE");
    },
    ended,
  ];
  const asked: unknown[] = [];
  const { client } = await setup(t, {
    getExecution: (request) => {
      asked.push(request);
      return answers.shift()?.() ?? assert.fail("it asks no more");
    },
  });
  const execution: Execution = await client.waitUntilEnded(ID);
  assert.equal(execution.state, ExecutionState.EXECUTION_STATE_SUCCEEDED);
  assert.equal(asked.length, 4);
  assert.deepEqual(asked[0], { executionId: ID, waitUntilEnded: true, view: ExecutionView.EXECUTION_VIEW_FULL });
});

test("a wait ends with an error that waiting does not mend", async (t) => {
  const { client } = await setup(t, {
    getExecution: () => {
      throw new JobmeshError("EXECUTION_NOT_FOUND");
    },
  });
  await assert.rejects(
    client.waitUntilEnded(ID),
    (error) => error instanceof JobmeshError && error.reason === "EXECUTION_NOT_FOUND",
  );
});

test("a wait ends when its signal aborts, while it asks and while it pauses", async (t) => {
  const taken = Promise.withResolvers<void>();
  const { client } = await setup(t, {
    getExecution: async (_, context) => {
      taken.resolve();
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      return ended();
    },
  });
  const asking = new AbortController();
  const first = client.waitUntilEnded(ID, asking.signal);
  await taken.promise;
  asking.abort();
  await assert.rejects(first);
  await assert.rejects(client.waitUntilEnded(ID, AbortSignal.abort()));
  const away = await setup(t, {
    getExecution: () => {
      throw new JobmeshError("STORE_UNAVAILABLE");
    },
  });
  await assert.rejects(away.client.waitUntilEnded(ID, AbortSignal.timeout(50)));
});

test("a wait outlives its server: it goes on with the one that comes after", async (t) => {
  const taken = Promise.withResolvers<void>();
  const first = await setup(t, {
    getExecution: async (_, context) => {
      taken.resolve();
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      throw context.signal.reason;
    },
  });
  const waiting = first.client.waitUntilEnded(ID, AbortSignal.timeout(20_000));
  await taken.promise;
  await first.server.stop(0);
  await setup(t, { getExecution: ended }, first.address);
  assert.equal((await waiting).executionId, ID);
});

test("connected says whether there is a server", async (t) => {
  const { client } = await setup(t, {});
  await client.connected(5_000);
  const nobody = new MeshClient({ target: "127.0.0.1:1" });
  t.after(() => nobody.close());
  await assert.rejects(
    nobody.connected(50),
    (error) => error instanceof JobmeshError && error.reason === "PEER_UNAVAILABLE",
  );
});
