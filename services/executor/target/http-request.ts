import type { HttpTarget } from "../../../gen/jobmesh/v1/job.ts";
import { isOwnHeader } from "../../common/domain/http-header.ts";
import type { RunningAttempt } from "../running-attempt.ts";
import { attemptIdentity } from "./attempt-identity.ts";

/** HttpRequest is what goes over one connection. */
export type HttpRequest = {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** null when there is none. */
  readonly body: Uint8Array | null;
};

/** Where a redirect leads: a request, or why it is not followed. */
export type Redirect = { readonly next: HttpRequest } | { readonly refusal: string };

/** Statuses that name another place for the same request. */
const SAME_REQUEST: ReadonlySet<number> = new Set([307, 308]);
/** The same, but for methods that only read: clients of old made another POST a GET, which would skip the work. */
const SAME_READ: ReadonlySet<number> = new Set([301, 302]);
/** The request was carried out; its answer is to be read elsewhere. */
const SEE_OTHER = 303;

/** Headers of a target that another origin may see; any other may hold a credential. */
const ANY_ORIGIN: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "cache-control",
  "content-encoding",
  "content-language",
  "content-type",
  "user-agent",
]);

/** The request that a target means. Throws TypeError when its URL is none. */
export function httpRequest(target: HttpTarget, attempt: RunningAttempt, userAgent: string): HttpRequest {
  const body = bodyOf(target);
  const headers: Record<string, string> = { "User-Agent": userAgent, Accept: "*/*", "Accept-Encoding": "identity" };
  if (target.content?.$case === "json") headers["Content-Type"] = "application/json";
  for (const [name, value] of Object.entries(target.headers)) setHeader(headers, name, value);
  // The key that is equal over all attempts, under the name that other servers know it by.
  const own = { "Idempotency-Key": attempt.order.key.executionId, ...attemptIdentity(attempt) };
  for (const [name, value] of Object.entries(own)) setHeader(headers, name, value);
  const method = target.method === "" ? "POST" : target.method;
  return { method, url: new URL(target.url), headers, body };
}

/**
 * Where an answer of 3xx leads. A method is never changed but by 303, whose
 * answer says that the request was carried out; nothing that went over TLS goes
 * on without it; another origin sees no header that may hold a credential.
 */
export function redirect(request: HttpRequest, status: number, location: string | undefined): Redirect {
  const reads = request.method === "GET" || request.method === "HEAD";
  const isSame = SAME_REQUEST.has(status) || (SAME_READ.has(status) && reads);
  if (!isSame && status !== SEE_OTHER) {
    const why = SAME_READ.has(status) ? `it would not repeat a ${request.method}` : "it names no one place";
    return { refusal: why };
  }
  if (location === undefined) return { refusal: "it has no Location" };
  if (!URL.canParse(location, request.url.href)) return { refusal: "its Location is no URL" };
  const url = new URL(location, request.url);
  if (url.protocol !== "https:" && (url.protocol !== "http:" || request.url.protocol === "https:")) {
    return { refusal: `it leads from ${request.url.protocol} to ${url.protocol}` };
  }
  url.hash = "";
  url.username = "";
  url.password = "";
  const headers = url.origin === request.url.origin ? request.headers : headersForAnyOrigin(request.headers);
  if (isSame || request.method === "HEAD") return { next: { ...request, url, headers } };
  const withoutContent = Object.entries(headers).filter(([name]) => !/^content-/i.test(name));
  return { next: { method: "GET", url, headers: Object.fromEntries(withoutContent), body: null } };
}

function headersForAnyOrigin(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => ANY_ORIGIN.has(name.toLowerCase()) || isOwnHeader(name));
  return Object.fromEntries(kept);
}

/** Sets a header, whatever case it was set in before. */
function setHeader(headers: Record<string, string>, name: string, value: string): void {
  const lower = name.toLowerCase();
  for (const known of Object.keys(headers)) if (known.toLowerCase() === lower) delete headers[known];
  headers[name] = value;
}

function bodyOf({ content }: HttpTarget): Uint8Array | null {
  switch (content?.$case) {
    case undefined:
      return null;
    case "body":
      return content.value;
    case "text":
      return Buffer.from(content.value);
    case "json":
      return Buffer.from(JSON.stringify(content.value ?? null));
  }
}
