/** Why an attempt failed; google.rpc.Status with one ErrorInfo on the wire. */
export type Failure = {
  /** google.rpc.Code. */
  readonly code: number;
  /** For a person. */
  readonly message: string;
  /** What retry policies compare: "exit:2", "signal:KILL", "grpc:NOT_FOUND", or the reason a handler gave. */
  readonly reason: string;
};

/** google.rpc.Code of the failures that jobmesh itself reports. */
export const FailureCode = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

/**
 * Failures that no further try mends, where a policy names none (contract,
 * RetryPolicy.non_retryable_reasons).
 */
export const DEFAULT_NON_RETRYABLE: ReadonlySet<string> = new Set([
  "grpc:INVALID_ARGUMENT",
  "grpc:NOT_FOUND",
  "grpc:ALREADY_EXISTS",
  "grpc:PERMISSION_DENIED",
  "grpc:UNAUTHENTICATED",
  "grpc:UNIMPLEMENTED",
  "grpc:FAILED_PRECONDITION",
]);
