import { getCACertificates } from "node:tls";
import { type ChannelCredentials, Client, credentials, Metadata } from "@grpc/grpc-js";
import { JobmeshError } from "../error/jobmesh-error.ts";
import type { Clock } from "../port/clock.ts";
import type { Secret } from "../security/secret.ts";
import { ClientSide } from "./client-side.ts";
import {
  DEFAULT_STREAM_LIMITS,
  type DuplexStream,
  type MethodShape,
  type RequestOf,
  type ResponseOf,
} from "./contract.ts";
import { quietGrpc } from "./grpc-log.ts";
import { type AddressCheck, DialGuard } from "./guarded-resolver.ts";
import { DEFAULT_MAX_MESSAGE_BYTES } from "./limits.ts";
import { abortError } from "./rpc-channel.ts";
import { errorFromServiceError } from "./status.ts";
import { GrpcDuplexStream } from "./stream.ts";

/**
 * Calls of services that jobmesh knows nothing of: bytes in, bytes out. They
 * are other people's servers, so nothing here is as bold as between processes of
 * the mesh: a name's TXT records configure nothing, retries among it, so that
 * grpc-js sends again only what no server has seen; and a connection is probed
 * so rarely that no server takes it for an attack (those of Go and C++ close
 * what probes more often than each 5 minutes).
 */

/** Transport security of a raw channel. */
export type RawTls = {
  /** Name that the certificate has to carry; the address's when empty. */
  readonly serverName: string;
  /** Authorities in PEM that alone are trusted; null for the system's. */
  readonly ca: string | null;
  /** What the channel shows for itself, in PEM; null for nothing. */
  readonly client: { readonly certificates: string; readonly key: Secret } | null;
};

/** Where a raw channel goes. */
export type RawTarget = {
  /** gRPC target: "host:port", "dns:///host:port", or "etcd:///NAME" once registerNameSource was called. */
  readonly address: string;
  /** null for plain text. */
  readonly tls: RawTls | null;
  /** What may be connected to. */
  readonly guard: AddressCheck;
};

/** Options of a raw call. */
export type RawCallOptions = {
  /** Milliseconds until DEADLINE; sent along as grpc-timeout. */
  readonly timeoutMs: number;
  /** Cancels the call. */
  readonly signal: AbortSignal;
  /** Lower-case keys. A value is ASCII text; that of a key that ends in -bin is base64. */
  readonly metadata?: Readonly<Record<string, string>>;
};

/** An answer that is larger than the channel takes. */
export class ResponseTooLarge extends Error {
  override readonly name = "ResponseTooLarge";
}

/** Silence on a connection with calls before it is probed. */
const KEEPALIVE_TIME_MS = 330_000;
/** Wait for the probe's answer. */
const KEEPALIVE_TIMEOUT_MS = 20_000;
/** Waits between tries to connect: a retry finds a server that is back. */
const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 2_000;

/** Connections to the addresses of one target, for unary calls by bytes. */
export class RawChannel {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #maxMessageBytes: number;
  readonly #guard: DialGuard;

