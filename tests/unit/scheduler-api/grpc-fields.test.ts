import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { RenderRequest } from "../../../examples/report/gen/acme/report/v1/report_service.ts";
import { ExecutionView } from "../../../gen/jobmesh/v1/execution.ts";
import type { DeepPartial } from "../../../gen/jobmesh/v1/execution_service.ts";
import { type GrpcTarget, Target } from "../../../gen/jobmesh/v1/job.ts";
import { MethodTypes } from "../../../services/common/wire/json-message.ts";
import type { SubmissionInput } from "./calls.ts";
import { bytesHandler, faultsOf, jsonHandler, REPORT, registerReport, testApi } from "./setup.ts";

const KIB = 1024;
/** A method that nobody described. */
const METHOD = "acme.billing.v1.BillingService/Charge";

function grpc(value: DeepPartial<GrpcTarget>): SubmissionInput {
  return { target: { kind: { $case: "grpc", value: { address: "etcd:///billing", method: METHOD, ...value } } } };
}

function metadata(entries: Readonly<Record<string, string>>): SubmissionInput {
  return grpc({ metadata: entries });
}

function many(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, ""]));
}

function request(size: number): DeepPartial<GrpcTarget> {
  return { payload: { $case: "request", value: Buffer.alloc(size) } };
}

/** JSON of a request that has so many characters. */
function json(size: number): DeepPartial<GrpcTarget> {
  return { payload: { $case: "requestJson", value: { a: "x".repeat(size - '{"a":""}'.length) } } };
}

/** What is taken, what is refused, by which field, and what the refusal says. */
const limits: readonly (readonly [string, string, SubmissionInput, SubmissionInput, RegExp])[] = [
  ["no address", "address", grpc({ address: "billing:443" }), grpc({ address: "" }), /etcd:\/\/\/NAME/],
  ["a host", "address", grpc({ address: "dns:///billing:443" }), grpc({ address: "dns:///billing" }), /HOST:PORT/],
  ["IPv6", "address", grpc({ address: "[::1]:443" }), grpc({ address: "::1" }), /HOST:PORT/],
  ["a port", "address", grpc({ address: "b:65535" }), grpc({ address: "b:65536" }), /HOST:PORT/],
  ["port 0", "address", grpc({ address: "b:1" }), grpc({ address: "b:0" }), /HOST:PORT/],
  ["another scheme", "address", grpc({ address: "127.0.0.1:1" }), grpc({ address: "unix:///run/a.sock" }), /HOST:PORT/],
  ["another mesh", "address", grpc({ address: "etcd:///a.b_c-d" }), grpc({ address: "etcd://other/a" }), /NAME/],
  [
    "a long address",
    "address",
    grpc({ address: `${"a".repeat(508)}:443` }),
    grpc({ address: `${"a".repeat(509)}:443` }),
    /at most 512 characters/,
  ],
  ["method", "method", grpc({ method: "S/M" }), grpc({ method: "/S/M" }), /full method name/],
  [
    "a long method",
    "method",
    grpc({ method: `${"a".repeat(251)}.b/C` }),
    grpc({ method: `${"a".repeat(252)}.b/C` }),
    /at most 255 characters/,
  ],
  ["request", "request", grpc(request(256 * KIB)), grpc(request(256 * KIB + 1)), /at most 262144 bytes; was 262145/],
  [
    "request_json",
    "request_json",
    grpc(json(256 * KIB)),
    grpc(json(256 * KIB + 1)),
    /at most 262144 bytes; was 262145/,
  ],
  ["metadata", "metadata", metadata(many(64)), metadata(many(65)), /at most 64 entries; was 65/],
  [
    "large metadata",
    "metadata",
    metadata({ a: "x".repeat(6 * KIB - 1) }),
    metadata({ a: "x".repeat(6 * KIB) }),
    /at most 6144 bytes; was 6145/,
  ],
  ["a key", 'metadata["A"]', metadata({ "a-b.c_9": "" }), metadata({ A: "" }), /key must be 1 to 128 of/],
  ["an empty key", 'metadata[""]', metadata({ [`${"k".repeat(128)}`]: "" }), metadata({ "": "" }), /1 to 128/],
  ["a value", 'metadata["a"]', metadata({ a: " ~" }), metadata({ a: "é" }), /printable ASCII/],
  ["a value with a line", 'metadata["a"]', metadata({ a: "b" }), metadata({ a: "b\r\nc: d" }), /printable ASCII/],
  ["bytes", 'metadata["a-bin"]', metadata({ "a-bin": "AP8=" }), metadata({ "a-bin": "é" }), /must be base64/],
  [
    "metadata of ours",
    'metadata["jobmesh-attempt"]',
    metadata({ jobmesh: "" }),
    metadata({ "jobmesh-attempt": "9" }),
    /jobmesh sets itself/,
  ],
  ["trace of ours", 'metadata["traceparent"]', metadata({ trace: "" }), metadata({ traceparent: "" }), /sets itself/],
  [
    "metadata of gRPC",
    'metadata["grpc-timeout"]',
    metadata({ authorization: "Bearer a" }),
    metadata({ "grpc-timeout": "1S" }),
    /gRPC sets itself/,
  ],
  [
    "server_name",
    "tls.server_name",
    grpc({ tls: { serverName: "billing.acme.test" } }),
    grpc({ tls: { serverName: "a b" } }),
    /host's name/,
  ],
  [
    "long server_name",
    "tls.server_name",
    grpc({ tls: { serverName: "a".repeat(253) } }),
    grpc({ tls: { serverName: "a".repeat(254) } }),
    /at most 253/,
  ],
];

