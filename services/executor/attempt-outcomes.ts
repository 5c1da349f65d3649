import type { AttemptOutcome } from "../common/domain/attempt.ts";
import { FailureCode } from "../common/domain/failure.ts";

/** Outcome of an attempt that this executor cannot run. */
export const UNSUPPORTED: AttemptOutcome = {
  kind: "failed",
  failure: {
    code: FailureCode.UNIMPLEMENTED,
    message: "this executor cannot run such a target",
    reason: "UNSUPPORTED",
  },
  nonRetryable: true,
  retryDelayMs: null,
};

/** Outcome of an attempt whose runner has thrown. */
export const BROKEN: AttemptOutcome = {
  kind: "failed",
  failure: { code: FailureCode.INTERNAL, message: "the executor failed; its log says more", reason: "INTERNAL" },
  nonRetryable: false,
  retryDelayMs: null,
};
