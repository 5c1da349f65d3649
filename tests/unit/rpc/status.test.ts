import assert from "node:assert/strict";
import { test } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import { ErrorInfo } from "../../../gen/google/rpc/error_details.ts";
import { Status } from "../../../gen/google/rpc/status.ts";
import { JobmeshError } from "../../../services/common/error/jobmesh-error.ts";
import { REASON_NAMES, REASONS } from "../../../services/common/error/reasons.ts";
import {
  errorFromServiceError,
  errorFromStatus,
  toStatus,
  toStatusParts,
} from "../../../services/common/rpc/status.ts";

test("every reason survives google.rpc.Status", () => {
  for (const reason of REASON_NAMES) {
    const back = errorFromStatus(Status.decode(Status.encode(toStatus(new JobmeshError(reason))).finish()));
    assert.equal(back.reason, reason);
    assert.equal(back.code, REASONS[reason].code);
    assert.equal(back.retryable, REASONS[reason].retryable);
  }
});

test("many violations and long texts stay within what trailers take", () => {
  const fieldViolations = Array.from({ length: 5_000 }, (_, count) => ({
    field: `items[${count}]`,
    description: `${"ü".repeat(700)}`,
  }));
  const parts = toStatusParts(JobmeshError.invalid(...fieldViolations));
  const packed = parts.metadata.get("grpc-status-details-bin")[0];
  assert.ok(packed instanceof Uint8Array);
  assert.ok(packed.length <= 3_072 + 3 * 1_024);
  assert.ok(parts.details.length <= 1_024);
  const back = errorFromStatus(Status.decode(packed));
  assert.ok(back.fieldViolations.length >= 1);
  assert.equal(back.fieldViolations[0]?.field, "items[0]");
});

test("facts of an error that a caller made long stay within what trailers take", () => {
  const metadata = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`f${at}`, "ü".repeat(70_000)]));
  const packed = toStatusParts(new JobmeshError("SERVICE_NOT_FOUND", { metadata })).metadata.get(
    "grpc-status-details-bin",
  )[0];
  assert.ok(packed instanceof Uint8Array);
  assert.ok(packed.length <= 16 * 2 * 300, `${packed.length} bytes`);
  const back = errorFromStatus(Status.decode(packed));
  assert.deepEqual([Object.keys(back.metadata).length, back.metadata.f0?.length], [16, 256]);
});

test("a message with a lone surrogate or control characters can be sent", () => {
  const parts = toStatusParts(new JobmeshError("INTERNAL", { message: "a\uD800b\r\nc" }));
  assert.equal(parts.details, "a\uFFFDb\r\nc");
  encodeURI(parts.details);
});

test("an error of another domain keeps its code, reason and text", () => {
  const info = ErrorInfo.encode({ reason: "QUOTA", domain: "example.org", metadata: { a: "b" } }).finish();
  const details = [{ typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value: Buffer.from(info) }];
  const error = errorFromStatus({ code: 8, message: "too much", details });
  assert.deepEqual([error.reason, error.code, error.message], ["REMOTE", "RESOURCE_EXHAUSTED", "too much"]);
  assert.deepEqual(error.metadata, { a: "b", reason: "QUOTA", domain: "example.org" });
});

test("a detail that is not what it says leaves the code and the text", () => {
  const metadata = new Metadata();
  const details = [{ typeUrl: "type.googleapis.com/google.rpc.RetryInfo", value: Buffer.of(0x0a, 0xff) }];
  metadata.set("grpc-status-details-bin", Buffer.from(Status.encode({ code: 8, message: "full", details }).finish()));
  const thrown = Object.assign(new Error("8 RESOURCE_EXHAUSTED: full"), { code: 8, details: "full", metadata });
  const error = errorFromServiceError(thrown);
  assert.deepEqual([error.code, error.message, error.retryDelayMs], ["RESOURCE_EXHAUSTED", "full", null]);
});

test("a call that the server's connection was cut under is tried again, as one whose server went", () => {
  const cut = "Received RST_STREAM with code 0 (Call ended without gRPC status)";
  const thrown = Object.assign(new Error(`13 INTERNAL: ${cut}`), { code: 13, details: cut, metadata: new Metadata() });
  const error = errorFromServiceError(thrown);
  assert.deepEqual([error.code, error.reason, error.retryable], ["UNAVAILABLE", "PEER_UNAVAILABLE", true]);
  const other = Object.assign(new Error("x"), { code: 13, details: "a bug", metadata: new Metadata() });
  assert.deepEqual([errorFromServiceError(other).code, errorFromServiceError(other).retryable], ["INTERNAL", false]);
});

test("a trailer that names another code than the call ended with does not change it", () => {
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(Status.encode({ code: 0, message: "", details: [] }).finish()));
  const error = errorFromServiceError(Object.assign(new Error("x"), { code: 5, details: "no such thing", metadata }));
  assert.deepEqual([error.code, error.message], ["NOT_FOUND", "no such thing"]);
});

test("a bare status and a broken trailer still become errors", () => {
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from([0x0a, 0xff]));
  const thrown = Object.assign(new Error("14 UNAVAILABLE: gone"), { code: 14, details: "gone", metadata });
  const error = errorFromServiceError(thrown);
  assert.deepEqual([error.reason, error.message, error.retryable], ["PEER_UNAVAILABLE", "gone", true]);
  assert.equal(errorFromServiceError(new TypeError("x")).reason, "INTERNAL");
});
