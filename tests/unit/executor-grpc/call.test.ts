import assert from "node:assert/strict";
import { test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { RenderResponse } from "../../../examples/report/gen/acme/report/v1/report_service.ts";
import { BadRequest, ErrorInfo, RetryInfo } from "../../../gen/google/rpc/error_details.ts";
import { Status } from "../../../gen/google/rpc/status.ts";
import { bytesRequest, failureOf, RENDER, setup, startServer, textOf } from "./setup.ts";

/** A status with details, as servers send it. */
function withDetails(code: number, ...details: Status["details"]) {
  const metadata = new Metadata();
  const packed = Status.encode({ code, message: "told", details }).finish();
  metadata.set("grpc-status-details-bin", Buffer.from(packed));
  return { code, details: "told", metadata };
}

function any(name: string, value: Uint8Array): Status["details"][number] {
  return { typeUrl: `type.googleapis.com/google.rpc.${name}`, value: Buffer.from(value) };
}

test("a call sends its bytes, and the answer's bytes are the result", async (t) => {
  const server = await startServer(t);
  const { outcome } = setup(t);
  assert.equal(textOf(await outcome({ address: server.address, payload: bytesRequest("March") })), "March: 0");
  assert.equal(textOf(await outcome({ address: `dns:///${server.address}` })), ": 0", "without a payload it is empty");
});

test("the attempt's timeout is the call's deadline, which the server is told", async (t) => {
  const server = await startServer(t);
  const { outcome } = setup(t);
  await outcome({ address: server.address }, { timeoutMs: 7_000 });
  const leftMs = server.calls[0]?.leftMs ?? 0;
  assert.ok(leftMs > 5_000 && leftMs <= 7_001, `${leftMs}`);
});

test("each status of a server is a failure by its name, with the server's text", async (t) => {
  let code = 0;
  const server = await startServer(t, { render: (_call, answer) => answer({ code, details: `no ${code}` }) });
  const { outcome } = setup(t);
  for (code = 1; code <= 16; code++) {
    const {
      reason,
      message,
      code: told,
      nonRetryable,
      retryDelayMs,
    } = failureOf(await outcome({ address: server.address }));
    assert.deepEqual({ reason, message, told }, { reason: `grpc:${status[code]}`, message: `no ${code}`, told: code });
    assert.deepEqual([nonRetryable, retryDelayMs], [false, null], "the policy decides");
  }
});

test("RetryInfo sets the wait, within a day; other details, and broken ones, do no harm", async (t) => {
  const waits: readonly (readonly [bigint, number, number])[] = [
    [1n, 500_000_000, 1_500],
    [0n, 0, 0],
    [-5n, 0, 0],
    [10n ** 12n, 0, 86_400_000],
  ];
  const details: Status["details"][] = waits.map(([seconds, nanos]) => {
    const info = ErrorInfo.encode({ reason: "BUSY", domain: "acme", metadata: {} }).finish();
    const wait = RetryInfo.encode({ retryDelay: { seconds, nanos } }).finish();
    return [
      any("ErrorInfo", info),
      any("BadRequest", BadRequest.encode({ fieldViolations: [] }).finish()),
      any("RetryInfo", wait),
    ];
  });
  details.push([any("RetryInfo", Buffer.of(0x0a, 0xff))]);
  let next = 0;
  const server = await startServer(t, {
    render: (_call, answer) => answer(withDetails(status.RESOURCE_EXHAUSTED, ...(details[next++] ?? []))),
  });
  const { outcome } = setup(t);
  for (const [, , wantedMs] of waits) {
    const failure = failureOf(await outcome({ address: server.address }));
    assert.deepEqual(
      [failure.reason, failure.message, failure.retryDelayMs],
      ["grpc:RESOURCE_EXHAUSTED", "told", wantedMs],
    );
  }
  const broken = failureOf(await outcome({ address: server.address }));
  assert.deepEqual([broken.reason, broken.message, broken.retryDelayMs], ["grpc:RESOURCE_EXHAUSTED", "told", null]);
});

test("a server that is not there is UNAVAILABLE, and is found again when it is back", async (t) => {
  const first = await startServer(t);
  const { outcome } = setup(t);
  assert.equal(textOf(await outcome({ address: first.address })), ": 0");
  first.stop();
  const gone = failureOf(await outcome({ address: first.address }));
  assert.deepEqual([gone.reason, gone.nonRetryable], ["grpc:UNAVAILABLE", false]);
  await startServer(t, { port: first.port });
  for (let tries = 0; ; tries++) {
    const again = await outcome({ address: first.address });
    if (again.kind === "succeeded") break;
    // Each try is a real call; the connection is tried again within 2 s.
    assert.ok(tries < 100_000, "the server is not found again");
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test("a name of the mesh without a registry is UNAVAILABLE by the name", async (t) => {
  const { outcome } = setup(t);
  const { reason, message } = failureOf(await outcome({ address: "etcd:///billing" }));
  assert.equal(reason, "grpc:UNAVAILABLE");
  assert.match(message, /etcd:\/\/\/billing: no registry is set up for this process/);
});

test("an answer is kept up to 256 KiB; a larger one fails and is not tried again, whatever its size", async (t) => {
  const limit = 256 * 1024;
  const sizes = [limit, limit + 1, 5 * 1024 * 1024];
  const server = await startServer(t, {
    render: (_call, answer) => {
      const size = sizes.shift() ?? 0;
      const head = RenderResponse.encode(RenderResponse.fromPartial({ text: "x".repeat(size) })).finish().length - size;
      answer(null, RenderResponse.fromPartial({ text: "x".repeat(size - head) }));
    },
  });
  const { outcome } = setup(t);
  const fits = await outcome({ address: server.address });
  assert.ok(fits.kind === "succeeded");
  assert.equal(fits.result.length, limit);
  const over = failureOf(await outcome({ address: server.address }));
  assert.deepEqual([over.reason, over.nonRetryable], ["RESULT_TOO_LARGE", true]);
  assert.match(over.message, /the answer has 262145 bytes; at most 262144 are kept/);
  const far = failureOf(await outcome({ address: server.address }));
  assert.deepEqual([far.reason, far.nonRetryable], ["RESULT_TOO_LARGE", true]);
  assert.match(far.message, /more than 4194304 bytes/);
});

test("a method that the server does not have is UNIMPLEMENTED", async (t) => {
  const server = await startServer(t);
  const { outcome } = setup(t);
  const { reason } = failureOf(
    await outcome({ address: server.address, method: "acme.report.v1.ReportService/Other" }),
  );
  assert.equal(reason, "grpc:UNIMPLEMENTED");
});

test("the target's metadata goes along, values of -bin keys as bytes", async (t) => {
  const server = await startServer(t);
  const { outcome } = setup(t);
  const metadata = { "x-team": "a b", "x-raw-bin": Buffer.of(0, 255).toString("base64") };
  await outcome({ address: server.address, metadata });
  const seen = server.calls[0]?.metadata;
  assert.deepEqual(seen?.get("x-team"), ["a b"]);
  assert.deepEqual(seen?.get("x-raw-bin"), [Buffer.of(0, 255)]);
});

test("the trace of the attempt goes along, and nothing where there is none", async (t) => {
  const server = await startServer(t);
  const { outcome } = setup(t);
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  await outcome({ address: server.address }, { traceparent, tracestate: "a=1" });
  await outcome({ address: server.address });
  assert.deepEqual(
    server.calls.map(({ metadata }) => [metadata.get("traceparent"), metadata.get("tracestate")]),
    [
      [[traceparent], ["a=1"]],
      [[], []],
    ],
  );
});

test("an order whose bytes are no call fails and is not tried again", async (t) => {
  const server = await startServer(t);
  const { outcome } = setup(t);
  const target = { kind: "grpc" as const, method: "", summary: RENDER, bytes: new Uint8Array() };
  const none = failureOf(await outcome({ address: server.address }, { target }));
  assert.deepEqual([none.reason, none.nonRetryable], ["TARGET_INVALID", true]);
  assert.equal(server.calls.length, 0);
});
