import type { GrpcTarget, HttpTarget, Target } from "../../gen/jobmesh/v1/job.ts";
import { assert } from "../common/domain/assert.ts";
import type { MethodShape, RequestOf } from "../common/rpc/contract.ts";

/** What a command can be given besides its line. */
export type CommandOptions = {
  /** Arguments; when set, no shell is involved and the line is the program. */
  readonly args?: readonly string[];
  /** Environment added to the executor's allow-listed one. */
  readonly env?: Readonly<Record<string, string>>;
  /** A fresh temporary directory when unset. */
  readonly workingDirectory?: string;
  /** Given on standard input. */
  readonly stdin?: string;
};

/** A command as a target: `command("echo hello")`. */
export function command(line: string, options: CommandOptions = {}): Target {
  const input = options.stdin === undefined ? undefined : ({ $case: "stdinText", value: options.stdin } as const);
  const value = {
    command: line,
    args: [...(options.args ?? [])],
    env: { ...options.env },
    workingDirectory: options.workingDirectory ?? "",
    input,
  };
  return { kind: { $case: "command", value } };
}

/** What an HTTP request can be given besides its URL. At most one of body, text and json. */
export type HttpOptions = {
  /** POST when unset. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Content as bytes, at most 256 KiB, as are the other two. */
  readonly body?: Uint8Array;
  /** Content as text. */
  readonly text?: string;
  /** Content as anything that JSON can say; Content-Type is set. */
  readonly json?: unknown;
};

/** An HTTP request as a target: `http("https://host/path", { json: { a: 1 } })`. A 2xx answer is success. */
export function http(url: string, options: HttpOptions = {}): Target {
  const { method = "", headers = {} } = options;
  return { kind: { $case: "http", value: { url, method, headers: { ...headers }, content: contentOf(options) } } };
}

function contentOf({ body, text, json }: HttpOptions): HttpTarget["content"] {
  const given: NonNullable<HttpTarget["content"]>[] = [];
  if (body !== undefined) given.push({ $case: "body", value: Buffer.from(body) });
  if (text !== undefined) given.push({ $case: "text", value: text });
  if (json !== undefined) given.push({ $case: "json", value: json });
  assert(given.length <= 1, "an HTTP request has at most one of body, text and json");
  return given[0];
}

/**
 * A typed handler as a target: `handler(ReportServiceService.render, request)`.
 * The request is typed by the method of the ts-proto service definition.
 */
export function handler<M extends MethodShape>(method: M, request: RequestOf<M>): Target {
  const value = Buffer.from(method.requestSerialize(request as never));
  return {
    kind: { $case: "handler", value: { method: method.path.slice(1), payload: { $case: "request", value } } },
  };
}

/** What a gRPC call can be given besides its method and request. */
export type GrpcOptions = {
  /** Sent with the call; lower-case keys, values of those that end in -bin in base64. */
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * Transport security by the executor's authorities, or those of the secret `caSecret`, for `serverName` or else the
   * address's name; `clientSecret` names what is shown for the caller. Plain text when unset.
   */
  readonly tls?: { readonly serverName?: string; readonly caSecret?: string; readonly clientSecret?: string };
};

/**
 * A call of a service as a target: `grpc("etcd:///billing", BillingService.charge, request)`.
 * The request is typed by the method of the ts-proto service definition.
 */
export function grpc<M extends MethodShape>(
  address: string,
  method: M,
  request: RequestOf<M>,
  options: GrpcOptions = {},
): Target {
  const value = Buffer.from(method.requestSerialize(request as never));
  return grpcTarget(address, method.path.slice(1), { $case: "request", value }, options);
}

/**
 * The same with the request as canonical protobuf JSON, which a stored
 * descriptor or the server's reflection encodes. @param method "package.Service/Method".
 */
export function grpcJson(address: string, method: string, request: unknown, options: GrpcOptions = {}): Target {
  return grpcTarget(address, method, { $case: "requestJson", value: request }, options);
}

function grpcTarget(address: string, method: string, payload: GrpcTarget["payload"], options: GrpcOptions): Target {
  const tls =
    options.tls === undefined ? undefined : { caSecret: "", clientSecret: "", serverName: "", ...options.tls };
  return { kind: { $case: "grpc", value: { address, method, payload, metadata: { ...options.metadata }, tls } } };
}
