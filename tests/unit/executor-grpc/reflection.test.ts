import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { GrpcTarget } from "../../../gen/jobmesh/v1/job.ts";
import { DescriptorIndex } from "../../../services/common/rpc/descriptor-index.ts";
import { RawChannel } from "../../../services/common/rpc/raw-call.ts";
import { MAX_REFLECTED_BYTES, MAX_REFLECTED_FILES } from "../../../services/common/rpc/reflection-client.ts";
import { MAX_REFLECTED_SERVICES, ReflectedTypes } from "../../../services/executor/target/reflected-types.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import {
  type AnswerReflection,
  clock,
  failureOf,
  guard,
  RENDER,
  reflectReport,
  setup,
  startServer,
  textOf,
} from "./setup.ts";

function json(value: unknown): GrpcTarget["payload"] {
  return { $case: "requestJson", value };
}

const march = json({ title: "March", rows: [{ name: "orders", amount: "7" }] });

/** Answers with these files to whatever is asked. */
function givesFiles(...files: readonly Uint8Array[]): AnswerReflection {
  const fileDescriptorProto = files.map((bytes) => Buffer.from(bytes));
  return () => ({ $case: "fileDescriptorResponse", value: { fileDescriptorProto } });
}

function file(name: string, dependency: readonly string[] = [], message = ""): Uint8Array {
  const messageType = message === "" ? [] : [{ name: message }];
  return toBinary(
    FileDescriptorProtoSchema,
    create(FileDescriptorProtoSchema, { name, dependency: [...dependency], messageType }),
  );
}

/** Files that are each half of what is taken, and import one another. */
function givesLargeFiles({ messageRequest }: Parameters<AnswerReflection>[0]): ReturnType<AnswerReflection> {
  const name = messageRequest?.$case === "fileByFilename" ? messageRequest.value : "0.proto";
  const next = `${Number.parseInt(name, 10) + 1}.proto`;
  const bytes = file(name, [next], "M".repeat(MAX_REFLECTED_BYTES / 2 - 100));
  return { $case: "fileDescriptorResponse", value: { fileDescriptorProto: [Buffer.from(bytes)] } };
}

for (const version of ["v1", "v1alpha"] as const) {
  test(`a request in JSON is encoded by the server's reflection, ${version}`, async (t) => {
    const server = await startServer(t, { reflection: [version] });
    const { outcome } = setup(t);
    assert.equal(textOf(await outcome({ address: server.address, payload: march })), "March: 1");
    assert.equal(server.calls[0]?.request.rows[0]?.amount, 7n);
    assert.deepEqual(server.reflected, [{ $case: "fileContainingSymbol", value: "acme.report.v1.ReportService" }]);
  });
}

test("a server is asked once a minute for a service, also by attempts at the same time", async (t) => {
  const server = await startServer(t, { reflection: ["v1"] });
  const { outcome } = setup(t);
  const target = { address: server.address, payload: march };
  await Promise.all([outcome(target), outcome(target), outcome(target)]);
  await outcome(target);
  assert.equal(server.reflected.length, 1);
  const own = new ManualClock();
  const types = new ReflectedTypes(own);
  const channel = new RawChannel(clock, { address: server.address, tls: null, guard });
  t.after(() => channel.close());
  const [service = ""] = RENDER.split("/");
  await types.of("a", channel, service);
  await own.advance(59_000);
  await types.of("a", channel, service);
  assert.equal(server.reflected.length, 2);
  await own.advance(1_000);
  await types.of("a", channel, service);
  assert.equal(server.reflected.length, 3);
});

test("types of so many services are kept, and the one read longest ago goes", async (t) => {
  const server = await startServer(t, { reflection: ["v1"] });
  const types = new ReflectedTypes(clock);
  const channel = new RawChannel(clock, { address: server.address, tls: null, guard });
  t.after(() => channel.close());
  const [service = ""] = RENDER.split("/");
  for (let count = 0; count <= MAX_REFLECTED_SERVICES; count++) await types.of(`place ${count}`, channel, service);
  assert.equal(types.size, MAX_REFLECTED_SERVICES);
  const asked = server.reflected.length;
  await types.of("place 1", channel, service);
  assert.equal(server.reflected.length, asked, "the second is still there");
  await types.of("place 0", channel, service);
  assert.equal(server.reflected.length, asked + 1);
});

