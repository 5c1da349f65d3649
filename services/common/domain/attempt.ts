import type { Failure } from "./failure.ts";
import type { AttemptKey, ExecutorId, Incarnation } from "./identifier.ts";

/** Why an attempt comes back without an outcome (rule 21). */
export type ReturnReason = "NOT_STARTED" | "CUT_OFF" | "UNKNOWN";

/** How an attempt ended, as its executor reports it. */
export type AttemptOutcome =
  | { readonly kind: "succeeded"; readonly result: Uint8Array }
  | {
      readonly kind: "failed";
      readonly failure: Failure;
      /** True when the failure will not go away by trying again. */
      readonly nonRetryable: boolean;
      /** Wait that the target asked for; null leaves it to the policy. */
      readonly retryDelayMs: number | null;
    }
  | { readonly kind: "timed_out"; readonly failure: Failure }
  | { readonly kind: "cancelled"; readonly failure: Failure }
  | { readonly kind: "returned"; readonly reason: ReturnReason; readonly message: string };

/** AttemptResult is what an executor reports once for each attempt, and keeps until the store has it (rule 18). */
export type AttemptResult = {
  readonly key: AttemptKey;
  readonly executorId: ExecutorId;
  readonly incarnation: Incarnation;
  readonly outcome: AttemptOutcome;
  /** By the executor's clock, microseconds; null when it never started. */
  readonly startUs: number | null;
  readonly endUs: number;
  /** Exit code of a command; null when there is none or a signal ended it. */
  readonly exitCode: number | null;
  /** End of standard output, at most 16 KiB, rendered as UTF-8 without NUL. */
  readonly output: string;
  /** End of standard error, likewise. */
  readonly errorOutput: string;
  /** Pieces of output that the attempt wrote. */
  readonly outputPieceCount: number;
  /** W3C trace context of the attempt's run; empty when there is none. */
  readonly traceparent: string;
  /** W3C trace state that goes with it; unset when there is none. */
  readonly tracestate?: string;
};

/** States that an attempt's row can show. */
export type AttemptState =
  | "DISPATCHED"
  | "RUNNING"
  | "SUCCEEDED"
  | "FAILED"
  | "TIMED_OUT"
  | "CANCELLED"
  | "LOST"
  | "SKIPPED";

/** Attempt is one try of an execution as history shows it. */
export type Attempt = {
  readonly key: AttemptKey;
  readonly executorId: ExecutorId;
  readonly incarnation: Incarnation;
  readonly state: AttemptState;
  readonly dispatchUs: number;
  readonly startUs: number | null;
  readonly endUs: number | null;
  readonly exitCode: number | null;
  readonly output: string;
  readonly errorOutput: string;
  readonly failure: Failure | null;
  /** False when it was cut off, lost or returned. */
  readonly counted: boolean;
  readonly returnReason: ReturnReason | null;
};

/** At most this many characters of what an attempt says of its progress. */
export const MAX_PROGRESS_MESSAGE_CHARS = 1_024;
/** How far an attempt says it is: 0 to 1, and a few words for a person. */
export type AttemptProgress = { readonly key: AttemptKey; readonly fraction: number; readonly message: string };

/** Where an attempt's output was written. */
export type OutputStream = "STDOUT" | "STDERR" | "HANDLER";
/** Level of a line that a handler logged. */
export type OutputLevel = "UNSPECIFIED" | "DEBUG" | "INFO" | "WARN" | "ERROR";

/** OutputPiece is a piece of an attempt's output (rule 35). */
export type OutputPiece = {
  readonly key: AttemptKey;
  readonly stream: OutputStream;
  /** Counts the pieces of the attempt, from 1. */
  readonly sequence: number;
  /** At most 64 KiB. */
  readonly data: Uint8Array;
  readonly timeUs: number;
  /** Bytes left out before this piece. */
  readonly droppedBytes: number;
  readonly level: OutputLevel;
  /** A handler's fields as a JSON object; empty when there are none. */
  readonly fieldsJson: string;
  /** Span that wrote it, 16 hex digits; empty when there is none. */
  readonly spanId: string;
};

/** At most this many bytes in one piece of output. */
export const MAX_OUTPUT_PIECE_BYTES = 64 * 1024;
/** At most this many bytes of each output in a result. */
export const MAX_OUTPUT_TAIL_BYTES = 16 * 1024;
/** At most this many bytes of a target's answer. */
export const MAX_RESULT_BYTES = 256 * 1024;
