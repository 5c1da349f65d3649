/**
 * Types of calls as the rest of jobmesh sees them. Nothing here names grpc-js:
 * api, sessions and executors are written against these.
 */

import type { JobmeshError } from "../error/jobmesh-error.ts";

/** A method of a ts-proto service definition (outputServices=grpc-js). */
export interface MethodShape {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: never) => Buffer;
  readonly requestDeserialize: (value: Buffer) => unknown;
  readonly responseSerialize: (value: never) => Buffer;
  readonly responseDeserialize: (value: Buffer) => unknown;
}

/** A ts-proto service definition, for example JobServiceService. */
export type ServiceShape = Readonly<Record<string, MethodShape>>;

/** Request message of a method. */
export type RequestOf<M> = M extends { requestDeserialize: (value: Buffer) => infer T } ? T : never;

/** Response message of a method. */
export type ResponseOf<M> = M extends { responseDeserialize: (value: Buffer) => infer T } ? T : never;

/** What is known of one call beside its messages. */
export interface CallContext {
  /** "package.Service/Method". */
  readonly method: string;
  /** Aborts when the caller went, its deadline passed or the server stops hard; its reason is a JobmeshError. */
  readonly signal: AbortSignal;
  /** Aborts when the server begins to stop: a stream that would stay open ends itself then. */
  readonly stopping: AbortSignal;
  /** Caller's deadline in milliseconds of Unix time, or null when it set none. */
  readonly deadlineMs: number | null;
  /** "host:port" of the caller. */
  readonly peer: string;
  /** W3C trace context of the caller, or null. */
  readonly traceparent: string | null;
  /** W3C trace state of the caller, or null. */
  readonly tracestate: string | null;
  /** First text value of a metadata key, or null. */
  metadata(key: string): string | null;
}

/** Answers one request with one response. A thrown JobmeshError is the status. */
export type UnaryHandler<Req, Res> = (request: Req, context: CallContext) => Promise<Res> | Res;

/** Answers one request with many; the stream ends when the promise resolves. */
export type ServerStreamHandler<Req, Res> = (
  request: Req,
  stream: SendStream<Res>,
  context: CallContext,
) => Promise<void> | void;

/** Reads many requests and answers once. */
export type ClientStreamHandler<Req, Res> = (requests: AsyncIterable<Req>, context: CallContext) => Promise<Res> | Res;

/** Holds a stream both ways. It registers its callbacks before it returns; the stream lives on until end or fail. */
export type BidiHandler<Req, Res> = (stream: DuplexStream<Req, Res>, context: CallContext) => void;

/** The handler that a method wants. */
export type HandlerOf<M> = M extends { requestStream: false; responseStream: false }
  ? UnaryHandler<RequestOf<M>, ResponseOf<M>>
  : M extends { requestStream: false; responseStream: true }
    ? ServerStreamHandler<RequestOf<M>, ResponseOf<M>>
    : M extends { requestStream: true; responseStream: false }
      ? ClientStreamHandler<RequestOf<M>, ResponseOf<M>>
      : BidiHandler<RequestOf<M>, ResponseOf<M>>;

/** Handlers of a service. A method that is left out is answered UNIMPLEMENTED with the reason NOT_IMPLEMENTED. */
export type Handlers<S> = { readonly [K in keyof S]?: HandlerOf<S[K]> };

/** One direction of a stream: out. */
export interface SendStream<Out> {
  /**
   * Takes a message to send. False says that enough waits: hold back until
   * onDrain. What is given all the same is still sent, up to maxBufferedMessages,
   * where the stream fails with SLOW_READER. After the end it does nothing.
   * `bytes`, where given, is about the size of a large message: 4 MiB of those
   * that wait are enough as well.
   */
  send(message: Out, bytes?: number): boolean;
  /** Resolves at once while there is room, else when the buffer has emptied or the stream is closed. */
  ready(): Promise<void>;
  /** Calls back each time the buffer has emptied after send said false. */
  onDrain(callback: () => void): void;
  /** Messages given and not yet handed to the connection. */
  readonly buffered: number;
  /** True once the stream is closed or ended by this side. */
  readonly closed: boolean;
}

/** Both directions of a stream, the same on the server's and the client's side. */
export interface DuplexStream<In, Out> extends SendStream<Out> {
  /** Reading starts here. A callback that throws fails the stream. */
  onMessage(callback: (message: In) => void): void;
  /** The other side sends no more; it may still read. */
  onEnd(callback: () => void): void;
  /** Exactly once, when the stream is over: null after an orderly end, else why. Called at once if that is past. */
  onClosed(callback: (error: JobmeshError | null) => void): void;
  /** Stops reading after the present message: the connection holds the sender back. */
  pause(): void;
  /** Reads on. */
  resume(): void;
  /** Sends what is buffered, then ends this side: status OK on the server. */
  end(): void;
  /** Ends the stream with this error, as status on the server, as cancellation on the client. */
  fail(error: unknown): void;
}

/** Limits of streams. */
export interface StreamLimits {
  /** Messages buffered before send says false; at least 16. */
  readonly softBufferedMessages: number;
  /** Messages buffered before the stream fails with SLOW_READER. */
  readonly maxBufferedMessages: number;
}

/** A session of a busy executor has a few hundred messages under way; four thousand are a reader that stands still. */
export const DEFAULT_STREAM_LIMITS: StreamLimits = { softBufferedMessages: 256, maxBufferedMessages: 16_384 };
