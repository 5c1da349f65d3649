import { type ClientRequest, request as httpRequestOf, type IncomingMessage } from "node:http";
import { request as httpsRequestOf, type RequestOptions } from "node:https";
import type { TcpSocketConnectOpts } from "node:net";
import { type AddressGuard, ForbiddenAddressError } from "./address-guard.ts";
import type { HttpRequest } from "./http-request.ts";

/**
 * One request over a connection of its own. Nothing is pooled: a connection that
 * an earlier attempt left would be a way for it to fail a later one (the server
 * closes it just as the next request goes out, and nobody knows whether that was
 * carried out), and an attempt's end would not be its connection's.
 */

/** Bytes of an answer's header lines that are read. */
export const MAX_HEADER_BYTES = 16 * 1024;
/** How long one of several addresses of a name may take to answer before the next is tried, milliseconds. */
const ADDRESS_TRY_MS = 2_000;

/** Why no whole answer came; also the reason of the attempt's failure. */
export type HttpFaultReason =
  /** No connection: the name is unknown, nobody listens, no way there. */
  | "TARGET_UNREACHABLE"
  /** No TLS: the certificate does not hold, or there is no common version. */
  | "TARGET_TLS"
  /** The connection ended before the answer did. */
  | "TARGET_DISCONNECTED"
  /** What came is no HTTP that this client takes. */
  | "TARGET_PROTOCOL"
  /** The address is one that targets may not reach. */
  | "TARGET_FORBIDDEN"
  /** The request cannot be sent as it is. */
  | "TARGET_INVALID";

/** Thrown when no whole answer came. */
export class HttpFault extends Error {
  override readonly name = "HttpFault";
  readonly reason: HttpFaultReason;

  constructor(reason: HttpFaultReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** What an answer holds. */
export type HttpContent = {
  /** At most maxBodyBytes of it. */
  readonly bytes: Buffer;
  /** True when there was more, which was not read. */
  readonly isCut: boolean;
  /** Why it ended before its end; null when it did not. */
  readonly fault: HttpFault | null;
};

/** HttpAnswer is an answer of which status and headers have come. One of read and discard is to be called. */
export interface HttpAnswer {
  readonly status: number;
  header(name: "location" | "retry-after" | "date"): string | undefined;
  /** Reads the content to its end or the limit. Never rejects. */
  read(onData: (chunk: Uint8Array) => void): Promise<HttpContent>;
  /** Ends the connection. */
  discard(): void;
}

/** What an exchange is bounded by. */
export type ExchangeBounds = {
  readonly guard: AddressGuard;
  readonly maxBodyBytes: number;
  /** Ends the connection at once; what waits throws HttpFault. */
  readonly signal: AbortSignal;
};

/** How far a connection is. */
type Phase = "connecting" | "securing" | "connected";

/** Options of a request, with one of its socket that the types leave out. */
type OpenOptions = RequestOptions & Pick<TcpSocketConnectOpts, "autoSelectFamilyAttemptTimeout">;

/** Sends a request; resolves when status and headers of the answer have come. Throws HttpFault. */
export async function exchange(request: HttpRequest, bounds: ExchangeBounds): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  let phase: Phase = "connecting";
  const outgoing = open(request, bounds);
  const fail = (error: unknown): void => reject(faultOf(error, phase));
  outgoing.on("error", fail);
  outgoing.on("socket", (socket) => {
    const secured = request.url.protocol === "https:";
    socket.once("connect", () => {
      phase = secured ? "securing" : "connected";
    });
    socket.once("secureConnect", () => {
      phase = "connected";
    });
  });
  outgoing.on("upgrade", (_response, socket) => {
    socket.destroy();
    reject(new HttpFault("TARGET_PROTOCOL", "the answer is a change of protocol"));
  });
  outgoing.on("response", resolve);
  // Whatever way a request ends, it closes: nothing is left to wait for.
  outgoing.on("close", () => fail(new Error("the connection was closed before an answer")));
  outgoing.end(request.body ?? undefined);
  return answerOf(await promise, outgoing, bounds.maxBodyBytes);
}

function open(request: HttpRequest, { guard, signal }: ExchangeBounds): ClientRequest {
  const { method, url, body } = request;
  const length = body === null ? {} : { "Content-Length": String(body.length) };
  try {
    guard.checkHost(url.hostname);
    const options: OpenOptions = {
      method,
      headers: { ...request.headers, ...length },
      // A connection of its own, and none by a proxy of the environment, where no address could be checked.
      agent: false,
      lookup: guard.lookup,
      signal,
      maxHeaderSize: MAX_HEADER_BYTES,
      autoSelectFamilyAttemptTimeout: ADDRESS_TRY_MS,
      // Said here, no variable of the environment switches it off.
      rejectUnauthorized: true,
    };
    return (url.protocol === "https:" ? httpsRequestOf : httpRequestOf)(url, options);
  } catch (error) {
    throw faultOf(error, "connecting", "TARGET_INVALID");
  }
}

function answerOf(response: IncomingMessage, outgoing: ClientRequest, maxBodyBytes: number): HttpAnswer {
  // An answer that nobody reads on must not fail the process.
  response.on("error", () => {});
  return {
    status: response.statusCode ?? 0,
    header: (name) => response.headers[name],
    read: (onData) => read(response, maxBodyBytes, onData),
    discard: () => void outgoing.destroy(),
  };
}

async function read(
  response: IncomingMessage,
  maxBytes: number,
  onData: (chunk: Uint8Array) => void,
): Promise<HttpContent> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // Left early, the loop destroys the response, and its connection with it.
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const kept = chunk.subarray(0, maxBytes - size);
      if (kept.length > 0) {
        chunks.push(kept);
        onData(kept);
      }
      size += kept.length;
      if (kept.length < chunk.length) return { bytes: Buffer.concat(chunks), isCut: true, fault: null };
    }
  } catch (error) {
    return { bytes: Buffer.concat(chunks), isCut: false, fault: faultOf(error, "connected") };
  }
  return { bytes: Buffer.concat(chunks), isCut: false, fault: null };
}

function faultOf(error: unknown, phase: Phase, unknown?: HttpFaultReason): HttpFault {
  const code = codeOf(error);
  const text = error instanceof Error && error.message !== "" ? error.message : code;
  if (error instanceof ForbiddenAddressError) return new HttpFault("TARGET_FORBIDDEN", text, error);
  if (unknown !== undefined) return new HttpFault(unknown, text, error);
  if (code.startsWith("HPE_")) return new HttpFault("TARGET_PROTOCOL", `the answer is no valid HTTP: ${code}`, error);
  switch (phase) {
    case "connecting":
      return new HttpFault("TARGET_UNREACHABLE", `no connection: ${code === "" ? text : code}`, error);
    case "securing":
      return new HttpFault("TARGET_TLS", `no TLS: ${text}`, error);
    case "connected":
      return new HttpFault("TARGET_DISCONNECTED", `the connection ended before the answer: ${text}`, error);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
