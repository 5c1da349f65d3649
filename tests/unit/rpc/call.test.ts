import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, credentials } from "@grpc/grpc-js";
import {
  CancelExecutionRequest,
  ExecutionServiceService as Executions,
  GetExecutionRequest,
  GetExecutionResponse,
  ReadLogsRequest,
  ReadLogsResponse,
} from "../../../gen/jobmesh/v1/execution_service.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import type { Reason } from "../../../services/common/error/reasons.ts";
import type { CallContext } from "../../../services/common/rpc/contract.ts";
import type { LogFields, Logger } from "../../../services/common/runtime/log.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { deferred, setup } from "./setup.ts";

const request = GetExecutionRequest.fromPartial({ executionId: "e-1" });

async function failure(promise: Promise<unknown>): Promise<JobmeshError> {
  const thrown = await promise.then(
    () => assert.fail("the call succeeded"),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof JobmeshError, String(thrown));
  return thrown;
}

function reasonIs(reason: Reason): (error: unknown) => boolean {
  return (error) => error instanceof JobmeshError && error.reason === reason;
}

test("a unary handler is a plain function of request and context", async () => {
  await using mesh = await setup({
    execution: {
      getExecution: (got, context) => {
        assert.equal(got.executionId, "e-1");
        assert.equal(context.method, "jobmesh.v1.ExecutionService/GetExecution");
        assert.equal(context.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert.equal(context.tracestate, "a=b");
        assert.equal(context.metadata("x-test"), "yes");
        assert.match(context.peer, /^127\.0\.0\.1:\d+$/);
        return GetExecutionResponse.fromPartial({ execution: { executionId: got.executionId } });
      },
    },
  });
  const response = await mesh.channel.unary(Executions.getExecution, request, {
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: "a=b",
    metadata: { "x-test": "yes" },
  });
  assert.equal(response.execution?.executionId, "e-1");
});

test("an error keeps its reason, fields, metadata and delay across the wire", async () => {
  const sent = new JobmeshError("EXECUTOR_ID_TAKEN", {
    message: "ünïcode message",
    metadata: { executor_id: "x" },
    retryDelayMs: 1500,
    fieldViolations: [{ field: "a.b", description: "must be at most 4" }],
  });
  await using mesh = await setup({
    execution: {
      getExecution: () => {
        throw sent;
      },
    },
  });
  const got = await failure(mesh.channel.unary(Executions.getExecution, request));
  assert.equal(got.reason, sent.reason);
  assert.equal(got.code, "ALREADY_EXISTS");
  assert.equal(got.message, sent.message);
  assert.equal(got.retryDelayMs, 1500);
  assert.deepEqual(got.metadata, sent.metadata);
  assert.deepEqual(got.fieldViolations, sent.fieldViolations);
});

test("a method without a handler answers UNIMPLEMENTED with its reason", async () => {
  await using mesh = await setup({});
  const unary = await failure(mesh.channel.unary(Executions.getExecution, request));
  assert.equal(unary.reason, "NOT_IMPLEMENTED");
  assert.equal(unary.metadata.method, "jobmesh.v1.ExecutionService/GetExecution");
  const logs = mesh.channel.serverStream(Executions.readLogs, ReadLogsRequest.create({}));
  assert.equal((await failure(logs.next())).reason, "NOT_IMPLEMENTED");
  const closed = deferred<JobmeshError | null>();
  mesh.channel.bidi(Executions.submitExecutions).onClosed(closed.resolve);
  assert.equal((await closed.promise)?.reason, "NOT_IMPLEMENTED");
});

test("an error that nobody foresaw is opaque to the caller and logged once with its stack", async () => {
  const lines: LogFields[] = [];
  const log: Logger = { ...silentLogger, error: (fields) => lines.push(fields) };
  const bug = new TypeError("secret detail");
  await using mesh = await setup({
    log,
    execution: {
      getExecution: () => {
        throw bug;
      },
    },
  });
  const calls = [1, 2, 3].map(() => failure(mesh.channel.unary(Executions.getExecution, request)));
  for (const error of await Promise.all(calls)) {
    assert.equal(error.code, "INTERNAL");
    assert.doesNotMatch(error.message, /secret/);
  }
  assert.equal(lines.length, 1);
  assert.equal(lines[0]?.err, bug);
});

test("bytes that are no message of the method are INVALID_ARGUMENT", async () => {
  await using mesh = await setup({ execution: { getExecution: () => assert.fail("must not run") } });
  const method = { ...Executions.getExecution, requestSerialize: () => Buffer.from([0x0a, 0xff, 0xff]) };
  const error = await failure(mesh.channel.unary(method, request));
  assert.equal(error.reason, "MALFORMED_REQUEST");
  assert.equal(error.code, "INVALID_ARGUMENT");
});

test("a request is taken at the size limit and refused one byte above it", async () => {
  const answer = (): GetExecutionResponse => GetExecutionResponse.create({});
  await using mesh = await setup({ server: { maxMessageBytes: 1000 }, execution: { getExecution: answer } });
  const sized = (bytes: number) => GetExecutionRequest.fromPartial({ executionId: "x".repeat(bytes - 3) });
  assert.equal(GetExecutionRequest.encode(sized(1000)).finish().length, 1000);
  await mesh.channel.unary(Executions.getExecution, sized(1000));
  const error = await failure(mesh.channel.unary(Executions.getExecution, sized(1001)));
  assert.equal(error.reason, "MESSAGE_TOO_LARGE");
  assert.match(error.message, /1001 bytes; at most 1000/);
});

/** A handler that answers nothing, and what it saw. */
function waitsForAbort() {
  const started = deferred<CallContext>();
  const aborted = deferred<unknown>();
  const getExecution = (_: GetExecutionRequest, context: CallContext): Promise<GetExecutionResponse> =>
    new Promise((_resolve, reject) => {
      const { signal } = context;
      signal.addEventListener("abort", () => {
        aborted.resolve(signal.reason);
        reject(signal.reason);
      });
      started.resolve(context);
    });
  return { started: started.promise, aborted: aborted.promise, execution: { getExecution } };
}

test("the handler's signal aborts when the caller cancels", async () => {
  const { started, aborted, execution } = waitsForAbort();
  await using mesh = await setup({ execution });
  const controller = new AbortController();
  const call = failure(mesh.channel.unary(Executions.getExecution, request, { signal: controller.signal }));
  await started;
  controller.abort();
  assert.equal((await call).reason, "CANCELLED");
  assert.ok(reasonIs("CANCELLED")(await aborted));
});

test("the deadline reaches the handler and ends the call", async () => {
  const { started, aborted, execution } = waitsForAbort();
  await using mesh = await setup({ execution });
  // Only the server counts: a caller that counts too may leave a moment before the server's deadline.
  const options = { timeoutMs: null, metadata: { "grpc-timeout": "80m" } };
  const error = await failure(mesh.channel.unary(Executions.getExecution, request, options));
  assert.equal(error.reason, "DEADLINE");
  assert.ok(reasonIs("DEADLINE")(await aborted));
  assert.notEqual((await started).deadlineMs, null);
});

test("a caller's timeout reaches the handler as its deadline, and ends the call and the handler's signal", async () => {
  const { started, aborted, execution } = waitsForAbort();
  await using mesh = await setup({ execution });
  const error = await failure(mesh.channel.unary(Executions.getExecution, request, { timeoutMs: 80 }));
  assert.equal(error.reason, "DEADLINE");
  assert.ok((await aborted) instanceof JobmeshError);
  assert.notEqual((await started).deadlineMs, null);
});

test("a server stream sends all, then ends; leaving the loop cancels it", async () => {
  const left = deferred<unknown>();
  await using mesh = await setup({
    execution: {
      readLogs: async (asked, stream, { signal }) => {
        for (let count = 0; count < 3; count++) stream.send(ReadLogsResponse.create({}));
        if (asked.executionId === "") return;
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        left.resolve(signal.reason);
      },
    },
  });
  let seen = 0;
  for await (const _ of mesh.channel.serverStream(Executions.readLogs, ReadLogsRequest.create({}))) seen++;
  assert.equal(seen, 3);
  const following = ReadLogsRequest.fromPartial({ executionId: "follow" });
  for await (const _ of mesh.channel.serverStream(Executions.readLogs, following)) break;
  assert.ok(reasonIs("CANCELLED")(await left.promise));
});

test("a client of no library of ours sees the status and its text", async () => {
  await using mesh = await setup({
    execution: {
      cancelExecution: () => {
        throw JobmeshError.invalid({ field: "execution_id", description: "must be 1 to 64 characters; was 0" });
      },
    },
  });
  const raw = new Client(mesh.address, credentials.createInsecure());
  const bytes = Buffer.from(CancelExecutionRequest.encode(CancelExecutionRequest.create({})).finish());
  const same = (value: Buffer): Buffer => value;
  const error = await new Promise<{ code?: number; details?: string } | null>((resolve) => {
    raw.makeUnaryRequest(Executions.cancelExecution.path, same, same, bytes, (thrown) => resolve(thrown));
  });
  raw.close();
  assert.equal(error?.code, 3);
  assert.equal(error?.details, "execution_id: must be 1 to 64 characters; was 0");
});
