import type { MethodShape, RequestOf, ResponseOf } from "../../common/rpc/contract.ts";
import { MethodTypes } from "../../common/wire/json-message.ts";
import type { MethodDescriptors } from "./descriptors.ts";
import type { HandlerDefinition } from "./handler.ts";
import type { HandlerContext } from "./handler-context.ts";

/** Handler answers one request of a method with its response. */
export type Handler<M> = (request: RequestOf<M>, context: HandlerContext) => Promise<ResponseOf<M>> | ResponseOf<M>;

/** Part of a generated message type that a handler needs. */
export interface MessageType<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** A service of ts-proto's generic definitions, for example ReportServiceDefinition. */
export interface GenericService {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, GenericMethod>>;
}

interface GenericMethod {
  readonly name: string;
  readonly requestType: unknown;
  readonly responseType: unknown;
}

type MessageOf<T> = T extends { decode(bytes: Uint8Array): infer Message } ? Message : never;

/** A method of a generic definition in the shape of a grpc-js one. */
export type ShapeOf<M extends GenericMethod> = MethodShape & {
  readonly requestDeserialize: (value: Buffer) => MessageOf<M["requestType"]>;
  readonly responseDeserialize: (value: Buffer) => MessageOf<M["responseType"]>;
};

/**
 * Names a method of a generic definition for `handle`:
 * `handle(genericMethod(ReportServiceDefinition, "render"), …)`.
 */
export function genericMethod<S extends GenericService, K extends keyof S["methods"] & string>(
  service: S,
  name: K,
): ShapeOf<S["methods"][K]> {
  const method = service.methods[name] as GenericMethod;
  const request = method.requestType as MessageType<MessageOf<S["methods"][K]["requestType"]>>;
  const response = method.responseType as MessageType<MessageOf<S["methods"][K]["responseType"]>>;
  return {
    path: `/${service.fullName}/${method.name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: (value: MessageOf<S["methods"][K]["requestType"]>) => Buffer.from(request.encode(value).finish()),
    requestDeserialize: (bytes: Buffer) => request.decode(bytes),
    responseSerialize: (value: MessageOf<S["methods"][K]["responseType"]>) =>
      Buffer.from(response.encode(value).finish()),
    responseDeserialize: (bytes: Buffer) => response.decode(bytes),
  };
}

/** Full name of a method, "package.Service/Method". */
export function methodName(shape: MethodShape): string {
  return shape.path.replace(/^\//, "");
}

/** Reduces a typed handler to bytes at both ends. @param descriptors null when none were given. */
export function handlerDefinition<M extends MethodShape>(
  shape: M,
  handler: Handler<M>,
  slots: number,
  descriptors: MethodDescriptors | null,
): HandlerDefinition {
  const method = methodName(shape);
  const types = descriptors === null ? null : new MethodTypes(descriptors.bytes);
  return {
    method,
    slots,
    descriptorHash: descriptors?.hash ?? "",
    decode: (bytes) => shape.requestDeserialize(asBuffer(bytes)),
    encodeJson: types === null ? null : (json) => types.encodeRequest(method, json),
    encode: (response) => shape.responseSerialize(response as never),
    run: (request, context) => handler(request as RequestOf<M>, context),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
