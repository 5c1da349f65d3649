/** PutDescriptors and ListHandlers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CreateJobRequest } from "../../../gen/jobmesh/v1/job_service.ts";
import type { Handler } from "../../../gen/jobmesh/v1/mesh_service.ts";
import type { DescriptorSet } from "../../../services/common/port/store-descriptors.ts";
import { descriptorSet, type MadeService, scalar, Type } from "../../support/descriptor-sets.ts";
import { faultsOf, jsonHandler, REPORT, reportSet, type TestApi, testApi } from "./setup.ts";

const REPORT_SET = reportSet();
const PRINT = "acme.v1.Reports/Print";

function put(api: TestApi, set: Uint8Array, namespace = "") {
  return api.mesh.putDescriptors({ namespace, descriptorSet: Buffer.from(set) });
}

function list(api: TestApi, request: { namespace?: string; pageSize?: number; pageToken?: string } = {}) {
  return api.mesh.listHandlers({ namespace: "", pageSize: 0, pageToken: "", ...request });
}

async function handlerOf(api: TestApi, method: string, namespace = ""): Promise<Handler | undefined> {
  return (await list(api, { namespace })).handlers.find((one) => one.method === method);
}

/** A version of a service with one method whose request has one field. */
function version(type: Type, more: Partial<MadeService> = {}): DescriptorSet {
  const messages = { Request: [scalar(1, type)] };
  return descriptorSet({ pkg: "acme.v1", service: "Reports", methods: ["Print"], messages, ...more });
}

/** An executor that registered a version, as its session stores it. */
async function runner(api: TestApi, name: string, set: DescriptorSet, namespaces: readonly string[] = []) {
  await api.store.descriptors.put(set);
  const handler = { kind: "handler", method: PRINT, descriptorHash: set.hash, slots: 0 } as const;
  return await api.join(name, 1, { namespaces, capabilities: [handler] });
}

test("descriptors that are put check requests of a method that no executor has registered; it waits for one", async (t) => {
  const api = await testApi(t);
  const before = await faultsOf(api.submit({ target: jsonHandler(REPORT, { title: "T" }) }));
  assert.match(before["target.handler.method"] ?? "", /no executor ever registered .* and nobody put/);
  assert.deepEqual(await put(api, REPORT_SET), { methods: [REPORT] });
  const { executionId } = await api.submit({ target: jsonHandler(REPORT, { title: "T" }) });
  const faults = await faultsOf(api.submit({ target: jsonHandler(REPORT, { titel: "T" }) }));
  assert.deepEqual(Object.keys(faults), ["target.handler.request_json"]);
  assert.match((await api.get(executionId)).stateMessage, /no registered executor runs acme\.report/);
});

test("a handler is listed with its messages, and outlives the executors that run it", async (t) => {
  const api = await testApi(t);
  await put(api, REPORT_SET);
  const seconds = BigInt(api.nowUs() / 1e6);
  assert.deepEqual((await list(api)).handlers, [
    {
      method: REPORT,
      requestType: "acme.report.v1.RenderRequest",
      responseType: "acme.report.v1.RenderResponse",
      executorIds: [],
      conflicting: false,
      updateTime: { seconds, nanos: 0 },
    },
  ]);
  const one = await runner(api, "one", version(Type.STRING));
  await runner(api, "two", version(Type.STRING));
  assert.deepEqual((await handlerOf(api, PRINT))?.executorIds, ["one", "two"]);
  one.say({ kind: "leaving", reason: "restart" });
  await api.clock.settle();
  await api.beats.runOnce();
  assert.deepEqual((await handlerOf(api, PRINT))?.executorIds, ["two"], "one that leaves takes no more work");
  await api.store.executors.leave("two" as never, "two-1" as never);
  const left = await handlerOf(api, PRINT);
  assert.deepEqual([left?.executorIds, left?.requestType], [[], "acme.v1.Request"]);
});

test("executors are shown in the namespaces that they serve", async (t) => {
  const api = await testApi(t);
  await runner(api, "all", version(Type.STRING));
  await runner(api, "some", version(Type.STRING), ["n"]);
  assert.deepEqual((await handlerOf(api, PRINT))?.executorIds, ["all"]);
  assert.deepEqual((await handlerOf(api, PRINT, "n"))?.executorIds, ["all", "some"]);
  assert.deepEqual(Object.keys(await faultsOf(list(api, { namespace: "a b", pageSize: 1_001 }))), [
    "namespace",
    "page_size",
  ]);
});

