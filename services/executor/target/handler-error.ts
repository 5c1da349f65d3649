/** How a HandlerError is to be treated. */
export type HandlerErrorOptions = {
  /** True when the failure will not go away by trying again; default false. */
  readonly nonRetryable?: boolean;
  /** Wait before the next attempt; the policy's when unset. */
  readonly retryDelayMs?: number;
  /** What happened beneath; its text goes to the attempt's error output. */
  readonly cause?: unknown;
};

/** Thrown by a handler to fail with a reason that retry policies compare. */
export class HandlerError extends Error {
  override readonly name = "HandlerError";
  /** For example "CARD_DECLINED". */
  readonly reason: string;
  readonly nonRetryable: boolean;
  readonly retryDelayMs: number | null;

  constructor(reason: string, message: string, options: HandlerErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.reason = reason;
    this.nonRetryable = options.nonRetryable ?? false;
    this.retryDelayMs = options.retryDelayMs ?? null;
  }
}
