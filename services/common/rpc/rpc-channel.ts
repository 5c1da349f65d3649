import { Client, type Metadata } from "@grpc/grpc-js";
import { isLoopback, parseHostPort } from "../config/listen-address.ts";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { Clock } from "../port/clock.ts";
import { type ChannelSecurity, OPEN_CHANNEL } from "../security/link-security.ts";
import type { ActiveSpan, Tracing } from "../telemetry/tracing.ts";
import { type CallOptions, callMetadata } from "./call-options.ts";
import { ClientSide } from "./client-side.ts";
import {
  DEFAULT_STREAM_LIMITS,
  type DuplexStream,
  type MethodShape,
  type RequestOf,
  type ResponseOf,
  type StreamLimits,
} from "./contract.ts";
import { channelCredentials, nameOptions } from "./credentials.ts";
import { quietGrpc } from "./grpc-log.ts";
import { DEFAULT_KEEPALIVE_TIME_MS, DEFAULT_KEEPALIVE_TIMEOUT_MS, DEFAULT_MAX_MESSAGE_BYTES } from "./limits.ts";
import { LOOPBACK_ONLY, NAME_SCHEME } from "./name-resolver.ts";
import { errorFromServiceError } from "./status.ts";
import { GrpcDuplexStream } from "./stream.ts";
import { bearerOf, TOKEN_KEY } from "./token.ts";

/** What a channel needs. */
export interface RpcChannelDeps {
  readonly clock: Clock;
  /** Without it a call carries the traceparent of its options and makes no span. */
  readonly tracing?: Tracing;
}

/** Settings of a channel. */
export interface RpcChannelConfig {
  /** "host:port", or "etcd:///NAME" once registerNameSource was called. */
  readonly target: string;
  /** TLS and the token of every call; by default neither. */
  readonly security?: ChannelSecurity;
  /** Calls wait for a connection until their timeout, where they would fail at once otherwise; default false. */
  readonly waitForReady?: boolean;
  /** Time for a unary call that names none, in milliseconds; default 10,000. */
  readonly timeoutMs?: number;
  /** Largest response, in bytes; default 4 MiB. */
  readonly maxMessageBytes?: number;
  /** Silence before the other side is probed, in milliseconds; default 1,000. */
  readonly keepaliveTimeMs?: number;
  /** Wait for the probe's answer; default 1,500. */
  readonly keepaliveTimeoutMs?: number;
  /** Limits of each stream's buffer. */
  readonly streamLimits?: StreamLimits;
}

/** Time for a unary call that names none. */
export const DEFAULT_CALL_TIMEOUT_MS = 10_000;

/** Waits between tries to connect: a scheduler that restarts is back within a second. */
const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 2_000;

/** One connection, or one for each address that the name has, shared by all calls that a process makes there. */
export class RpcChannel {
  readonly target: string;
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #tracing: Tracing | null;
  readonly #config: RpcChannelConfig;
  readonly #bearer: string | null;