test("each field of a gRPC call is taken at its limit, and one past it is refused by its name and limit", async (t) => {
  const api = await testApi(t);
  for (const [name, field, ok, bad, says] of limits) {
    await t.test(name, async () => {
      await api.submit(ok);
      const before = await api.storedCount();
      const faults = await faultsOf(api.submit(bad));
      assert.deepEqual(Object.keys(faults), [`target.grpc.${field}`]);
      assert.match(faults[`target.grpc.${field}`] ?? "", says);
      assert.equal(await api.storedCount(), before, "nothing is stored");
    });
  }
});

test("metadata that would end a connection, or say another length, is refused", async (t) => {
  const api = await testApi(t);
  const keys = ["te", "host", "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"];
  for (const key of [...keys, "http2-settings", "content-length", "content-type", "user-agent", "trailer"]) {
    const faults = await faultsOf(api.submit(metadata({ [key]: "1" })));
    assert.match(faults[`target.grpc.metadata["${key}"]`] ?? "", /gRPC sets itself/, key);
  }
});

test("every fault of a call is told at once", async (t) => {
  const api = await testApi(t);
  const bad = { address: "", method: "", metadata: { A: "" }, tls: { serverName: " " } };
  const faults = await faultsOf(api.submit(grpc({ ...bad, ...request(256 * KIB + 1) })));
  const fields = ["address", 'metadata["A"]', "tls.server_name", "method", "request"];
  assert.deepEqual(Object.keys(faults).sort(), fields.map((field) => `target.grpc.${field}`).sort());
});

