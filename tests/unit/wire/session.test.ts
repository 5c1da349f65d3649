import assert from "node:assert/strict";
import { test } from "node:test";
import { SessionRequest, SessionResponse } from "../../../gen/jobmesh/v1/executor_service.ts";
import type { ExecutorId, Incarnation, SchedulerId } from "../../../services/common/domain/identifier.ts";
import type { SessionDown, SessionUp } from "../../../services/common/domain/session.ts";
import { decodeSessionUp, encodeSessionUp } from "../../../services/common/wire/session-request.ts";
import { decodeSessionDown, encodeSessionDown } from "../../../services/common/wire/session-response.ts";
import { sampleKey, sampleOrder, sampleResult } from "./samples.ts";

const ups: readonly SessionUp[] = [
  {
    kind: "hello",
    profile: {
      executorId: "executor-1" as ExecutorId,
      incarnation: "incarnation-1" as Incarnation,
      version: "0.1.0",
      slots: 8,
      labels: { zone: "a" },
      capabilities: [{ kind: "command" }, { kind: "handler", method: "a.B/C", descriptorHash: "00ff", slots: 2 }],
      namespaces: ["default"],
      lane: 0,
      registered: true,
    },
    sessionNumber: 4,
    taken: [sampleKey],
    previousIncarnation: "incarnation-0" as Incarnation,
  },
  {
    kind: "heartbeat",
    sequence: 9,
    slots: [
      { capabilityIndex: null, free: 3, receivedCount: 1e12 },
      { capabilityIndex: 0, free: 0, receivedCount: 1 },
    ],
    cpuLoad: 0.5,
    memoryBytes: 5e9,
    sendUs: 1_760_000_000_000_001,
  },
  { kind: "started", key: sampleKey, startUs: 1_760_000_000_000_001 },
  {
    kind: "output",
    piece: {
      key: sampleKey,
      stream: "HANDLER",
      sequence: 2,
      data: Buffer.from([0, 255]),
      timeUs: 1_760_000_000_000_001,
      droppedBytes: 7,
      level: "WARN",
      fieldsJson: '{"a":1}',
      spanId: "b7ad6b7169203331",
    },
  },
  { kind: "progress", key: sampleKey, fraction: 0.25, message: "a quarter" },
  { kind: "leaving", reason: "SIGTERM" },
  { kind: "result", sequence: 11, result: sampleResult() },
  { kind: "result", sequence: 12, result: sampleResult({ tracestate: "vendor=1" }) },
  { kind: "descriptors", descriptorSets: [Buffer.from([1]), Buffer.from([2])] },
];

const downs: readonly SessionDown[] = [
  {
    kind: "welcome",
    schedulerId: "scheduler-1" as SchedulerId,
    heartbeatIntervalMs: 1_000,
    leaseTtlMs: 45_000,
    reportDelayMs: 250.5,
    missingDescriptorHashes: ["00ff"],
  },
  {
    kind: "heartbeat_ack",
    sequence: 9,
    timeUs: 1_760_000_000_000_001,
    stored: [{ generation: 2, partition: 0, nextOffset: 1e12 }],
    heardSequence: 8,
  },
  { kind: "stop", key: sampleKey, reason: "REROUTE", graceMs: 250, message: "elsewhere" },
  { kind: "drain", graceMs: 5_000 },
  { kind: "drain", graceMs: null },
  { kind: "result_stored", sequence: 11 },
  { kind: "output_ack", key: sampleKey, sequence: 2 },
];

for (const message of ups) {
  test(`what an executor says comes back as it was sent: ${message.kind}`, () => {
    assert.deepEqual(decodeSessionUp(encodeSessionUp(message)), message);
  });
}

for (const message of downs) {
  test(`what a home says comes back as it was sent: ${message.kind}`, () => {
    assert.deepEqual(decodeSessionDown(encodeSessionDown(message)), message);
  });
}

test("a relayed dispatch is moved with its target unopened, and is what the generated message reads", () => {
  const order = sampleOrder();
  const bytes = encodeSessionDown({ kind: "dispatch", order });
  const read = decodeSessionDown(bytes);
  assert.ok(read.kind === "dispatch");
  assert.deepEqual([...read.order.target.bytes], [...order.target.bytes]);
  assert.deepEqual({ ...read.order, target: null }, { ...order, target: null });
  const { kind } = SessionResponse.decode(bytes);
  assert.ok(kind?.$case === "dispatch");
  assert.equal(kind.value.traceparent, order.traceparent);
  assert.equal(kind.value.event?.target?.kind?.$case, "handler");
});

test("a message of a later version is unknown, not an error", () => {
  assert.deepEqual(
    decodeSessionUp(
      SessionRequest.encode({ kind: undefined })
        .uint32(99 << 3)
        .int32(1)
        .finish(),
    ),
    { kind: "unknown" },
  );
  assert.deepEqual(decodeSessionDown(SessionResponse.encode({ kind: undefined }).finish()), { kind: "unknown" });
});

test("a stop for a reason of a later version still stops", () => {
  const stop = { key: sampleKey, reason: 99 as never, grace: undefined, message: "" };
  const read = decodeSessionDown(SessionResponse.encode({ kind: { $case: "stopAttempt", value: stop } }).finish());
  assert.deepEqual(read, { kind: "stop", key: sampleKey, reason: "CANCEL", graceMs: 10_000, message: "" });
});
