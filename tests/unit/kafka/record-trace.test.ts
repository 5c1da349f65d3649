import assert from "node:assert/strict";
import { test } from "node:test";
import { orderRecord, readOrder, readResult, resultRecord } from "../../../services/common/adapter/kafka/records.ts";
import { sampleOrder, sampleResult } from "../wire/samples.ts";

/** What is fetched of a record that was sent. */
function fetched({ key, value, headers }: ReturnType<typeof resultRecord>) {
  const bytes = Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]));
  const none = { timestamp: "0", attributes: 0, offset: "0" };
  return { ...none, key: Buffer.from(key), value, headers: bytes };
}

test("the trace of an order and of a result is in the headers of its record, and comes back", () => {
  const order = sampleOrder();
  const sent = orderRecord("dispatch.v1", 3, order);
  assert.deepEqual(sent.headers, { traceparent: order.traceparent, tracestate: order.tracestate });
  const { traceparent, tracestate } = readOrder(fetched(sent));
  assert.deepEqual({ traceparent, tracestate }, sent.headers);

  const result = sampleResult({ traceparent: order.traceparent, tracestate: "vendor=1" });
  const record = resultRecord("result.v1", 0, result);
  assert.deepEqual(record.headers, { traceparent: order.traceparent, tracestate: "vendor=1" });
  const read = readResult(fetched(record)).result;
  assert.deepEqual([read?.traceparent, read?.tracestate], [order.traceparent, "vendor=1"]);
});

test("a record without a trace has no headers, and is read all the same", () => {
  const record = resultRecord("result.v1", 0, sampleResult({ traceparent: "" }));
  assert.deepEqual(record.headers, {});
  assert.equal(readResult(fetched(record)).result?.traceparent, "");
});