test("files that a service imports are asked for one by one where a server gives one at a time", async (t) => {
  const index = new DescriptorIndex();
  index.add(readFileSync(new URL("../../../gen/image.binpb", import.meta.url)));
  const reflect: AnswerReflection = ({ messageRequest }) => {
    if (messageRequest?.$case !== "fileByFilename" && messageRequest?.$case !== "fileContainingSymbol")
      return undefined;
    const isSymbol = messageRequest.$case === "fileContainingSymbol";
    const name = isSymbol ? (index.fileOfSymbol(messageRequest.value) ?? "") : messageRequest.value;
    const bytes = index.closure(name)?.get(name) ?? Buffer.alloc(0);
    return { $case: "fileDescriptorResponse", value: { fileDescriptorProto: [bytes] } };
  };
  const server = await startServer(t, { reflection: ["v1"], reflect });
  const { outcome } = setup(t);
  const method = "jobmesh.v1.JobService/CreateJob";
  const payload = json({ job: { jobId: "a", schedule: { interval: "5s" } } });
  const { reason, message } = failureOf(await outcome({ address: server.address, method, payload }));
  assert.equal(reason, "grpc:UNIMPLEMENTED");
  assert.match(message, /does not implement the method/, "it was encoded and sent: the server itself says so");
  const names = server.reflected.map((asked) => (asked?.$case === "fileByFilename" ? asked.value : ""));
  assert.ok(names.includes("google/protobuf/duration.proto"), names.join());
  assert.equal(new Set(names).size, names.length, "none twice");
});

test("JSON that does not fit names the field, is not sent, and is not tried again", async (t) => {
  const server = await startServer(t, { reflection: ["v1"] });
  const { outcome } = setup(t);
  const wrong = failureOf(await outcome({ address: server.address, payload: json({ rows: [{ amount: "x" }] }) }));
  assert.deepEqual([wrong.reason, wrong.nonRetryable], ["REQUEST_INVALID", true]);
  assert.match(wrong.message, /request_json: does not fit acme\.report\.v1\.RenderRequest: .*amount/);
  assert.equal(server.calls.length, 0);
});

test("a service, or a method, that the server does not know is UNIMPLEMENTED", async (t) => {
  const server = await startServer(t, { reflection: ["v1"] });
  const { outcome } = setup(t);
  for (const method of ["acme.report.v1.ReportService/Other", "acme.Other/Render"]) {
    const { reason, message } = failureOf(await outcome({ address: server.address, method, payload: march }));
    assert.equal(reason, "grpc:UNIMPLEMENTED");
    assert.match(message, new RegExp(`the server does not have ${method}`));
  }
});

test("a stream is not called", async (t) => {
  const index = readFileSync(new URL("../../../gen/image.binpb", import.meta.url));
  const files = new DescriptorIndex();
  files.add(index);
  const all = files.closure(files.fileOfSymbol("jobmesh.v1.ExecutionService") ?? "") ?? new Map();
  const server = await startServer(t, { reflection: ["v1"], reflect: givesFiles(...all.values()) });
  const { outcome } = setup(t);
  const method = "jobmesh.v1.ExecutionService/ReadLogs";
  const failure = failureOf(await outcome({ address: server.address, method, payload: json({}) }));
  assert.deepEqual([failure.reason, failure.nonRetryable], ["REQUEST_INVALID", true]);
  assert.match(failure.message, /is a stream/);
});

