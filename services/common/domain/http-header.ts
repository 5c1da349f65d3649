import { namesSecret } from "./template.ts";

/** What jobmesh knows of an HTTP target's headers, by their names in any case. */

/** Headers by which a request tells who it is; the executor alone sets them. */
const OWN = /^(?:jobmesh-.*|idempotency-key|traceparent|tracestate)$/i;

/** Headers that say how bytes travel; they belong to whoever holds the connection. */
const CONNECTION: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Headers whose value is a credential. */
const CREDENTIAL: ReadonlySet<string> = new Set(["authorization", "proxy-authorization"]);

/** True for a header by which a request tells who it is: Jobmesh-*, Idempotency-Key, trace context. */
export function isOwnHeader(name: string): boolean {
  return OWN.test(name);
}

/** True for a header that says how bytes travel, as Host and Content-Length do. */
export function isConnectionHeader(name: string): boolean {
  return CONNECTION.has(name.toLowerCase());
}

/**
 * Names of the headers, as given, whose values are credentials in so many words: whoever reads the job reads them. One
 * that names a secret is none.
 */
export function literalCredentials(headers: Readonly<Record<string, string>>): readonly string[] {
  return Object.keys(headers).filter((name) => CREDENTIAL.has(name.toLowerCase()) && !namesSecret(headers[name] ?? ""));
}
