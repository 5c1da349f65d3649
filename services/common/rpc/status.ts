import { Metadata, type ServiceError } from "@grpc/grpc-js";
import type { Any } from "../../../gen/google/protobuf/any.ts";
import { Code } from "../../../gen/google/rpc/code.ts";
import { BadRequest, ErrorInfo, RetryInfo } from "../../../gen/google/rpc/error_details.ts";
import { Status } from "../../../gen/google/rpc/status.ts";
import { type FieldViolation, JobmeshError } from "../error/jobmesh-error.ts";
import { isReason, REASONS, type Reason, type StatusCode } from "../error/reasons.ts";

/** Domain of every ErrorInfo that jobmesh makes. */
export const ERROR_DOMAIN = "jobmesh";

/** Trailer that carries the google.rpc.Status. */
const DETAILS_TRAILER = "grpc-status-details-bin";

/** Longest message of a status, in UTF-16 units: trailers are small (8 KiB in some clients) and percent-encoded. */
const MAX_MESSAGE_LENGTH = 1024;

/** Most bytes of details before base64, for the same reason. */
const MAX_DETAILS_BYTES = 3072;

/** Most characters of one violation's description. */
const MAX_DESCRIPTION_LENGTH = 512;

/** Most facts of an ErrorInfo, and most characters of one: some are what the caller sent. */
const MAX_FACTS = 16;
const MAX_FACT_LENGTH = 256;

