import type { CallOptions } from "./call-options.ts";
import type { DuplexStream, MethodShape, RequestOf, ResponseOf, ServiceShape } from "./contract.ts";
import type { RpcChannel } from "./rpc-channel.ts";

/** One method of a client, by its shape. */
export type ClientMethod<M> = M extends { requestStream: false; responseStream: false }
  ? (request: RequestOf<M>, options?: CallOptions) => Promise<ResponseOf<M>>
  : M extends { requestStream: false; responseStream: true }
    ? (request: RequestOf<M>, options?: CallOptions) => AsyncGenerator<ResponseOf<M>, void, void>
    : (options?: CallOptions) => DuplexStream<ResponseOf<M>, RequestOf<M>>;

/** A client of a service: one function a method. */
export type ServiceClient<S> = { readonly [K in keyof S]: ClientMethod<S[K]> };

/** Makes a typed client from a ts-proto service definition: `serviceClient(JobServiceService, channel).createJob(…)`. */
export function serviceClient<S extends ServiceShape>(definition: S, channel: RpcChannel): ServiceClient<S> {
  const methods = Object.entries(definition).map(([name, shape]) => [name, clientMethod(shape, channel)]);
  return Object.fromEntries(methods) as ServiceClient<S>;
}

function clientMethod(shape: MethodShape, channel: RpcChannel): unknown {
  if (shape.requestStream) return (options?: CallOptions) => channel.bidi(shape, options);
  if (shape.responseStream) {
    return (request: unknown, options?: CallOptions) => channel.serverStream(shape, request, options);
  }
  return (request: unknown, options?: CallOptions) => channel.unary(shape, request, options);
}
