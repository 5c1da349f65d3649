import assert from "node:assert/strict";
import { test } from "node:test";
import { SystemRandom } from "../../../services/common/runtime/system-random.ts";
import {
  formatTraceparent,
  newId,
  newTraceparent,
  parseTraceparent,
  TRACEPARENT_LENGTH,
  traceIdOf,
  usableTracestate,
} from "../../../services/common/telemetry/traceparent.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";

test("a traceparent is read and written", () => {
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, sampled: true });
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-02`), { traceId, spanId, sampled: false });
  assert.equal(formatTraceparent({ traceId, spanId, sampled: false }), `00-${traceId}-${spanId}-00`);
  assert.equal(traceIdOf(`00-${traceId}-${spanId}-00`), traceId);
});

test("a later version is read as far as 00 goes", () => {
  assert.deepEqual(parseTraceparent(`01-${traceId}-${spanId}-01-more`), { traceId, spanId, sampled: true });
});

test("what is no traceparent is none", () => {
  const zero = "0".repeat(32);
  const wrong = [
    null,
    undefined,
    "",
    "x",
    `00-${traceId}-${spanId}`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${zero}-${spanId}-01`,
    `00-${traceId}-${zero.slice(16)}-01`,
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${traceId}-${spanId}-01 `,
    ` 00-${traceId}-${spanId}-01`,
  ];
  for (const text of wrong) assert.equal(parseTraceparent(text), null, String(text));
  assert.equal(traceIdOf("x"), "");
});

test("a new traceparent is valid, sampled and of the column's length", () => {
  const made = newTraceparent(new SystemRandom());
  assert.equal(made.length, TRACEPARENT_LENGTH);
  assert.equal(parseTraceparent(made)?.sampled, true);
});

test("an id of zeros is drawn again", () => {
  let draws = 0;
  const random = { unit: () => 0, fence: () => 1n, bytes: (count: number) => new Uint8Array(count).fill(draws++) };
  assert.equal(newId(random, 4), "01010101");
  assert.equal(draws, 2);
});

test("a tracestate is carried on up to its limit", () => {
  assert.equal(usableTracestate("a=b,c=d"), "a=b,c=d");
  assert.equal(usableTracestate("x".repeat(512))?.length, 512);
  for (const wrong of [null, undefined, "", "x".repeat(513), "a=b\r\nc: d", "a=ü"])
    assert.equal(usableTracestate(wrong), null);
});
