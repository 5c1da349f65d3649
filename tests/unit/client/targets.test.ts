import assert from "node:assert/strict";
import { test } from "node:test";
import { RenderRequest, ReportServiceService } from "../../../examples/report/gen/acme/report/v1/report_service.ts";
import { Target } from "../../../gen/jobmesh/v1/job.ts";
import { command, handler } from "../../../services/client/targets.ts";

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

test("a handler is its method and the request in its bytes, typed by the method", () => {
  const { kind } = handler(ReportServiceService.render, { title: "T", rows: [] });
  assert.ok(kind?.$case === "handler" && kind.value.payload?.$case === "request");
  assert.equal(kind.value.method, "acme.report.v1.ReportService/Render");
  assert.deepEqual(RenderRequest.decode(kind.value.payload.value), { title: "T", rows: [] });
});