test("templates and secrets of a call are taken where they can be filled in, and refused by field and place", async (t) => {
  const api = await testApi(t);
  const secret = ["$", "{secret:A}"].join("");
  const json = (value: unknown): SubmissionInput => grpc({ payload: { $case: "requestJson", value } });
  const refused: readonly (readonly [string, RegExp, SubmissionInput])[] = [
    ["target.grpc.tls.ca_secret", /a secret's name/, grpc({ tls: { caSecret: "../ca" } })],
    ["target.grpc.tls.client_secret", /a secret's name/, grpc({ tls: { clientSecret: "a/b" } })],
    ['target.grpc.metadata["a"]', /{{attemp}} at character 0 is no template/, metadata({ a: "{{attemp}}" })],
    ['target.grpc.request_json["a"]', /{{attemp}} at character 0 is no template/, json({ a: "{{attemp}}" })],
    ['target.grpc.request_json["a"]', /a secret stands in env, headers and metadata/, json({ a: secret })],
  ];
  for (const [field, says, submission] of refused) {
    const faults = await faultsOf(api.submit(submission));
    assert.deepEqual(Object.keys(faults), [field]);
    assert.match(faults[field] ?? "", says);
  }
  await api.submit(grpc({ tls: { caSecret: "ca.pem", clientSecret: "client" } }));
  await api.submit(metadata({ a: `Bearer ${secret}`, "b-bin": secret, c: "{{attempt}}" }));
  await api.submit(json({ a: "{{attempt}}" }));
});

test("a request in JSON is stored in bytes where its method is described, and as given where it is not", async (t) => {
  const api = await testApi(t);
  const value = { title: "March", rows: [{ name: "orders", amount: "7" }] };
  const given = grpc({ method: REPORT, payload: { $case: "requestJson", value } });
  const stored = async (): Promise<GrpcTarget["payload"]> => {
    const { executionId } = await api.submit(given);
    const { target } = await api.get(executionId);
    assert.ok(target?.kind?.$case === "grpc");
    return target.kind.value.payload;
  };
  assert.deepEqual(await stored(), { $case: "requestJson", value });
  await registerReport(api);
  const payload = await stored();
  assert.ok(payload?.$case === "request");
  assert.deepEqual(RenderRequest.decode(payload.value), { title: "March", rows: [{ name: "orders", amount: 7n }] });
});

test("a described method's request that does not fit names the field inside, in bytes and in JSON", async (t) => {
  const api = await testApi(t);
  await registerReport(api);
  const wrong = grpc({ method: REPORT, payload: { $case: "requestJson", value: { rows: [{ amount: "x" }] } } });
  assert.match((await faultsOf(api.submit(wrong)))["target.grpc.request_json"] ?? "", /Row\.amount/);
  const bytes = grpc({ method: REPORT, payload: { $case: "request", value: Buffer.of(0x08, 1) } });
  assert.match((await faultsOf(api.submit(bytes)))["target.grpc.request"] ?? "", /title: is a varint where text/);
  const job = await faultsOf(api.createJob({ jobId: "j", target: wrong.target }));
  assert.deepEqual(Object.keys(job), ["job.target.grpc.request_json"]);
});

test("JSON that is larger in bytes than a request may be is refused with both in mind", async (t) => {
  const api = await testApi(t);
  // A list of doubles: two characters each in JSON, eight bytes each on the wire.
  const field = { name: "values", number: 1, type: 1, label: 3, jsonName: "values" };
  const numbers = {
    name: "numbers.proto",
    package: "test",
    syntax: "proto3",
    messageType: [{ name: "Numbers", field: [field] }],
    service: [{ name: "Sums", method: [{ name: "Add", inputType: ".test.Numbers", outputType: ".test.Numbers" }] }],
  };
  const bytes = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [numbers] }));
  await api.store.descriptors.put({ hash: "1".repeat(64), bytes, methods: new MethodTypes(bytes).methods() });
  const sum = (count: number) =>
    grpc({ method: "test.Sums/Add", payload: { $case: "requestJson", value: { values: Array(count).fill(1) } } });
  await api.submit(sum(32_767));
  const faults = await faultsOf(api.submit(sum(32_768)));
  assert.match(faults["target.grpc.request_json"] ?? "", /at most 262144 bytes encoded; was 26214\d/);
});

test("a method that is described as a stream is refused: only unary ones are called", async (t) => {
  const api = await testApi(t);
  const bytes = readFileSync(new URL("../../../gen/image.binpb", import.meta.url));
  const method = "jobmesh.v1.ExecutionService/ReadLogs";
  await api.store.descriptors.put({ hash: "2".repeat(64), bytes, methods: [method] });
  assert.match((await faultsOf(api.submit(grpc({ method }))))["target.grpc.method"] ?? "", /is a stream/);
});

test("BASIC shows a call's method alone; FULL shows what was stored, metadata in order", async (t) => {
  const api = await testApi(t);
  const call = grpc({ metadata: { b: "2", a: "1" }, tls: { serverName: "billing" }, ...request(3) });
  const { executionId } = await api.submit(call);
  const { target } = await api.get(executionId);
  assert.deepEqual(target, Target.fromPartial(call.target ?? {}));
  assert.ok(target?.kind?.$case === "grpc");
  assert.deepEqual(Object.keys(target.kind.value.metadata), ["a", "b"]);
  const basic = (await api.get(executionId, ExecutionView.EXECUTION_VIEW_BASIC)).target;
  assert.deepEqual(basic, Target.fromPartial({ kind: { $case: "grpc", value: { method: METHOD } } }));
});

test("a handler that was registered without descriptors takes any bytes while an executor has it, and no JSON", async (t) => {
  const api = await testApi(t);
  const method = "acme.other.v1.OtherService/Do";
  const target = bytesHandler(method, Buffer.of(0xff));
  const unknown = await faultsOf(api.submit({ target }));
  assert.match(unknown["target.handler.method"] ?? "", /no executor ever registered/);
  const capability = { kind: "handler", method, descriptorHash: "", slots: 0 } as const;
  await api.join("plain", null, { capabilities: [capability] });
  await api.submit({ target });
  const refused = await faultsOf(api.submit({ target: jsonHandler(method, {}) }));
  assert.match(refused["target.handler.request_json"] ?? "", /was registered without descriptors/);
  const other = await faultsOf(api.submit({ target: bytesHandler("acme.other.v1.OtherService/Else", Buffer.of()) }));
  assert.match(other["target.handler.method"] ?? "", /no executor ever registered/);
});
