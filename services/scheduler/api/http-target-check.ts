import type { HttpTarget } from "../../../gen/jobmesh/v1/job.ts";
import { isConnectionHeader, isOwnHeader } from "../../common/domain/http-header.ts";
import { entryBytes, MAX_HEADERS_BYTES, MAX_URL_CHARACTERS } from "../../common/domain/target-limits.ts";
import type { FieldFaults } from "./field-faults.ts";
import { checkJson, MAX_PAYLOAD_BYTES } from "./template-check.ts";

/** Most headers. */
const MAX_HEADERS = 64;
/** Characters of a header's name that an error shows. */
const MAX_SHOWN_CHARACTERS = 64;

/** Absolute, by http or https, with a host. */
const URL_PATTERN = /^https?:\/\/[^/?#]/i;
/** What a URL cannot hold as it stands. */
const URL_GAP_PATTERN = /[\p{Cc}\s\\]/u;
/** A method as HTTP writes it; HTTP tells upper and lower case apart. */
const METHOD_PATTERN = /^[A-Z][A-Z-]{0,31}$/;
/** Methods that are not a request of a target: one asks for a tunnel, the other for the request itself. */
const REFUSED_METHODS: readonly string[] = ["CONNECT", "TRACE"];
/** Methods whose requests have no content. */
const READING_METHODS: readonly string[] = ["GET", "HEAD"];
const NAME_PATTERN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE_PATTERN = /^[\t\x20-\x7e]*$/;

/** Checks an HTTP target, field by field. */
export function checkHttp(faults: FieldFaults, field: string, http: HttpTarget): void {
  checkUrl(faults, `${field}.url`, http.url);
  const isMethod = http.method === "" || (METHOD_PATTERN.test(http.method) && !REFUSED_METHODS.includes(http.method));
  if (!isMethod) {
    faults.add(`${field}.method`, "must be 1 to 32 of A-Z and -, as in GET or PATCH, and not CONNECT or TRACE");
  }
  checkHeaders(faults, `${field}.headers`, http.headers);
  checkContent(faults, field, http.content);
  if (http.content !== undefined && READING_METHODS.includes(http.method)) {
    faults.add(`${field}.${contentField(http.content)}`, `must not be set: a ${http.method} request has no content`);
  }
}

function checkUrl(faults: FieldFaults, field: string, url: string): void {
  if (url.length > MAX_URL_CHARACTERS) {
    faults.add(field, `must be at most ${MAX_URL_CHARACTERS} characters; was ${url.length}`);
    return;
  }
  faults.plain(field, url);
  if (!URL_PATTERN.test(url) || URL_GAP_PATTERN.test(url) || !URL.canParse(url)) {
    faults.add(field, "must be an absolute http or https URL, with spaces and control characters escaped");
    return;
  }
  const { username, password, hash } = new URL(url);
  if (username !== "" || password !== "") {
    faults.add(field, "must not hold a user or password, which lists of executions would show; use a header");
  }
  if (hash !== "" || url.includes("#")) faults.add(field, "must not hold a fragment, which is never sent");
}

function checkHeaders(faults: FieldFaults, field: string, headers: Readonly<Record<string, string>>): void {
  const entries = Object.entries(headers);
  if (entries.length > MAX_HEADERS) faults.add(field, `must be at most ${MAX_HEADERS}; was ${entries.length}`);
  const size = entryBytes(headers);
  if (size > MAX_HEADERS_BYTES) {
    faults.add(field, `must be at most ${MAX_HEADERS_BYTES} bytes, names and values together; was ${size}`);
  }
  const seen = new Set<string>();
  for (const [name, value] of entries) {
    const place = `${field}[${JSON.stringify(name.slice(0, MAX_SHOWN_CHARACTERS))}]`;
    if (!NAME_PATTERN.test(name)) faults.add(place, "name must be an HTTP token, as in X-Team");
    if (isOwnHeader(name)) faults.add(place, "is a header that jobmesh sets itself");
    if (isConnectionHeader(name)) faults.add(place, "is a header of the connection, which jobmesh sets itself");
    if (seen.has(name.toLowerCase())) faults.add(place, "is there twice: case does not tell headers apart");
    seen.add(name.toLowerCase());
    if (!VALUE_PATTERN.test(value)) faults.add(place, "value must be printable ASCII, spaces and tabs");
  }
}

function checkContent(faults: FieldFaults, field: string, content: HttpTarget["content"]): void {
  if (content === undefined) return;
  const place = `${field}.${contentField(content)}`;
  if (content.$case === "json") {
    checkJson(faults, place, content.value);
    return;
  }
  const size = Buffer.byteLength(content.value);
  if (size > MAX_PAYLOAD_BYTES) faults.add(place, `must be at most ${MAX_PAYLOAD_BYTES} bytes; was ${size}`);
  if (content.$case === "text" && !content.value.isWellFormed()) faults.add(place, "must be well-formed Unicode");
}

function contentField(content: NonNullable<HttpTarget["content"]>): string {
  return content.$case;
}
