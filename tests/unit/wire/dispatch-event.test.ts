import assert from "node:assert/strict";
import { test } from "node:test";
import { DispatchEvent } from "../../../gen/jobmesh/v1/event.ts";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { decodeOrder, encodeOrder } from "../../../services/common/wire/dispatch-event.ts";
import { targetOfBytes } from "../../../services/common/wire/target-head.ts";
import { sampleKey, sampleOrder } from "./samples.ts";

test("an order comes back as it was sent, its target's bytes untouched", () => {
  const order = sampleOrder();
  const { traceparent, tracestate } = order;
  const read = decodeOrder(encodeOrder(order).finish(), { traceparent, tracestate });
  assert.deepEqual(
    { ...read, target: { ...read.target, bytes: [...read.target.bytes] } },
    {
      ...order,
      target: { ...order.target, bytes: [...order.target.bytes] },
    },
  );
});

test("what is written by hand is what the generated message reads, and the other way round", () => {
  const order = sampleOrder();
  const message = DispatchEvent.decode(encodeOrder(order).finish());
  assert.equal(message.key?.fence, sampleKey.fence);
  assert.equal(message.target?.kind?.$case, "handler");
  assert.equal(message.timeout?.nanos, 500_250_000);
  assert.equal(message.dispatchTime?.nanos, 123_456_000);
  assert.equal(message.sessionNumber, 7n);
  assert.deepEqual(message.labels, order.labels);
  const read = decodeOrder(DispatchEvent.encode(message).finish(), order);
  assert.deepEqual({ ...read, target: null }, { ...order, target: null });
  assert.deepEqual([...read.target.bytes], [...order.target.bytes]);
});

test("parameters travel, whatever they are called; an order without any carries none", () => {
  const parameters = Object.fromEntries([
    ["a", "é"],
    ["__proto__", "{{a}}"],
  ]);
  const sent = encodeOrder({ ...sampleOrder(), parameters }).finish();
  assert.equal(DispatchEvent.decode(sent).parameters.a, "é");
  assert.deepEqual(decodeOrder(sent, sampleOrder()).parameters, parameters);
  assert.ok(!("parameters" in decodeOrder(encodeOrder(sampleOrder()).finish(), sampleOrder())));
});

test("rule 24: a start deadline travels, and an order without one has no limit", () => {
  const order = sampleOrder();
  const message = DispatchEvent.decode(encodeOrder(order).finish());
  assert.deepEqual(message.startDeadlineTime, { seconds: 1_760_000_060n, nanos: 1_000 });
  const unlimited = encodeOrder({ ...order, startDeadlineUs: null }).finish();
  assert.equal(DispatchEvent.decode(unlimited).startDeadlineTime, undefined);
  assert.equal(decodeOrder(unlimited, order).startDeadlineUs, null);
});

test("rule 11: the time that an order is held for travels, and one without it may start at once", () => {
  const order = { ...sampleOrder(), holdUntilUs: 1_760_000_000_250_000 };
  const bytes = encodeOrder(order).finish();
  assert.deepEqual(DispatchEvent.decode(bytes).holdUntil, { seconds: 1_760_000_000n, nanos: 250_000_000 });
  assert.equal(decodeOrder(bytes, order).holdUntilUs, order.holdUntilUs);
  const free = encodeOrder({ ...order, holdUntilUs: null }).finish();
  assert.equal(DispatchEvent.decode(free).holdUntil, undefined);
  assert.equal(decodeOrder(free, order).holdUntilUs, null);
});

test("fields of later versions are passed over", () => {
  const order = sampleOrder();
  const message = DispatchEvent.decode(encodeOrder(order).finish());
  const newer = DispatchEvent.encode({
    ...message,
    shardIndex: 4,
  });
  const read = decodeOrder(
    newer
      .uint32(999 << 3)
      .int32(5)
      .finish(),
    order,
  );
  assert.deepEqual(read.key, order.key);
});

test("an order that names no attempt, or no target, is refused with the field's name", () => {
  const message = DispatchEvent.decode(encodeOrder(sampleOrder()).finish());
  const without = (part: Partial<DispatchEvent>) => DispatchEvent.encode({ ...message, ...part }).finish();
  assert.throws(() => decodeOrder(without({ key: undefined }), sampleOrder()), /key: is not set/);
  assert.throws(() => decodeOrder(without({ key: { ...sampleKey, fence: 0n } }), sampleOrder()), /key\.fence/);
  const foreign = { ...sampleKey, executionId: "é" };
  assert.throws(() => decodeOrder(without({ key: foreign }), sampleOrder()), /key\.execution_id: is no identifier/);
  assert.throws(() => decodeOrder(without({ target: undefined }), sampleOrder()), /target: is not set/);
  assert.throws(() => decodeOrder(without({ target: { kind: undefined } }), sampleOrder()), /target: names no kind/);
});

test("a target's head is read of each kind without its payload", () => {
  const head = (kind: NonNullable<Target["kind"]>) => {
    const { bytes, ...rest } = targetOfBytes(Target.encode({ kind }).finish());
    assert.ok(bytes.length > 0);
    return rest;
  };
  const command = { command: "echo hi", args: [], env: { A: "b" }, workingDirectory: "", input: undefined };
  assert.deepEqual(head({ $case: "command", value: command }), { kind: "command", method: "", summary: "echo hi" });
  const handler = { method: "a.B/C", payload: { $case: "requestJson" as const, value: { deep: [1, { x: null }] } } };
  assert.deepEqual(head({ $case: "handler", value: handler }), { kind: "handler", method: "a.B/C", summary: "a.B/C" });
  const grpc = { address: "dns:///x", method: "a.B/C", payload: undefined, metadata: {}, tls: undefined };
  assert.deepEqual(head({ $case: "grpc", value: grpc }), { kind: "grpc", method: "", summary: "a.B/C" });
});
