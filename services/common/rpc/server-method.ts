import type {
  Server,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from "@grpc/grpc-js";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { Clock } from "../port/clock.ts";
import type { Logger } from "../runtime/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { ActiveSpan, Tracing } from "../telemetry/tracing.ts";
import { type ServerCall, ServerCallContext } from "./call-context.ts";
import { CallMetrics } from "./call-metrics.ts";
import type {
  BidiHandler,
  ClientStreamHandler,
  MethodShape,
  ServerStreamHandler,
  StreamLimits,
  UnaryHandler,
} from "./contract.ts";
import { ServerSide } from "./server-side.ts";
import { toStatusParts } from "./status.ts";
import { GrpcDuplexStream, GrpcSendStream, Unreadable } from "./stream.ts";
import { unimplemented } from "./unimplemented.ts";

/** What all methods of one server share. */
export interface ServerScope {
  readonly log: Logger;
  readonly clock: Clock;
  /** Null when spans are not exported. */
  readonly tracing: Tracing | null;
  readonly metrics: Metrics;
  readonly stopping: AbortSignal;
  /** Calls that run, to be aborted by a hard stop. */
  readonly active: Set<{ abort(reason: JobmeshError): void }>;
  /** What was logged already: one failed commit may end hundreds of calls. */
  readonly reported: WeakSet<object>;
  readonly maxMessageBytes: number;
  readonly streamLimits: StreamLimits;
}

type UnaryCall = ServerUnaryCall<unknown, unknown>;
type WritableCall = ServerWritableStream<unknown, unknown>;
type DuplexCall = ServerDuplexStream<unknown, unknown>;
type ReadableCall = ServerReadableStream<unknown, unknown>;
type Respond = sendUnaryData<unknown>;

/** One method of a service: it joins a plain handler with grpc-js. */
export class ServerMethod {
  /** "package.Service". */
  readonly service: string;
  /** "package.Service/Method". */
  readonly name: string;
  readonly #shape: MethodShape;
  readonly #handler: unknown;
  readonly #scope: ServerScope;
  readonly #metrics: CallMetrics;

  /** The handler is what HandlerOf says for this shape; addService has checked that by its types. */
  constructor(shape: MethodShape, handler: unknown, scope: ServerScope) {
    this.name = shape.path.slice(1);
    this.service = this.name.slice(0, this.name.lastIndexOf("/"));
    this.#shape = shape;
    this.#handler = handler ?? unimplemented(this.name);
    this.#scope = scope;
    this.#metrics = new CallMetrics(scope.metrics, this.name);
  }

  /** False when the server has a method of this path already. */
  register(server: Server): boolean {
    const { path, requestStream, responseStream } = this.#shape;
    const serialize = (message: unknown): Buffer => this.#serialize(message);
    const deserialize = (bytes: Buffer): unknown => this.#deserialize(bytes);
    if (requestStream && responseStream) {
      return server.register(path, (call: DuplexCall) => this.#bidi(call), serialize, deserialize, "bidi");
    }
    if (responseStream) {
      const answer = (call: WritableCall): void => void this.#serverStream(call);
      return server.register(path, answer, serialize, deserialize, "serverStream");
    }
    if (requestStream) {
      const answer = (call: ReadableCall, respond: Respond): void => void this.#clientStream(call, respond);
      return server.register(path, answer, serialize, deserialize, "clientStream");
    }
    const answer = (call: UnaryCall, respond: Respond): void => void this.#unary(call, respond);
    return server.register(path, answer, serialize, deserialize, "unary");
  }

  async #unary(call: UnaryCall, respond: Respond): Promise<void> {
    const context = this.#open(call);
    const span = this.#startSpan(context);
    const startMs = this.#scope.clock.monotonicMs();
    this.#scope.active.add(context);
    call.on("cancelled", () => void context.abort());
    try {
      const handler = this.#handler as UnaryHandler<unknown, unknown>;
      respond(null, await handler(readable(call.request), context));
      span?.end();
      this.#metrics.ended("OK", this.#scope.clock.monotonicMs() - startMs);
    } catch (thrown) {
      const error = this.#report(JobmeshError.from(thrown));
      const parts = toStatusParts(error);
      respond(parts);
      span?.set({ "rpc.grpc.status_code": parts.code, "jobmesh.reason": error.reason });
      span?.end({ error: parts.details });
      this.#metrics.ended(error.code, this.#scope.clock.monotonicMs() - startMs);
    } finally {
      this.#scope.active.delete(context);
    }
  }

  async #clientStream(call: ReadableCall, respond: Respond): Promise<void> {
    const context = this.#open(call);
    this.#scope.active.add(context);
    call.on("cancelled", () => void context.abort());
    try {
      const handler = this.#handler as ClientStreamHandler<unknown, unknown>;
      respond(null, await handler(readAll(call), context));
      this.#metrics.ended("OK", null);
    } catch (thrown) {
      const error = this.#report(JobmeshError.from(thrown));
      respond(toStatusParts(error));
      this.#metrics.ended(error.code, null);
    } finally {
      this.#scope.active.delete(context);
    }
  }

  async #serverStream(call: WritableCall): Promise<void> {
    const context = this.#open(call);
    const side = new ServerSide(call, (error) => void this.#report(error));
    const stream = new GrpcSendStream<unknown>(call, side, this.#scope.streamLimits);
    this.#follow(call, context, stream, side);
    try {
      const handler = this.#handler as ServerStreamHandler<unknown, unknown>;
      await handler(readable(call.request), stream, context);
      stream.end();
    } catch (thrown) {
      stream.fail(thrown);
    }
  }

  #bidi(call: DuplexCall): void {
    const context = this.#open(call);
    const side = new ServerSide(call, (error) => void this.#report(error));
    const stream = new GrpcDuplexStream<unknown, unknown>(call, side, this.#scope.streamLimits);
    this.#follow(call, context, stream, side);
    try {
      (this.#handler as BidiHandler<unknown, unknown>)(stream, context);
    } catch (thrown) {
      stream.fail(thrown);
    }
  }

  #open(call: ServerCall): ServerCallContext {
    return new ServerCallContext(call, this.name, this.#scope.stopping, this.#scope.clock);
  }

  /** Ties the life of a stream to its call, both ways. */
  #follow(
    call: WritableCall | DuplexCall,
    context: ServerCallContext,
    stream: GrpcSendStream<unknown>,
    side: ServerSide,
  ): void {
    const running = { abort: (reason: JobmeshError): void => stream.fail(context.abort(reason)) };
    this.#scope.active.add(running);
    stream.onClosed((error) => {
      this.#scope.active.delete(running);
      this.#metrics.ended(error?.code ?? "OK", null);
      context.abort(error ?? undefined);
    });
    call.on("cancelled", () => stream.close(side.finished ? null : context.abort()));
  }

  #startSpan(context: ServerCallContext): ActiveSpan | null {
    if (this.#scope.tracing === null) return null;
    const span = this.#scope.tracing.startSpan("jobmesh.rpc.server", {
      kind: "server",
      parent: context.traceparent,
      tracestate: context.tracestate,
      attributes: {
        "rpc.system": "grpc",
        "rpc.service": this.service,
        "rpc.method": this.name.slice(this.service.length + 1),
        "network.peer.address": context.peer,
      },
    });
    context.traceparent = span.traceparent;
    return span;
  }

  /** Logs what nobody foresaw, once, with its stack; the caller sees only the opaque text. */
  #report(error: JobmeshError): JobmeshError {
    if (error.code !== "INTERNAL") return error;
    const culprit = error.cause instanceof Error ? error.cause : error;
    if (!this.#scope.reported.has(culprit)) {
      this.#scope.reported.add(culprit);
      this.#scope.log.error({ err: culprit, method: this.name }, "a call failed for a reason that nobody foresaw");
    }
    return error;
  }

  #serialize(message: unknown): Buffer {
    try {
      return this.#shape.responseSerialize(message as never);
    } catch (thrown) {
      this.#report(JobmeshError.from(thrown));
      throw thrown;
    }
  }

  #deserialize(bytes: Buffer): unknown {
    const { maxMessageBytes } = this.#scope;
    if (bytes.length > maxMessageBytes) {
      const message = `the message has ${bytes.length} bytes; at most ${maxMessageBytes} are taken`;
      return new Unreadable(
        new JobmeshError("MESSAGE_TOO_LARGE", { message, metadata: { maxMessageBytes: String(maxMessageBytes) } }),
      );
    }
    try {
      return this.#shape.requestDeserialize(bytes);
    } catch (cause) {
      return new Unreadable(new JobmeshError("MALFORMED_REQUEST", { cause }));
    }
  }
}

function readable(message: unknown): unknown {
  if (message instanceof Unreadable) throw message.error;
  return message;
}

/** The requests of a client stream; leaving the loop early keeps the call open for the answer. */
async function* readAll(call: ReadableCall): AsyncGenerator<unknown> {
  for await (const message of call.iterator({ destroyOnReturn: false })) yield readable(message);
}
