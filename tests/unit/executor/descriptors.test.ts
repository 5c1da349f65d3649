import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { MAX_DESCRIPTOR_BYTES, methodDescriptors } from "../../../services/executor/target/descriptors.ts";

/** Descriptors of a.S/M, with a message whose name has so many characters. */
function descriptors(characters: number): Uint8Array {
  const service = [{ name: "S", method: [{ name: "M" }] }];
  const file = [{ name: "a.proto", package: "a", service, messageType: [{ name: "m".repeat(characters) }] }];
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
}

test("a handler's descriptors have 1 MiB at most", () => {
  const around = descriptors(MAX_DESCRIPTOR_BYTES - 100).length - (MAX_DESCRIPTOR_BYTES - 100);
  const most = MAX_DESCRIPTOR_BYTES - around;
  assert.equal(methodDescriptors(descriptors(most), "a.S/M").bytes.length, 1024 * 1024);
  assert.throws(() => methodDescriptors(descriptors(most + 1), "a.S/M"), {
    reason: "CONFIG_INVALID",
    message: "the descriptors of a.S/M have 1048577 bytes; at most 1048576 are taken",
  });
});