test("versions of live executors that cannot read each other are shown as conflicting, for as long as both live", async (t) => {
  const api = await testApi(t);
  await runner(api, "int", version(Type.INT32));
  await runner(api, "long", version(Type.INT64));
  assert.equal((await handlerOf(api, PRINT))?.conflicting, false, "the same on the wire");
  await put(api, version(Type.STRING).bytes);
  assert.equal((await handlerOf(api, PRINT))?.conflicting, false, "no executor registered it");
  await runner(api, "text", version(Type.STRING));
  assert.equal((await handlerOf(api, PRINT))?.conflicting, true);
  await api.store.executors.leave("text" as never, "text-1" as never);
  assert.equal((await handlerOf(api, PRINT))?.conflicting, false);
});

test("a set that an executor registered and that lacks an import is listed without messages, and refuses requests", async (t) => {
  const api = await testApi(t);
  const broken = version(Type.STRING, { imports: ["missing.proto"] });
  await runner(api, "one", broken);
  await runner(api, "two", version(Type.INT32));
  await api.clock.advance(1);
  await api.store.descriptors.put(broken);
  const shown = await handlerOf(api, PRINT);
  assert.deepEqual([shown?.executorIds, shown?.conflicting, shown?.requestType], [["one", "two"], false, ""]);
  const faults = await faultsOf(api.submit({ target: jsonHandler(PRINT, {}) }));
  assert.match(faults["target.handler.method"] ?? "", /not usable: .*missing\.proto/);
});

test("a set at fault is refused by its field, and nothing is stored", async (t) => {
  const api = await testApi(t);
  const long = descriptorSet({ pkg: "a".repeat(250), service: "S", methods: ["Method"] });
  const many = descriptorSet({
    pkg: "a.v1",
    service: "S",
    methods: Array.from({ length: 1_001 }, (_, at) => `M${at}`),
  });
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [Buffer.alloc(0), /must have a service with a unary method/],
    [Buffer.from([0xff]), /is not a complete FileDescriptorSet/],
    [version(Type.STRING, { imports: ["missing.proto"] }).bytes, /missing\.proto/],
    [version(Type.STRING, { methods: [], streams: ["Watch"] }).bytes, /must have a service with a unary method/],
    [Buffer.alloc(1024 * 1024 + 1), /at most 1048576 bytes; was 1048577/],
    [long.bytes, /names of at most 255 characters/],
    [many.bytes, /at most 1000 unary methods; had 1001/],
  ];
  for (const [set, says] of cases) assert.match((await faultsOf(put(api, set))).descriptor_set ?? "", says);
  assert.deepEqual(await list(api), { handlers: [], nextPageToken: "" });
  const mostly = version(Type.STRING, { streams: ["Watch"] });
  assert.deepEqual(await put(api, mostly.bytes), { methods: [PRINT] }, "a stream is no handler");
});

test("descriptors that are put are their namespace's: they check, list and show there, and nowhere else", async (t) => {
  const api = await testApi(t);
  assert.deepEqual(Object.keys(await faultsOf(put(api, REPORT_SET, "a b"))), ["namespace"]);
  await put(api, REPORT_SET, "n");
  assert.deepEqual((await handlerOf(api, REPORT, "n"))?.requestType, "acme.report.v1.RenderRequest");
  assert.deepEqual((await list(api)).handlers, []);
  const target = jsonHandler(REPORT, { title: "T" });
  assert.deepEqual(Object.keys(await faultsOf(api.submit({ target }))), ["target.handler.method"]);
  const job = { jobId: "j", namespace: "other", target };
  assert.deepEqual(Object.keys(await faultsOf(api.jobs.createJob(CreateJobRequest.fromPartial({ job })))), [
    "job.target.handler.method",
  ]);
  assert.notEqual((await api.submit({ target, namespace: "n" })).executionId, "");
  await api.jobs.createJob(CreateJobRequest.fromPartial({ job: { ...job, namespace: "n" } }));
});

