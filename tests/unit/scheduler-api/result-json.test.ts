/** Execution.result_json. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RenderResponse } from "../../../examples/report/gen/acme/report/v1/report_service.ts";
import { ExecutionState, ExecutionView } from "../../../gen/jobmesh/v1/execution.ts";
import { command } from "../../../services/client/targets.ts";
import type { Execution } from "../../../services/common/domain/execution.ts";
import type { TargetKind } from "../../../services/common/domain/target.ts";
import { KnownTypes } from "../../../services/scheduler/api/known-types.ts";
import { resultJson } from "../../../services/scheduler/api/result-json.ts";
import { descriptorSet, inside, Label, scalar, Type } from "../../support/descriptor-sets.ts";
import { turns } from "./log-follow.ts";
import { jsonHandler, REPORT, registerReport, type TestApi, testApi } from "./setup.ts";

const RESPONSE = RenderResponse.encode({ text: "t", sum: 9_007_199_254_740_993n }).finish();

/** An execution of the report handler that returned these bytes. */
async function returned(api: TestApi, result: Uint8Array): Promise<string> {
  await registerReport(api);
  const handler = { kind: "handler", method: REPORT, descriptorHash: "0".repeat(64), slots: 0 } as const;
  const executor = await api.join("e", 1, { capabilities: [{ kind: "command" }, handler] });
  const { executionId } = await api.submit({ target: jsonHandler(REPORT, {}) });
  const key = executor.orders[0]?.key ?? assert.fail("it was dispatched");
  executor.result(key, { kind: "succeeded", result });
  await turns(api);
  return executionId;
}

/** What a target of a kind that returned a body shows. */
function ofTarget(api: TestApi, kind: TargetKind, body: string | Uint8Array, method = ""): Promise<unknown> {
  const result = typeof body === "string" ? Buffer.from(body) : body;
  const target = { kind, method: kind === "handler" ? method : "", summary: method, bytes: new Uint8Array() };
  const execution = { namespace: "default", state: "SUCCEEDED", target, result } as unknown as Execution;
  return resultJson(new KnownTypes(api.store.descriptors, api.clock), execution);
}

test("what a handler returned is shown as JSON by its descriptor, in the FULL view alone", async (t) => {
  const api = await testApi(t);
  const executionId = await returned(api, RESPONSE);
  const full = await api.get(executionId);
  assert.equal(full.state, ExecutionState.EXECUTION_STATE_SUCCEEDED);
  assert.deepEqual(full.resultJson, { text: "t", sum: "9007199254740993" });
  assert.deepEqual(Buffer.from(full.result), Buffer.from(RESPONSE), "the bytes stay");
  const basic = await api.get(executionId, ExecutionView.EXECUTION_VIEW_BASIC);
  assert.deepEqual([basic.resultJson, basic.result.length], [undefined, 0]);
});

test("an empty answer is an empty message", async (t) => {
  const api = await testApi(t);
  assert.deepEqual((await api.get(await returned(api, new Uint8Array()))).resultJson, {});
});

test("bytes that are no message of the method, or of a method that is not known, leave it unset", async (t) => {
  const api = await testApi(t);
  assert.equal((await api.get(await returned(api, Uint8Array.of(0x0a, 9)))).resultJson, undefined);
  assert.equal(await ofTarget(api, "handler", RESPONSE, "acme.v1.None/Nothing"), undefined);
  const broken = descriptorSet({ pkg: "b.v1", service: "S", methods: ["M"], imports: ["missing.proto"] });
  await api.store.descriptors.put(broken);
  assert.equal(await ofTarget(api, "handler", "", "b.v1.S/M"), undefined, "a set that lacks an import");
});

test("what has not succeeded, and a command, have none", async (t) => {
  const api = await testApi(t);
  const { executionId } = await api.submit({ target: command("true") });
  assert.equal((await api.get(executionId)).resultJson, undefined);
  assert.equal(await ofTarget(api, "command", "{}"), undefined);
});

test("a gRPC call's response is shown by a stored descriptor, and an HTTP answer where it is JSON", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  assert.deepEqual(await ofTarget(api, "grpc", RESPONSE, REPORT), { text: "t", sum: "9007199254740993" });
  const bodies: readonly (readonly [string | Uint8Array, unknown])[] = [
    ['{"a": [1, null, "ä"]}', { a: [1, null, "ä"] }],
    ["[]", []],
    ["null", null],
    ["", undefined],
    ["<html>", undefined],
    ['{"a": ', undefined],
    [Uint8Array.of(0x22, 0xff, 0x22), undefined],
  ];
  for (const [body, json] of bodies) assert.deepEqual(await ofTarget(api, "http", body), json);
});

test("JSON is shown up to 1 MiB and 30 levels, as google.protobuf.Value has it; what is more is not", async (t) => {
  const api = await testApi(t);
  const nested = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  assert.notEqual(await ofTarget(api, "http", nested(30)), undefined);
  assert.notEqual(await ofTarget(api, "http", nested(31).replace("[]", "1")), undefined);
  assert.equal(await ofTarget(api, "http", nested(32)), undefined);
  assert.equal(await ofTarget(api, "http", nested(5_000)), undefined);
  const numbers = (count: number): string => JSON.stringify(Array.from({ length: count }, () => 1));
  assert.notEqual(await ofTarget(api, "http", numbers(87_000)), undefined);
  assert.equal(await ofTarget(api, "http", numbers(88_000)), undefined);
  assert.equal(await ofTarget(api, "http", JSON.stringify("x".repeat(1024 * 1024))), undefined);

  // 256 KiB of a message whose field has a long name are many times that as JSON.
  const name = "a_field_with_quite_a_long_name";
  const messages = {
    Response: [inside(1, ".c.v1.Row", { label: Label.REPEATED })],
    Row: [scalar(1, Type.INT32, { name, jsonName: name })],
  };
  await api.store.descriptors.put(descriptorSet({ pkg: "c.v1", service: "S", methods: ["M"], messages }));
  const rows = (count: number) => Buffer.from("0a020801".repeat(count), "hex");
  assert.deepEqual(await ofTarget(api, "handler", rows(2), "c.v1.S/M"), { f1: [{ [name]: 1 }, { [name]: 1 }] });
  assert.equal(await ofTarget(api, "handler", rows(65_536), "c.v1.S/M"), undefined);
});