/** What grpc-js ends a call with. */
export interface StatusParts {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Renders an error as google.rpc.Status with ErrorInfo and, where they apply, BadRequest and RetryInfo. */
export function toStatus(error: JobmeshError): Status {
  const message = clip(error.message, MAX_MESSAGE_LENGTH);
  const fixed: Any[] = [
    pack("google.rpc.ErrorInfo", ErrorInfo, {
      reason: error.reason,
      domain: ERROR_DOMAIN,
      metadata: factsOf(error),
    }),
  ];
  if (error.retryDelayMs !== null) {
    fixed.push(pack("google.rpc.RetryInfo", RetryInfo, { retryDelay: durationOf(error.retryDelayMs) }));
  }
  let shown = error.fieldViolations.length;
  for (;;) {
    const details = shown === 0 ? fixed : [...fixed, badRequest(error.fieldViolations, shown)];
    const status = { code: Code[error.code], message, details };
    if (shown === 0 || Status.encode(status).finish().length <= MAX_DETAILS_BYTES + message.length * 3) return status;
    shown = Math.floor(shown / 2);
  }
}

/** Renders an error as what grpc-js sends at the end of a call. */
export function toStatusParts(error: JobmeshError): StatusParts {
  const status = toStatus(error);
  const metadata = new Metadata();
  metadata.set(DETAILS_TRAILER, Buffer.from(Status.encode(status).finish()));
  return { code: status.code, details: status.message, metadata };
}

/** Reads a google.rpc.Status, for example of one answer in a stream, back into an error. */
export function errorFromStatus(status: Status, cause?: unknown): JobmeshError {
  let info: ErrorInfo | null = null;
  let retryDelayMs: number | undefined;
  let fieldViolations: FieldViolation[] = [];
  for (const detail of status.details) {
    switch (detail.typeUrl.slice(detail.typeUrl.lastIndexOf("/") + 1)) {
      case "google.rpc.ErrorInfo":
        info = ErrorInfo.decode(detail.value);
        break;
      case "google.rpc.RetryInfo": {
        const delay = RetryInfo.decode(detail.value).retryDelay;
        if (delay) retryDelayMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
        break;
      }
      case "google.rpc.BadRequest":
        fieldViolations = BadRequest.decode(detail.value).fieldViolations.map(({ field, description }) => ({
          field,
          description,
        }));
        break;
    }
  }
  const { reason, code } = reasonOf(status.code, info);
  const foreign = reason === "REMOTE" && info !== null ? { reason: info.reason, domain: info.domain } : {};
  const metadata = { ...info?.metadata, ...foreign };
  return new JobmeshError(reason, { message: status.message, code, fieldViolations, metadata, retryDelayMs, cause });
}

/** Reads what a call through grpc-js failed with back into an error. Anything else goes through JobmeshError.from. */
export function errorFromServiceError(thrown: unknown): JobmeshError {
  if (!isServiceError(thrown)) return JobmeshError.from(thrown);
  const packed = thrown.metadata?.get(DETAILS_TRAILER)[0];
  const told = packed instanceof Uint8Array ? errorFromTrailer(packed, thrown) : null;
  const code = thrown.code === Code.INTERNAL && CUT_OFF.test(thrown.details) ? Code.UNAVAILABLE : thrown.code;
  return told ?? errorFromStatus({ code, message: thrown.details, details: [] }, thrown);
}

/**
 * What grpc-js says when a server cuts the connection while a call is open, as its keepalive does with a client that
 * stood still: no status came, so that the call is like one whose server went.
 */
const CUT_OFF = /^Received RST_STREAM with code 0\b/;

/**
 * null for a peer's trailer, or a detail in it, that is not what it says: code
 * and text still tell the story. The code is the call's, whatever the trailer has.
 */
function errorFromTrailer(packed: Uint8Array, thrown: ServiceError): JobmeshError | null {
  try {
    const { details, message } = Status.decode(packed);
    return errorFromStatus({ code: thrown.code, message: message === "" ? thrown.details : message, details }, thrown);
  } catch {
    return null;
  }
}

function reasonOf(number: number, info: ErrorInfo | null): { reason: Reason; code: StatusCode } {
  const code = codeName(number);
  if (info !== null && info.domain === ERROR_DOMAIN && isReason(info.reason)) return { reason: info.reason, code };
  if (info !== null) return { reason: "REMOTE", code };
  return { reason: BARE_REASONS[code] ?? "REMOTE", code };
}

/** Reasons for errors of grpc-js and of servers that send no ErrorInfo. */
const BARE_REASONS: Partial<Record<StatusCode, Reason>> = {
  CANCELLED: "CANCELLED",
  DEADLINE_EXCEEDED: "DEADLINE",
  UNIMPLEMENTED: "NOT_IMPLEMENTED",
  UNAVAILABLE: "PEER_UNAVAILABLE",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  PERMISSION_DENIED: "PERMISSION_DENIED",
};

const CODE_NAMES = new Map<number, StatusCode>(
  Object.values(REASONS).map(({ code }): [number, StatusCode] => [Code[code], code]),
)
  .set(Code.OUT_OF_RANGE, "OUT_OF_RANGE")
  .set(Code.DATA_LOSS, "DATA_LOSS");

function codeName(number: number): StatusCode {
  return CODE_NAMES.get(number) ?? "UNKNOWN";
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "number" && "details" in thrown;
}

/** A larger trailer than the connection takes ends it, and with it every other call on it. */
function factsOf({ metadata }: JobmeshError): Record<string, string> {
  const facts = Object.entries(metadata).slice(0, MAX_FACTS);
  return Object.fromEntries(facts.map(([name, fact]) => [name, clip(fact, MAX_FACT_LENGTH)]));
}

function badRequest(violations: readonly FieldViolation[], shown: number): Any {
  const fieldViolations = violations.slice(0, shown).map(({ field, description }) => ({
    field: clip(field, MAX_DESCRIPTION_LENGTH),
    description: clip(description, MAX_DESCRIPTION_LENGTH),
    reason: "",
    localizedMessage: undefined,
  }));
  return pack("google.rpc.BadRequest", BadRequest, { fieldViolations });
}

interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array };
}

function pack<T>(name: string, encoder: Encoder<T>, message: T): Any {
  return { typeUrl: `type.googleapis.com/${name}`, value: Buffer.from(encoder.encode(message).finish()) };
}

function durationOf(delayMs: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(delayMs / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((delayMs - seconds * 1000) * 1e6) };
}

/** Cuts between characters and leaves no lone surrogate, which a header cannot carry. */
function clip(text: string, maxLength: number): string {
  const whole = text.toWellFormed();
  if (whole.length <= maxLength) return whole;
  return `${whole
    .slice(0, maxLength - 1)
    .toWellFormed()
    .replace(/\uFFFD$/, "")}…`;
}