test("what is no namespace is refused, and no descriptors are looked for in it", async (t) => {
  const api = await testApi(t);
  let looked = 0;
  const forMethod = api.store.descriptors.forMethod.bind(api.store.descriptors);
  api.store.descriptors.forMethod = (...asked) => {
    looked++;
    return forMethod(...asked);
  };
  const target = jsonHandler(PRINT, { f1: "text" });
  for (const namespace of ["\u00e9", "x".repeat(3_000_000)]) {
    assert.deepEqual(Object.keys(await faultsOf(api.submit({ target, namespace }))), ["namespace"]);
  }
  assert.equal(looked, 0);
  await faultsOf(api.submit({ target, namespace: "n" }));
  assert.equal(looked, 1);
});

test("what executors register serves every namespace, until another set is put for one after it", async (t) => {
  const api = await testApi(t);
  await runner(api, "one", version(Type.INT32));
  await api.clock.advance(1_000);
  await put(api, version(Type.STRING).bytes, "n");
  const of = async (namespace: string, value: unknown) =>
    Object.keys(await faultsOf(api.submit({ target: jsonHandler(PRINT, { f1: value }), namespace })));
  const field = ["target.handler.request_json"];
  assert.deepEqual([await of("", "text"), await of("n", 1)], [field, field]);
  assert.equal((await handlerOf(api, PRINT, "n"))?.conflicting, false, "no executor registered it");
  await api.submit({ target: jsonHandler(PRINT, { f1: "text" }), namespace: "n" });
  await api.submit({ target: jsonHandler(PRINT, { f1: 1 }), namespace: "other" });
});

test("handlers are paged in order of their methods, and pages stay right while more are put", async (t) => {
  const api = await testApi(t);
  await put(api, descriptorSet({ pkg: "b.v1", service: "S", methods: ["A", "C", "B"] }).bytes);
  await put(api, descriptorSet({ pkg: "a.v1", service: "S", methods: ["Z"] }).bytes);
  const first = await list(api, { pageSize: 2 });
  assert.deepEqual(
    first.handlers.map(({ method }) => method),
    ["a.v1.S/Z", "b.v1.S/A"],
  );
  await put(api, descriptorSet({ pkg: "a.v0", service: "S", methods: ["New"] }).bytes);
  const rest = await list(api, { pageSize: 2, pageToken: first.nextPageToken });
  assert.deepEqual([rest.handlers.map(({ method }) => method), rest.nextPageToken], [["b.v1.S/B", "b.v1.S/C"], ""]);
  assert.deepEqual(Object.keys(await faultsOf(list(api, { pageToken: "x" }))), ["page_token"]);
});

test("a page ends after 16 sets of descriptors, and its token goes on", async (t) => {
  const api = await testApi(t);
  for (let at = 0; at < 18; at += 1) {
    const pkg = `p${String(at).padStart(2, "0")}.v1`;
    await put(api, descriptorSet({ pkg, service: "S", methods: ["A", "B"] }).bytes);
  }
  const first = await list(api, { pageSize: 1_000 });
  assert.deepEqual([first.handlers.length, first.handlers.at(-1)?.method], [32, "p15.v1.S/B"]);
  const rest = await list(api, { pageSize: 1_000, pageToken: first.nextPageToken });
  assert.deepEqual([rest.handlers.length, rest.handlers[0]?.method, rest.nextPageToken], [4, "p16.v1.S/A", ""]);
});

test("a page ends at 1 MiB, though very many executors run each handler", async (t) => {
  const api = await testApi(t);
  const methods = Array.from({ length: 300 }, (_, at) => `M${String(at).padStart(3, "0")}`);
  const set = descriptorSet({ pkg: "a.v1", service: "S", methods });
  await api.store.descriptors.put(set);
  const handler = (method: string) => ({ kind: "handler", method, descriptorHash: set.hash, slots: 0 }) as const;
  const capabilities = set.methods.map(handler);
  for (let at = 0; at < 100; at += 1) await api.join(`${"e".repeat(55)}-${at}`, 1, { capabilities });
  const first = await list(api, { pageSize: 1_000 });
  assert.ok(first.handlers.length > 100 && first.handlers.length < 200, `${first.handlers.length}`);
  const rest = await list(api, { pageSize: 1_000, pageToken: first.nextPageToken });
  assert.equal(rest.handlers[0]?.method, set.methods[first.handlers.length]);
});
