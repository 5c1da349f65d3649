import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorInfo } from "../../../gen/google/rpc/error_details.ts";
import { Status } from "../../../gen/google/rpc/status.ts";
import { failureFromStatus, failureToStatus } from "../../../services/common/wire/failure.ts";

const info = Buffer.from(ErrorInfo.encode({ reason: "exit:2", domain: "other", metadata: { a: "b" } }).finish());

test("a failure and its reason survive the wire", () => {
  const failure = { code: 2, message: "exit 2", reason: "exit:2" };
  const status = Status.decode(Status.encode(failureToStatus(failure)).finish());
  assert.deepEqual(failureFromStatus(status), failure);
  const [detail] = status.details;
  assert.equal(detail?.typeUrl, "type.googleapis.com/google.rpc.ErrorInfo");
  assert.deepEqual(ErrorInfo.decode(detail?.value ?? Buffer.alloc(0)), {
    reason: "exit:2",
    domain: "jobmesh",
    metadata: {},
  });
  assert.deepEqual(failureToStatus({ ...failure, reason: "" }).details, []);
});

test("the first ErrorInfo gives the reason, whatever host its type has; other details give none", () => {
  const other = { typeUrl: "type.googleapis.com/google.rpc.Help", value: Buffer.from([1]) };
  const reasonOf = (typeUrl: string) =>
    failureFromStatus({ code: 5, message: "", details: [other, { typeUrl, value: info }] }).reason;
  assert.equal(reasonOf("type.googleapis.com/google.rpc.ErrorInfo"), "exit:2");
  assert.equal(reasonOf("example.com/google.rpc.ErrorInfo"), "exit:2");
  assert.equal(reasonOf("type.googleapis.com/google.rpc.NotErrorInfo"), "");
});

test("details that cannot be read leave code and text", () => {
  const details = [{ typeUrl: "x/google.rpc.ErrorInfo", value: Buffer.from([0x0a, 9, 1]) }];
  assert.deepEqual(failureFromStatus({ code: 5, message: "m", details }), { code: 5, message: "m", reason: "" });
});