const faults: readonly (readonly [string, AnswerReflection | null, RegExp])[] = [
  ["has no reflection", null, /the server has no reflection/],
  ["gives no descriptors", () => ({ $case: "listServicesResponse", value: { service: [] } }), /gave no descriptors/],
  ["gives what are none", givesFiles(Buffer.of(0x0a, 0xff)), /no FileDescriptorProto/],
  ["gives too much", givesLargeFiles, /too large; at most 4194304 bytes and 1000 files/],
  ["keeps an import back", givesFiles(file("a.proto", ["b.proto"])), /does not give b\.proto/],
  ["imports in a circle", givesFiles(file("a.proto", ["b.proto"]), file("b.proto", ["a.proto"])), /not a complete/],
  [
    "fails",
    () => ({ $case: "errorResponse", value: { errorCode: 13, errorMessage: "out of order" } }),
    /reflection failed: out of order/,
  ],
];

for (const [name, reflect, says] of faults) {
  test(`JSON for a server that ${name} fails by name, and bytes still go`, async (t) => {
    const server = await startServer(t, reflect === null ? {} : { reflection: ["v1"], reflect });
    const { outcome } = setup(t);
    const failure = failureOf(await outcome({ address: server.address, payload: march }));
    assert.match(failure.message, says);
    assert.notEqual(failure.reason, "INTERNAL");
    assert.equal(server.calls.length, 0);
    assert.equal(textOf(await outcome({ address: server.address })), ": 0");
  });
}

test("a fault of reflection is not kept: the next attempt asks again", async (t) => {
  const good = reflectReport();
  let isGood = false;
  const server = await startServer(t, {
    reflection: ["v1"],
    reflect: (request) =>
      isGood ? good(request) : { $case: "errorResponse", value: { errorCode: 5, errorMessage: "" } },
  });
  const { outcome } = setup(t);
  const target = { address: server.address, payload: march };
  assert.equal(failureOf(await outcome(target)).reason, "grpc:UNIMPLEMENTED");
  isGood = true;
  assert.equal(textOf(await outcome(target)), "March: 1");
});

test("one that is stopped while its server is asked ends, and the others get their answer", async (t) => {
  const good = reflectReport();
  let reached: (() => void) | undefined;
  const asked = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const server = await startServer(t, {
    reflection: ["v1"],
    reflect: (request) => {
      reached?.();
      return good(request);
    },
  });
  const { start } = setup(t);
  const target = { address: server.address, payload: march };
  const [stopped, other] = [start(target), start(target)];
  await asked;
  stopped.attempt.stop({ kind: "stop", reason: "CANCEL", message: "" }, 0);
  assert.equal((await stopped.ended).outcome.kind, "cancelled");
  assert.equal(textOf((await other.ended).outcome), "March: 1");
});

/** Two files, the second of which the first imports, one for each question. */
function givesTwo(bytes: number): AnswerReflection {
  const half = MAX_REFLECTED_BYTES / 2;
  const first = file("0.proto", ["1.proto"], "M".repeat(half - 100));
  const left = bytes - first.length;
  const around = file("1.proto", [], "M".repeat(half)).length - half;
  const second = file("1.proto", [], "M".repeat(left - around));
  return ({ messageRequest }) => {
    const given = messageRequest?.$case === "fileByFilename" ? second : first;
    return { $case: "fileDescriptorResponse", value: { fileDescriptorProto: [Buffer.from(given)] } };
  };
}

test("a server's descriptors are taken up to 4 MiB and up to 1,000 files", async (t) => {
  const files = Array.from({ length: MAX_REFLECTED_FILES + 1 }, (_, at) => file(`${at}.proto`));
  const tooMuch = /too large; at most 4194304 bytes and 1000 files/;
  for (const [reflect, isTaken] of [
    [givesTwo(MAX_REFLECTED_BYTES), true],
    [givesTwo(MAX_REFLECTED_BYTES + 1), false],
    [givesFiles(...files.slice(1)), true],
    [givesFiles(...files), false],
  ] as const) {
    const server = await startServer(t, { reflection: ["v1"], reflect });
    const { message } = failureOf(await setup(t).outcome({ address: server.address, payload: march }));
    // What is taken has no such method.
    assert.match(message, isTaken ? /acme\.report\.v1\.ReportService/ : tooMuch);
    assert.equal(tooMuch.test(message), !isTaken);
  }
});