  /** @param maxMessageBytes largest answer; default 4 MiB. */
  constructor(clock: Clock, target: RawTarget, maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES) {
    quietGrpc();
    this.#clock = clock;
    this.#maxMessageBytes = maxMessageBytes;
    this.#guard = new DialGuard(target.guard);
    this.#client = new Client(this.#guard.target(target.address), credentialsOf(target.tls), {
      ...this.#guard.options,
      "grpc.keepalive_time_ms": KEEPALIVE_TIME_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.initial_reconnect_backoff_ms": RECONNECT_MIN_MS,
      "grpc.max_reconnect_backoff_ms": RECONNECT_MAX_MS,
      "grpc.max_receive_message_length": maxMessageBytes,
      "grpc.max_send_message_length": -1,
      "grpc.enable_channelz": 0,
      "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
      "grpc.service_config_disable_resolution": 1,
      "grpc.use_local_subchannel_pool": 1,
      ...nameOverride(target.tls),
    });
  }

  /**
   * Calls a unary method, "package.Service/Method". Rejects with the server's
   * status as a JobmeshError, with DEADLINE, CANCELLED or PEER_UNAVAILABLE, or
   * with ResponseTooLarge.
   */
  call(method: string, request: Uint8Array, options: RawCallOptions): Promise<Uint8Array> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(abortError(signal));
      const call = this.#client.makeUnaryRequest<Uint8Array, Uint8Array>(
        `/${method}`,
        asBuffer,
        (bytes) => bytes,
        request,
        metadataOf(options.metadata ?? {}),
        this.#deadline(options.timeoutMs),
        (thrown, response) => {
          signal.removeEventListener("abort", cancel);
          if (thrown === null) return resolve(response ?? Buffer.alloc(0));
          reject(signal.aborted ? abortError(signal) : this.#errorOf(thrown));
        },
      );
      const cancel = (): void => call.cancel();
      signal.addEventListener("abort", cancel, { once: true });
    });
  }

  /** Opens a stream both ways, for reflection. */
  bidi<M extends MethodShape>(method: M, options: RawCallOptions): DuplexStream<ResponseOf<M>, RequestOf<M>> {
    const call = this.#client.makeBidiStreamRequest<unknown, unknown>(
      method.path,
      (message) => method.requestSerialize(message as never),
      method.responseDeserialize,
      metadataOf(options.metadata ?? {}),
      this.#deadline(options.timeoutMs),
    );
    const side = new ClientSide(call);
    const stream = new GrpcDuplexStream<ResponseOf<M>, RequestOf<M>>(call, side, DEFAULT_STREAM_LIMITS);
    side.onOver((error) => stream.close(error));
    const cancel = (): void => stream.fail(abortError(options.signal));
    if (options.signal.aborted) cancel();
    else options.signal.addEventListener("abort", cancel, { once: true });
    stream.onClosed(() => options.signal.removeEventListener("abort", cancel));
    return stream;
  }

  /**
   * Why a call was not made, of what it failed with: each address of the target
   * is one that the guard refuses. null when it failed for something else.
   */
  forbidden(thrown: unknown): Error | null {
    const { forbidden } = this.#guard;
    if (forbidden === null || !(thrown instanceof JobmeshError) || thrown.code !== "UNAVAILABLE") return null;
    // A connection from before the name led astray may have failed for a reason of its own.
    return thrown.message.includes(forbidden.message) ? forbidden : null;
  }

  /** Closes the connections. Calls that run fail with CANCELLED or PEER_UNAVAILABLE. */
  close(): void {
    this.#client.close();
  }

  #deadline(timeoutMs: number): { deadline: number } {
    return { deadline: this.#clock.wallUs() / 1000 + timeoutMs };
  }

  /** grpc-js tells an answer that this side refused from a status of the server by its text alone. */
  #errorOf(thrown: Error): Error {
    const details = "details" in thrown ? String(thrown.details) : "";
    const limit = this.#maxMessageBytes;
    if (
      details.startsWith("Received message") &&
      (details.endsWith(`vs ${limit})`) || details.endsWith(`than ${limit}`))
    ) {
      return new ResponseTooLarge(`the answer has more than ${limit} bytes`);
    }
    return errorFromServiceError(thrown);
  }
}

/** Reading the authorities takes 80 ms, so it is done once, by the first channel that needs them. */
let systemCredentials: ChannelCredentials | null = null;

function credentialsOf(tls: RawTls | null): ChannelCredentials {
  if (tls === null) return credentials.createInsecure();
  const { ca, client } = tls;
  if (ca !== null || client !== null) return ownCredentials(ca ?? systemAuthorities().join("\n"), client);
  systemCredentials ??= ownCredentials(systemAuthorities().join("\n"), null);
  return systemCredentials;
}

function ownCredentials(ca: string, client: RawTls["client"]): ChannelCredentials {
  const key = client === null ? null : Buffer.from(client.key.reveal());
  const certificates = client === null ? null : Buffer.from(client.certificates);
  // In so many words: Node's own default is what NODE_TLS_REJECT_UNAUTHORIZED says, which leaves it to grpc-js to look.
  return credentials.createSsl(Buffer.from(ca), key, certificates, { rejectUnauthorized: true });
}

/** What Node brings, what NODE_EXTRA_CA_CERTS adds, and what the operating system trusts. */
function systemAuthorities(): readonly string[] {
  return [...new Set([...getCACertificates("default"), ...getCACertificates("system")])];
}

function nameOverride(tls: RawTls | null): Record<string, string> {
  if (tls === null || tls.serverName === "") return {};
  return { "grpc.ssl_target_name_override": tls.serverName, "grpc.default_authority": tls.serverName };
}

function metadataOf(entries: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(entries)) {
    metadata.set(key, key.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  }
  return metadata;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
