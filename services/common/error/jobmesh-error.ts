import { REASONS, type Reason, type StatusCode } from "./reasons.ts";

/** One field of a request that was refused. */
export interface FieldViolation {
  /** Path from the request, in proto names: "job.schedule.cron", "policy.labels[zone]". */
  readonly field: string;
  /** What is wrong and which limit holds: "must be 1 to 64 of [A-Za-z0-9._-]; was 70 characters". */
  readonly description: string;
}

/** Parts of an error, all optional. */
export interface ErrorParts {
  /** Text for a person; by default the table's, or the violations. */
  readonly message?: string | undefined;
  /** For INVALID_FIELD and FIELD_NOT_SUPPORTED: every field at fault, not only the first. */
  readonly fieldViolations?: readonly FieldViolation[] | undefined;
  /** Facts for a program, as in ErrorInfo.metadata: ids, limits. No secrets. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** How long a caller should wait before it tries again, in milliseconds. */
  readonly retryDelayMs?: number | undefined;
  /** What happened beneath. Logged, never sent. */
  readonly cause?: unknown;
  /** Status code, only for an error that came from a peer with a reason that this version does not know. */
  readonly code?: StatusCode | undefined;
}

/** The one error class: every operating error of jobmesh is one of these. */
export class JobmeshError extends Error {
  override readonly name = "JobmeshError";
  readonly reason: Reason;
  readonly code: StatusCode;
  readonly retryable: boolean;
  readonly fieldViolations: readonly FieldViolation[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds, or null when the thrower has no opinion. */
  readonly retryDelayMs: number | null;

  constructor(reason: Reason, parts: ErrorParts = {}) {
    super(parts.message ?? defaultMessage(reason, parts), parts.cause === undefined ? {} : { cause: parts.cause });
    this.reason = reason;
    this.code = parts.code ?? REASONS[reason].code;
    this.retryable = REASONS[reason].retryable || this.code === "UNAVAILABLE";
    this.fieldViolations = parts.fieldViolations ?? [];
    this.metadata = parts.metadata ?? {};
    this.retryDelayMs = parts.retryDelayMs ?? null;
  }

  /** INVALID_FIELD for one field or many. */
  static invalid(...fieldViolations: readonly FieldViolation[]): JobmeshError {
    return new JobmeshError("INVALID_FIELD", { fieldViolations });
  }

  /**
   * Turns whatever was thrown into a JobmeshError. Aborts become CANCELLED,
   * timeouts DEADLINE, and what nobody foresaw INTERNAL with an opaque text and
   * the original as its cause.
   */
  static from(thrown: unknown): JobmeshError {
    if (thrown instanceof JobmeshError) return thrown;
    if (thrown instanceof Error && thrown.name === "AbortError") {
      return thrown.cause instanceof JobmeshError ? thrown.cause : new JobmeshError("CANCELLED", { cause: thrown });
    }
    if (thrown instanceof Error && thrown.name === "TimeoutError")
      return new JobmeshError("DEADLINE", { cause: thrown });
    return new JobmeshError("INTERNAL", { cause: thrown });
  }
}

function defaultMessage(reason: Reason, parts: ErrorParts): string {
  const violations = parts.fieldViolations ?? [];
  if (violations.length === 0) return REASONS[reason].message;
  return violations.map((violation) => `${violation.field}: ${violation.description}`).join("; ");
}
