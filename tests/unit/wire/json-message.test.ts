import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { RenderRequest, RenderResponse } from "../../../examples/report/gen/acme/report/v1/report_service.ts";
import { MethodTypes, PayloadFault } from "../../../services/common/wire/json-message.ts";

const RENDER = "acme.report.v1.ReportService/Render";
const bytes = readFileSync(join(import.meta.dirname, "../../../examples/report/gen/descriptors.binpb"));
/** The whole contract, which has fields of all kinds. */
const contract = new MethodTypes(readFileSync(join(import.meta.dirname, "../../../gen/image.binpb")));
const types = new MethodTypes(bytes);
const SUBMIT = "jobmesh.v1.ExecutionService/SubmitExecution";

function fault(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof PayloadFault, `${error}`);
    return error.message;
  }
  return assert.fail("nothing was at fault");
}

test("a set of descriptors gives its unary methods by their full names", () => {
  assert.deepEqual(types.methods(), [RENDER]);
  assert.deepEqual(
    [types.has(RENDER), types.has("acme.report.v1.ReportService/Other"), types.has("x")],
    [true, false, false],
  );
  assert.ok(contract.methods().includes(SUBMIT));
  assert.ok(!contract.methods().includes("jobmesh.v1.ExecutionService/SubmitExecutions"), "a stream is no handler");
  assert.match(
    fault(() => types.checkRequest("a.B/C", bytes)),
    /do not have a\.B\/C/,
  );
});

test("bytes that are no set, and a set that lacks an import, are PayloadFaults", () => {
  assert.match(
    fault(() => new MethodTypes(Uint8Array.of(0xff))),
    /not a complete FileDescriptorSet/,
  );
  // file { name: "a.proto" dependency: "missing.proto" }
  const dependency = Buffer.from("missing.proto");
  const file = Buffer.concat([
    Buffer.from([0x0a, 7]),
    Buffer.from("a.proto"),
    Buffer.from([0x1a, dependency.length]),
    dependency,
  ]);
  assert.match(
    fault(() => new MethodTypes(Buffer.concat([Buffer.from([0x0a, file.length]), file]))),
    /missing\.proto/,
  );
});

test("a request goes from JSON to bytes, and a response from bytes to JSON, 64-bit numbers as text", () => {
  const request = RenderRequest.decode(
    types.encodeRequest(RENDER, { title: "T", rows: [{ amount: "9007199254740993" }] }),
  );
  assert.deepEqual([request.title, request.rows[0]?.amount], ["T", 9_007_199_254_740_993n]);
  assert.deepEqual(RenderRequest.decode(types.encodeRequest(RENDER, {})), RenderRequest.create());
  const response = RenderResponse.encode({ text: "t", sum: 9_007_199_254_740_993n }).finish();
  assert.deepEqual(types.decodeResponse(RENDER, response), { text: "t", sum: "9007199254740993" });
  assert.match(
    fault(() => types.decodeResponse(RENDER, Uint8Array.of(0x0a, 9))),
    /is no acme\.report\.v1\.RenderResponse/,
  );
});

test("JSON that does not fit names the field", () => {
  assert.match(
    fault(() => types.encodeRequest(RENDER, { rows: [{ amount: true }] })),
    /Row\.amount/,
  );
  assert.match(
    fault(() => types.encodeRequest(RENDER, { other: 1 })),
    /"other"/,
  );
  for (const value of [null, undefined, 5, "x", []]) {
    assert.match(
      fault(() => types.encodeRequest(RENDER, value)),
      /does not fit acme\.report\.v1\.RenderRequest/,
    );
  }
});

/** A field of a message by hand: number, wire type, content. */
function field(number: number, wireType: number, ...content: number[]): Buffer {
  const length = wireType === 2 ? [content.length] : [];
  return Buffer.from([(number << 3) | wireType, ...length, ...content]);
}

const nested = (number: number, inner: Buffer): Buffer => field(number, 2, ...inner);

test("bytes that do not fit name the field inside, through lists, maps and messages", () => {
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [field(1, 0, 1), /namespace: is a varint where text/],
    [field(1, 2, 0xff, 0xfe), /namespace: is no UTF-8/],
    [nested(3, field(1, 2, 0x61)), /policy\.priority: is text, bytes or a message where a varint belongs/],
    [nested(3, nested(4, field(3, 5, 0, 0, 0, 0))), /policy\.retry\.multiplier: is 32 bits where 64 bits belongs/],
    [
      nested(3, nested(4, Buffer.concat([field(6, 2, 0x61), field(6, 2, 0xff)]))),
      /policy\.retry\.non_retryable_reasons\[1\]: is no UTF-8/,
    ],
    [nested(7, Buffer.concat([field(1, 2, 0x61), field(2, 2, 0xff)])), /labels: is no UTF-8/],
    [nested(7, Buffer.from([0x0a, 9])), /labels: premature EOF/],
    [Buffer.from([0x1a, 9, 0]), /policy: premature EOF/],
    [Buffer.from([0x07]), /illegal tag/],
  ];
  for (const [request, says] of cases)
    assert.match(
      fault(() => contract.checkRequest(SUBMIT, request)),
      says,
    );
});

test("bytes that fit are taken: fields unknown here, packed lists and groups among them", () => {
  const WATCH = "jobmesh.v1.ExecutionService/ListExecutions";
  const states = (inner: Buffer): Buffer => nested(1, inner);
  contract.checkRequest(SUBMIT, Buffer.alloc(0));
  contract.checkRequest(SUBMIT, Buffer.concat([field(13, 0, 1), Buffer.from([0xf8, 0x3f, 1])]));
  contract.checkRequest(WATCH, states(field(3, 2, 1, 2, 3)));
  contract.checkRequest(WATCH, states(Buffer.concat([field(3, 0, 1), field(3, 0, 2)])));
  assert.match(
    fault(() => contract.checkRequest(WATCH, states(field(3, 2, 0x80)))),
    /filter\.states\[0\]/,
  );
});

test("messages inside each other are read to 100 levels", () => {
  const LIST = "jobmesh.v1.ExecutionService/SubmitExecution";
  // target.handler.request_json is a Value, and a Value may hold a list of Values.
  const value = (depth: number, last = field(4, 0, 1)): Buffer => {
    let inner = last;
    for (let level = 0; level < depth; level += 1) inner = long(6, long(1, inner));
    return long(2, long(2, long(3, inner)));
  };
  // Three messages lie around the first Value, and each level is two. The library counts the outermost one, too.
  contract.checkRequest(LIST, value(48));
  assert.match(
    fault(() => contract.checkRequest(LIST, value(48, long(6, Buffer.alloc(0))))),
    /recursion depth of 100/,
  );
  for (const depth of [49, 2_000]) {
    assert.match(
      fault(() => contract.checkRequest(LIST, value(depth))),
      /more than 100 messages inside each other/,
    );
  }
});

/** A message of any length in a field. */
function long(number: number, inner: Buffer): Buffer {
  const length: number[] = [];
  for (let rest = inner.length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      length.push(rest);
      break;
    }
    length.push((rest % 128) | 0x80);
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), inner]);
}
