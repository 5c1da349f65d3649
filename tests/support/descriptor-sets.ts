/** FileDescriptorSets that tests make up: versions of a service whose messages differ. */
import { createHash } from "node:crypto";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type FieldDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import type { DescriptorSet } from "../../services/common/port/store-descriptors.ts";

export { Label, Type };

/** A field of a message: everything that descriptor.proto has; optional where no label is given. */
export type Field = MessageInitShape<typeof FieldDescriptorProtoSchema>;

/** A made-up service; messages are named without their package. */
export type MadeService = {
  /** Such as "acme.v1". */
  readonly pkg: string;
  readonly service: string;
  /** Unary methods from the message Request to the message Response. */
  readonly methods: readonly string[];
  readonly streams?: readonly string[];
  readonly messages?: Readonly<Record<string, readonly Field[]>>;
  readonly syntax?: "proto2" | "proto3";
  /** Files that it imports and that are not there. */
  readonly imports?: readonly string[];
};

/** A field of a scalar type. */
export function scalar(number: number, type: Type, more: Field = {}): Field {
  return { name: `f${number}`, jsonName: `f${number}`, number, type, label: Label.OPTIONAL, ...more };
}

/** A field with a message of the same package. */
export function inside(number: number, typeName: string, more: Field = {}): Field {
  return scalar(number, Type.MESSAGE, { typeName, ...more });
}

/** The set as it is sent and stored. */
export function descriptorSet(made: MadeService): DescriptorSet {
  const { pkg, service, methods, streams = [], messages = {}, syntax = "proto3", imports = [] } = made;
  const all: Readonly<Record<string, readonly Field[]>> = { Request: [], Response: [], ...messages };
  const types = { inputType: `.${pkg}.Request`, outputType: `.${pkg}.Response` };
  const set = create(FileDescriptorSetSchema, {
    file: [
      {
        name: `${pkg}.proto`,
        package: pkg,
        syntax,
        dependency: [...imports],
        messageType: Object.entries(all).map(([name, field]) => ({ name, field: [...field] })),
        service: [
          {
            name: service,
            method: [
              ...methods.map((name) => ({ name, ...types })),
              ...streams.map((name) => ({ name, ...types, serverStreaming: true })),
            ],
          },
        ],
      },
    ],
  });
  const bytes = toBinary(FileDescriptorSetSchema, set);
  const names = methods.map((name) => `${pkg}.${service}/${name}`);
  return { hash: createHash("sha256").update(bytes).digest("hex"), bytes, methods: names };
}
