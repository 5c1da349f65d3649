import { readFileSync } from "node:fs";
import {
  create,
  createFileRegistry,
  type DescMethod,
  fromBinary,
  fromJson,
  type JsonObject,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { MethodShape } from "../../../services/common/rpc/contract.ts";

/** A method whose messages are bytes, as they are on the wire. */
export type RawMethod = MethodShape & {
  readonly requestSerialize: (bytes: Buffer) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Buffer;
};

/** One call of the contract. */
export type ContractMethod = {
  /** "package.Service/Method". */
  readonly name: string;
  readonly desc: DescMethod;
  readonly raw: RawMethod;
  /** A valid request that canonical JSON says. */
  bytesOf(json: JsonObject): Uint8Array;
};

const IMAGE = new URL("../../../gen/image.binpb", import.meta.url);
const asIs = (bytes: Buffer): Buffer => bytes;

/** Every method of every service that the contract's descriptors hold: jobmesh's own, health and reflection. */
export function contractMethods(): readonly ContractMethod[] {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(IMAGE)));
  return [...registry.files].flatMap(({ services }) => services.flatMap(({ methods }) => methods.map(methodOf)));
}

function methodOf(desc: DescMethod): ContractMethod {
  const name = `${desc.parent.typeName}/${desc.name}`;
  const raw: RawMethod = {
    path: `/${name}`,
    requestStream: desc.methodKind === "bidi_streaming" || desc.methodKind === "client_streaming",
    responseStream: desc.methodKind === "bidi_streaming" || desc.methodKind === "server_streaming",
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  const bytesOf = (json: JsonObject): Uint8Array =>
    toBinary(desc.input, Object.keys(json).length === 0 ? create(desc.input) : fromJson(desc.input, json));
  return { name, desc, raw, bytesOf };
}
