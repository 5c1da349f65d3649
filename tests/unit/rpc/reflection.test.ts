import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FieldDescriptorProtoSchema, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import {
  ServerReflectionService as ReflectionV1,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection.ts";
import { ServerReflectionService as ReflectionV1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection.ts";
import { PeerServiceService } from "../../../gen/jobmesh/v1/peer_service.ts";
import { Reflection, readContractDescriptors } from "../../../services/common/rpc/reflection.ts";
import { RpcChannel } from "../../../services/common/rpc/rpc-channel.ts";
import { RpcServer } from "../../../services/common/rpc/rpc-server.ts";
import { silentLogger } from "../../../services/common/runtime/log.ts";
import { SystemClock } from "../../../services/common/runtime/system-clock.ts";

type Asked = NonNullable<ServerReflectionRequest["messageRequest"]>;

/** A file of somebody else, with an extension of a message. */
function foreignSet(): Uint8Array {
  const extension = create(FieldDescriptorProtoSchema, {
    name: "tag",
    number: 50_001,
    extendee: ".example.Base",
    type: 9,
    label: 1,
  });
  const file = create(FileDescriptorProtoSchema, {
    name: "example/base.proto",
    package: "example",
    syntax: "proto2",
    dependency: ["google/protobuf/duration.proto"],
    messageType: [
      {
        name: "Base",
        extensionRange: [{ start: 50_000, end: 51_000 }],
        field: [{ name: "x", number: 1, type: 9, label: 1 }],
      },
    ],
    enumType: [{ name: "Kind", value: [{ name: "KIND_A", number: 0 }] }],
    extension: [extension],
  });
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [file] }));
}

async function setup() {
  const clock = new SystemClock();
  const server = new RpcServer({ log: silentLogger, clock }, { listen: "127.0.0.1:0" });
  server.addService(PeerServiceService, {});
  const reflection = new Reflection([await readContractDescriptors()]);
  reflection.add(foreignSet());
  reflection.addTo(server);
  const { address } = await server.start();
  const channel = new RpcChannel({ clock }, { target: address });
  const ask = (
    method: typeof ReflectionV1.serverReflectionInfo | typeof ReflectionV1Alpha.serverReflectionInfo,
    ...asked: Asked[]
  ) =>
    new Promise<ServerReflectionResponse[]>((resolve, reject) => {
      const answers: ServerReflectionResponse[] = [];
      const stream = channel.bidi(method);
      stream.onMessage((answer) => answers.push(answer));
      stream.onClosed((error) => (error === null ? resolve(answers) : reject(error)));
      for (const messageRequest of asked) stream.send({ host: "h", messageRequest });
      stream.end();
    });
  return {
    ask,
    async [Symbol.asyncDispose]() {
      channel.close();
      await server.stop(0);
    },
  };
}

function filesOf(answer: ServerReflectionResponse | undefined): string[] {
  const response = answer?.messageResponse;
  assert.equal(response?.$case, "fileDescriptorResponse");
  return response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
}

test("both versions list the services that the server has, and no other", async () => {
  await using mesh = await setup();
  for (const { serverReflectionInfo } of [ReflectionV1, ReflectionV1Alpha]) {
    const [answer] = await mesh.ask(serverReflectionInfo, { $case: "listServices", value: "*" });
    assert.equal(answer?.validHost, "h");
    assert.deepEqual(answer?.messageResponse, {
      $case: "listServicesResponse",
      value: {
        service: [
          { name: "grpc.reflection.v1.ServerReflection" },
          { name: "grpc.reflection.v1alpha.ServerReflection" },
          { name: "jobmesh.v1.PeerService" },
        ],
      },
    });
  }
});

test("a symbol brings its file with all imports, each once a stream", async () => {
  await using mesh = await setup();
  const answers = await mesh.ask(
    ReflectionV1.serverReflectionInfo,
    { $case: "fileContainingSymbol", value: "jobmesh.v1.PeerService" },
    { $case: "fileContainingSymbol", value: "jobmesh.v1.Hello" },
    { $case: "fileByFilename", value: "jobmesh/v1/peer_service.proto" },
  );
  const first = filesOf(answers[0]);
  assert.equal(first[0], "jobmesh/v1/peer_service.proto");
  for (const name of ["jobmesh/v1/executor_service.proto", "google/protobuf/timestamp.proto"])
    assert.ok(first.includes(name));
  assert.equal(new Set(first).size, first.length);
  assert.deepEqual(filesOf(answers[1]), ["jobmesh/v1/executor_service.proto"]);
  assert.deepEqual(filesOf(answers[2]), ["jobmesh/v1/peer_service.proto"]);
});

test("methods, fields, nested messages, enums and their values are symbols", async () => {
  await using mesh = await setup();
  const symbols = [
    "jobmesh.v1.PeerService.Link",
    "jobmesh.v1.PeerHint.ready",
    "jobmesh.v1.PeerHint.kind",
    "google.protobuf.Timestamp",
    "jobmesh.v1.JobService.CreateJob",
    "example.Kind",
    "example.KIND_A",
    "example.tag",
  ];
  const asked = symbols.map((value): Asked => ({ $case: "fileContainingSymbol", value }));
  const answers = await mesh.ask(ReflectionV1.serverReflectionInfo, ...asked);
  const missing = symbols.filter((_, place) => answers[place]?.messageResponse?.$case !== "fileDescriptorResponse");
  assert.deepEqual(
    missing,
    ["google.protobuf.FileDescriptorProto"].filter((name) => missing.includes(name)),
  );
});

test("extensions are found by type and number", async () => {
  await using mesh = await setup();
  const answers = await mesh.ask(
    ReflectionV1.serverReflectionInfo,
    { $case: "fileContainingExtension", value: { containingType: "example.Base", extensionNumber: 50_001 } },
    { $case: "allExtensionNumbersOfType", value: "example.Base" },
    { $case: "allExtensionNumbersOfType", value: "jobmesh.v1.Hello" },
  );
  assert.deepEqual(filesOf(answers[0]), ["example/base.proto", "google/protobuf/duration.proto"]);
  const numbers = answers.slice(1).map((answer) => answer.messageResponse);
  assert.deepEqual(numbers, [
    { $case: "allExtensionNumbersResponse", value: { baseTypeName: "example.Base", extensionNumber: [50_001] } },
    { $case: "allExtensionNumbersResponse", value: { baseTypeName: "jobmesh.v1.Hello", extensionNumber: [] } },
  ]);
});

test("what is not known is answered, and the stream goes on", async () => {
  await using mesh = await setup();
  const asked: Asked[] = [
    { $case: "fileContainingSymbol", value: "no.Such" },
    { $case: "fileByFilename", value: "../etc/passwd" },
    { $case: "fileContainingExtension", value: { containingType: "example.Base", extensionNumber: 1 } },
    { $case: "allExtensionNumbersOfType", value: "no.Such" },
  ];
  const answers = await mesh.ask(ReflectionV1.serverReflectionInfo, ...asked);
  assert.equal(answers.length, asked.length);
  for (const { messageResponse } of answers) {
    assert.equal(messageResponse?.$case, "errorResponse");
    assert.equal(messageResponse.value.errorCode, 5);
  }
});
