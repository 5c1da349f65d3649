/** A gRPC status code by its name in google.rpc.Code. */
export type StatusCode =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

/** What the mesh promises about every error of one reason. */
export interface ReasonEntry {
  /** Status that a caller sees. */
  readonly code: StatusCode;
  /** Whether the same call, sent again later, may succeed. */
  readonly retryable: boolean;
  /** Text for a person when the place of the error has none that is better. */
  readonly message: string;
}

/**
 * Every error that jobmesh answers with, by the reason that
 * google.rpc.ErrorInfo carries (domain "jobmesh"). A reason keeps its name and
 * code for ever: callers and retry policies match on it.
 */
export const REASONS = {
  // The request itself.
  INVALID_FIELD: entry("INVALID_ARGUMENT", false, "a field of the request is invalid"),
  FIELD_NOT_SUPPORTED: entry("INVALID_ARGUMENT", false, "a field of the request is not supported by this version"),
  MALFORMED_REQUEST: entry("INVALID_ARGUMENT", false, "the bytes of the request are not a message of this method"),
  PROTOCOL_VIOLATION: entry("INVALID_ARGUMENT", false, "a message came that the stream does not expect here"),
  MESSAGE_TOO_LARGE: entry("RESOURCE_EXHAUSTED", false, "the message is larger than the server takes"),
  NOT_IMPLEMENTED: entry("UNIMPLEMENTED", false, "this method is not part of this version"),

  LOG_INCOMPLETE: entry("DATA_LOSS", false, "pieces of the log never arrived"),

  // What it names.
  JOB_NOT_FOUND: entry("NOT_FOUND", false, "there is no such job"),
  EXECUTION_NOT_FOUND: entry("NOT_FOUND", false, "there is no such execution"),
  ATTEMPT_NOT_FOUND: entry("NOT_FOUND", false, "there is no such attempt"),
  EXECUTOR_NOT_FOUND: entry("NOT_FOUND", false, "there is no such executor"),
  CALENDAR_NOT_FOUND: entry("NOT_FOUND", false, "there is no such calendar"),
  LIMIT_NOT_FOUND: entry("NOT_FOUND", false, "there is no such limit"),
  SERVICE_NOT_FOUND: entry("NOT_FOUND", false, "this server does not have that service"),
  JOB_EXISTS: entry("ALREADY_EXISTS", false, "a job of this id exists already"),
  REQUEST_ID_REUSED: entry("ALREADY_EXISTS", false, "the request_id was used before with another request"),
  UNIQUE_KEY_TAKEN: entry("ALREADY_EXISTS", false, "an execution with this unique_key has not ended"),
  EXECUTOR_ID_TAKEN: entry("ALREADY_EXISTS", true, "another process holds this executor_id and is alive"),
  SCHEDULER_ID_TAKEN: entry("ALREADY_EXISTS", true, "another process holds this scheduler_id and is alive"),

  // The state that it meets.
  REVISION_MISMATCH: entry("ABORTED", false, "the job was changed since the revision that the request names"),
  CONFLICT: entry("ABORTED", true, "another change came between; the call can be made again"),
  EXECUTION_ENDED: entry("FAILED_PRECONDITION", false, "the execution has ended"),
  EXECUTION_NOT_ENDED: entry("FAILED_PRECONDITION", false, "the execution has not ended"),
  TARGET_UNKNOWN: entry("FAILED_PRECONDITION", false, "nothing says what the execution ran, so it cannot run again"),
  EXECUTOR_LOST: entry("FAILED_PRECONDITION", false, "this incarnation of the executor was declared lost"),
  SESSION_SUPERSEDED: entry("FAILED_PRECONDITION", false, "a later session of this executor took over"),
  RESUME_TOKEN_EXPIRED: entry(
    "OUT_OF_RANGE",
    false,
    "the resume_token is too old: list, then watch from the list's token",
  ),
  CALENDAR_IN_USE: entry("FAILED_PRECONDITION", false, "a job names this calendar"),

  // What a process needs to start.
  CONFIG_INVALID: entry("FAILED_PRECONDITION", false, "the settings are not valid"),
  LISTENER_INSECURE: entry("FAILED_PRECONDITION", false, "a listener beyond loopback needs TLS and a token"),
  ADDRESS_IN_USE: entry("FAILED_PRECONDITION", true, "the address to listen on is in use"),
  ADDRESS_UNUSABLE: entry("FAILED_PRECONDITION", false, "the address to listen on cannot be used"),
  DATA_DIR_UNUSABLE: entry("FAILED_PRECONDITION", false, "the data folder cannot be used"),
  STORE_TOO_NEW: entry("FAILED_PRECONDITION", false, "the store belongs to a newer version of jobmesh"),
  BACKEND_UNSUITABLE: entry("FAILED_PRECONDITION", false, "a backend is set up in a way that would lose work"),

  // What is away or full.
  STORE_UNAVAILABLE: entry("UNAVAILABLE", true, "the store cannot be reached"),
  BUS_UNAVAILABLE: entry("UNAVAILABLE", true, "the bus cannot be reached"),
  REGISTRY_UNAVAILABLE: entry("UNAVAILABLE", true, "the registry cannot be reached"),
  PEER_UNAVAILABLE: entry("UNAVAILABLE", true, "the other side of the connection cannot be reached"),
  SHUTTING_DOWN: entry("UNAVAILABLE", true, "this process is stopping; another one takes the call"),
  OVERLOADED: entry("RESOURCE_EXHAUSTED", true, "too much waits here already"),
  WAITING_LIMIT: entry("RESOURCE_EXHAUSTED", true, "as many executions wait as may"),
  SLOW_READER: entry("RESOURCE_EXHAUSTED", true, "the reader of the stream is too slow"),

  // The call.
  DEADLINE: entry("DEADLINE_EXCEEDED", true, "the deadline of the call passed"),
  CANCELLED: entry("CANCELLED", false, "the call was cancelled"),
  UNAUTHENTICATED: entry("UNAUTHENTICATED", false, "the call has no valid token in its authorization metadata"),
  PERMISSION_DENIED: entry("PERMISSION_DENIED", false, "the caller may not do this"),
  INTERNAL: entry("INTERNAL", false, "an internal error; the log of the process has it"),
  REMOTE: entry("UNKNOWN", false, "the other side answered with an error of its own"),
} as const satisfies Record<string, ReasonEntry>;

/** Name of an error, stable for ever. */
export type Reason = keyof typeof REASONS;

/** All reasons, in the order of the table. */
export const REASON_NAMES: readonly Reason[] = Object.keys(REASONS).filter(isReason);

/** True when the text is a reason of this version. */
export function isReason(text: string): text is Reason {
  return Object.hasOwn(REASONS, text);
}

function entry(code: StatusCode, retryable: boolean, message: string): ReasonEntry {
  return { code, retryable, message };
}
