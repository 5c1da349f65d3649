import assert from "node:assert/strict";
import { test } from "node:test";
import { RenderRequest, ReportServiceService } from "../../../examples/report/gen/acme/report/v1/report_service.ts";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { command, grpc, grpcJson, handler, http } from "../../../services/client/targets.ts";

test("a command is its line; what else is given stands beside it", () => {
  assert.deepEqual(
    command("echo hi"),
    Target.fromPartial({ kind: { $case: "command", value: { command: "echo hi" } } }),
  );
  const options = { args: ["a", ""], env: { A: "1" }, workingDirectory: "/w", stdin: "" };
  assert.deepEqual(command("echo", options).kind, {
    $case: "command",
    value: {
      command: "echo",
      args: ["a", ""],
      env: { A: "1" },
      workingDirectory: "/w",
      input: { $case: "stdinText", value: "" },
    },
  });
});

test("an HTTP request is its URL; method, headers and one content stand beside it", () => {
  const url = "https://host/path";
  assert.deepEqual(http(url), Target.fromPartial({ kind: { $case: "http", value: { url } } }));
  const { kind } = http(url, { method: "PUT", headers: { A: "1" }, json: { a: null } });
  const content = { $case: "json" as const, value: { a: null } };
  assert.deepEqual(kind, { $case: "http", value: { url, method: "PUT", headers: { A: "1" }, content } });
  for (const [options, expected] of [
    [{ text: "" }, { $case: "text", value: "" }],
    [{ body: Uint8Array.of(1) }, { $case: "body", value: Buffer.from([1]) }],
    [{ json: null }, { $case: "json", value: null }],
  ] as const) {
    const given = http(url, options).kind;
    assert.deepEqual(given?.$case === "http" && given.value.content, expected);
  }
  assert.throws(() => http(url, { text: "a", json: 1 }), /at most one of body, text and json/);
});

test("a handler is its method and the request in its bytes, typed by the method", () => {
  const { kind } = handler(ReportServiceService.render, { title: "T", rows: [] });
  assert.ok(kind?.$case === "handler" && kind.value.payload?.$case === "request");
  assert.equal(kind.value.method, "acme.report.v1.ReportService/Render");
  assert.deepEqual(RenderRequest.decode(kind.value.payload.value), { title: "T", rows: [] });
});

test("a gRPC call is its address, its method and the request in its bytes; without tls it is plain text", () => {
  const request = { title: "T", rows: [] };
  const plain = grpc("etcd:///reports", ReportServiceService.render, request, { metadata: { team: "data" } });
  const value = {
    address: "etcd:///reports",
    method: "acme.report.v1.ReportService/Render",
    payload: { $case: "request", value: Buffer.from(RenderRequest.encode(request).finish()) } as const,
    metadata: { team: "data" },
  };
  assert.deepEqual(plain, Target.fromPartial({ kind: { $case: "grpc", value } }));
  const { kind } = grpc("reports:443", ReportServiceService.render, request, { tls: {} });
  assert.ok(kind?.$case === "grpc");
  assert.deepEqual(kind.value.tls, { caSecret: "", clientSecret: "", serverName: "" });
});

test("a gRPC call can be given its request as JSON, by the method's name alone", () => {
  const { kind } = grpcJson("b:1", "acme.B/Do", { a: 1 }, { tls: { serverName: "b.acme.test" } });
  assert.ok(kind?.$case === "grpc");
  assert.deepEqual(kind.value.payload, { $case: "requestJson", value: { a: 1 } });
  assert.equal(kind.value.tls?.serverName, "b.acme.test");
});