  /** Throws CONFIG_INVALID where its token would travel beyond loopback in clear text. */
  constructor(deps: RpcChannelDeps, config: RpcChannelConfig) {
    quietGrpc();
    this.target = config.target;
    this.#clock = deps.clock;
    this.#tracing = deps.tracing?.enabled ? deps.tracing : null;
    this.#config = config;
    const { tls, token, insecure } = config.security ?? OPEN_CHANNEL;
    const isTokenBare = tls === null && token !== null && !insecure;
    if (isTokenBare) refuseBeyondLoopback(config.target);
    this.#bearer = token === null ? null : bearerOf(token);
    this.#client = new Client(config.target, channelCredentials(tls, config.target), {
      ...nameOptions(tls, config.target),
      ...(isTokenBare ? { [LOOPBACK_ONLY]: 1, "grpc.enable_http_proxy": 0 } : {}),
      "grpc.keepalive_time_ms": config.keepaliveTimeMs ?? DEFAULT_KEEPALIVE_TIME_MS,
      "grpc.keepalive_timeout_ms": config.keepaliveTimeoutMs ?? DEFAULT_KEEPALIVE_TIMEOUT_MS,
      "grpc.keepalive_permit_without_calls": 1,
      "grpc.initial_reconnect_backoff_ms": RECONNECT_MIN_MS,
      "grpc.max_reconnect_backoff_ms": RECONNECT_MAX_MS,
      "grpc.max_receive_message_length": config.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
      "grpc.max_send_message_length": -1,
      "grpc.enable_channelz": 0,
      "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  /** Calls once. Rejects with a JobmeshError: the server's, or DEADLINE, CANCELLED, PEER_UNAVAILABLE. */
  unary<M extends MethodShape>(method: M, request: RequestOf<M>, options: CallOptions = {}): Promise<ResponseOf<M>> {
    const span = this.#startSpan(method, options);
    const metadata = this.#metadata(options, span);
    return new Promise<ResponseOf<M>>((resolve, reject) => {
      if (options.signal?.aborted) return reject(abortError(options.signal));
      const call = this.#client.makeUnaryRequest<unknown, unknown>(
        method.path,
        serializer(method),
        method.responseDeserialize,
        request,
        metadata,
        this.#deadline(
          options.timeoutMs === undefined ? (this.#config.timeoutMs ?? DEFAULT_CALL_TIMEOUT_MS) : options.timeoutMs,
        ),
        (thrown, response) => {
          options.signal?.removeEventListener("abort", cancel);
          if (thrown === null) {
            span?.end();
            return resolve(response as ResponseOf<M>);
          }
          const aborted = options.signal?.aborted === true;
          const error = aborted ? abortError(options.signal) : errorFromServiceError(thrown);
          span?.end({ error: error.message });
          reject(error);
        },
      );
      const cancel = (): void => call.cancel();
      options.signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  /** Opens a stream of answers to one request. Leaving the loop cancels the call; an error is thrown out of it. */
  async *serverStream<M extends MethodShape>(
    method: M,
    request: RequestOf<M>,
    options: CallOptions = {},
  ): AsyncGenerator<ResponseOf<M>, void, void> {
    if (options.signal?.aborted) throw abortError(options.signal);
    const call = this.#client.makeServerStreamRequest<unknown, unknown>(
      method.path,
      serializer(method),
      method.responseDeserialize,
      request,
      this.#metadata(options, null),
      this.#deadline(options.timeoutMs ?? null),
    );
    const cancel = (): void => call.cancel();
    options.signal?.addEventListener("abort", cancel, { once: true });
    try {
      for await (const message of call) yield message as ResponseOf<M>;
    } catch (thrown) {
      throw options.signal?.aborted ? abortError(options.signal) : errorFromServiceError(thrown);
    } finally {
      options.signal?.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  /** Opens a stream both ways. It can be sent to at once; onClosed says when it is over and why. */
  bidi<M extends MethodShape>(method: M, options: CallOptions = {}): DuplexStream<ResponseOf<M>, RequestOf<M>> {
    const call = this.#client.makeBidiStreamRequest<unknown, unknown>(
      method.path,
      serializer(method),
      method.responseDeserialize,
      this.#metadata(options, null),
      this.#deadline(options.timeoutMs ?? null),
    );
    const side = new ClientSide(call);
    const stream = new GrpcDuplexStream<ResponseOf<M>, RequestOf<M>>(
      call,
      side,
      this.#config.streamLimits ?? DEFAULT_STREAM_LIMITS,
    );
    side.onOver((error) => stream.close(error));
    const { signal } = options;
    if (signal !== undefined) {
      const cancel = (): void => stream.fail(abortError(signal));
      if (signal.aborted) cancel();
      else signal.addEventListener("abort", cancel, { once: true });
      stream.onClosed(() => signal.removeEventListener("abort", cancel));
    }
    return stream;
  }

  /** Resolves when a connection stands. Rejects with PEER_UNAVAILABLE after the time. */
  async connected(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#client.waitForReady(this.#nowMs() + timeoutMs, (cause) => {
        if (!cause) return resolve();
        const message = `no connection to ${this.target} within ${timeoutMs} ms`;
        reject(new JobmeshError("PEER_UNAVAILABLE", { message, cause }));
      });
    });
  }

  /** Closes the connections. Calls that run fail with CANCELLED or PEER_UNAVAILABLE. */
  close(): void {
    this.#client.close();
  }

  #deadline(timeoutMs: number | null): { deadline?: number } {
    return timeoutMs === null ? {} : { deadline: this.#nowMs() + timeoutMs };
  }

  #nowMs(): number {
    return this.#clock.wallUs() / 1000;
  }

  #metadata(options: CallOptions, span: ActiveSpan | null): Metadata {
    const metadata = callMetadata(options, span, this.#config.waitForReady ?? false);
    if (this.#bearer !== null && options.metadata?.[TOKEN_KEY] === undefined) metadata.set(TOKEN_KEY, this.#bearer);
    return metadata;
  }

  #startSpan(method: MethodShape, options: CallOptions): ActiveSpan | null {
    if (this.#tracing === null) return null;
    const [, service = "", name = ""] = method.path.split("/");
    return this.#tracing.startSpan("jobmesh.rpc.client", {
      kind: "client",
      parent: options.traceparent ?? null,
      tracestate: options.tracestate ?? null,
      attributes: { "rpc.system": "grpc", "rpc.service": service, "rpc.method": name },
    });
  }
}

/** What a name in etcd stands for is looked at when it is resolved; gRPC's other ways to name a server are not known here. */
function refuseBeyondLoopback(target: string): void {
  const host = parseHostPort(target)?.host;
  if (host === undefined ? target.startsWith(`${NAME_SCHEME}:`) : isLoopback(host)) return;
  const message = `${target} is beyond loopback, and the token would go there in clear text: TLS is needed, or --insecure`;
  throw new JobmeshError("CONFIG_INVALID", { message });
}

function serializer(method: MethodShape): (message: unknown) => Buffer {
  return (message) => method.requestSerialize(message as never);
}

/** Why a signal aborted, as an error: its own reason when that is one of ours. */
export function abortError(signal: AbortSignal | undefined): JobmeshError {
  const reason: unknown = signal?.reason;
  if (reason instanceof Error && reason.name === "TimeoutError") return JobmeshError.from(reason);
  return reason instanceof JobmeshError ? reason : new JobmeshError("CANCELLED", { cause: reason });
}
