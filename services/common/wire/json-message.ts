import {
  createFileRegistry,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { bytesFault } from "./request-bytes.ts";
import { wireConflict } from "./wire-conflict.ts";

/** A payload that is no message of the type that it should be. */
export class PayloadFault extends Error {
  override readonly name = "PayloadFault";
}

/**
 * MethodTypes knows the messages of the methods of a FileDescriptorSet, so
 * that payloads can be checked and turned between JSON and bytes without
 * generated code.
 */
export class MethodTypes {
  readonly #registry: FileRegistry;

  /** @throws PayloadFault when the bytes are no FileDescriptorSet, or one that lacks an import. */
  constructor(descriptorSet: Uint8Array) {
    try {
      this.#registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
    } catch (error) {
      throw new PayloadFault(`not a complete FileDescriptorSet: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Full names of the unary methods, "package.Service/Method". */
  methods(): readonly string[] {
    const names: string[] = [];
    for (const type of this.#registry) {
      if (type.kind !== "service") continue;
      for (const method of type.methods) {
        if (method.methodKind === "unary") names.push(`${type.typeName}/${method.name}`);
      }
    }
    return names;
  }

  /** True when the method is here. */
  has(method: string): boolean {
    return this.#find(method) !== undefined;
  }

  /** True when the method is here and no stream. */
  isUnary(method: string): boolean {
    return this.#find(method)?.methodKind === "unary";
  }

  /** Full names of the request's and the response's message. Throws PayloadFault. */
  messagesOf(method: string): { readonly request: string; readonly response: string } {
    const { input, output } = this.#get(method);
    return { request: input.typeName, response: output.typeName };
  }

  /** What keeps a caller of this version of a method from one of another version; null when nothing does. Throws PayloadFault. */
  conflictWith(other: MethodTypes, method: string): string | null {
    const one = this.#get(method);
    const two = other.#get(method);
    return wireConflict(one.input, two.input) ?? wireConflict(one.output, two.output);
  }

  /** A request given as canonical protobuf JSON, in bytes. Throws PayloadFault that names the field at fault. */
  encodeRequest(method: string, json: unknown): Uint8Array {
    const { input } = this.#get(method);
    try {
      // The registry resolves google.protobuf.Any inside it.
      return toBinary(input, fromJson(input, json as JsonValue, { registry: this.#registry }));
    } catch (error) {
      throw new PayloadFault(`does not fit ${input.typeName}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Checks a request given in bytes. Throws PayloadFault that names the field at fault. */
  checkRequest(method: string, bytes: Uint8Array): void {
    const { input } = this.#get(method);
    const fault = bytesFault(input, bytes);
    if (fault !== null) {
      const place = fault.path === "" ? "" : `${fault.path}: `;
      throw new PayloadFault(`is no ${input.typeName}: ${place}${fault.reason}`);
    }
    try {
      fromBinary(input, bytes);
    } catch (error) {
      throw new PayloadFault(`is no ${input.typeName}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** A response given in bytes, as canonical protobuf JSON. Throws PayloadFault. */
  decodeResponse(method: string, bytes: Uint8Array): JsonValue {
    const { output } = this.#get(method);
    try {
      return toJson(output, fromBinary(output, bytes), { registry: this.#registry });
    } catch (error) {
      throw new PayloadFault(`is no ${output.typeName}: ${messageOf(error)}`, { cause: error });
    }
  }

  #get(method: string): DescMethod {
    const found = this.#find(method);
    if (found === undefined) throw new PayloadFault(`the descriptors do not have ${method}`);
    return found;
  }

  #find(method: string): DescMethod | undefined {
    const [service = "", name] = method.split("/");
    return this.#registry.getService(service)?.methods.find((candidate) => candidate.name === name);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
