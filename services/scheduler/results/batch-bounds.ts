import type { AttemptResult } from "../../common/domain/attempt.ts";
import { FailureCode } from "../../common/domain/failure.ts";

/** Bytes of results in one transaction; one that is larger is a batch of its own. */
export const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** About what the columns of a result take besides its texts. */
const ROW_BYTES = 500;

/** About how many bytes a result is in the store. */
export function resultBytes({ outcome, output, errorOutput }: AttemptResult): number {
  const answer = outcome.kind === "succeeded" ? outcome.result.length : 0;
  return ROW_BYTES + answer + output.length + errorOutput.length;
}

/** How many of these make one batch: at most `maxRows`, and about MAX_BATCH_BYTES; at least one. */
export function batchLength<T>(items: readonly T[], maxRows: number, sizeOf: (item: T) => number): number {
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    bytes += sizeOf(item);
    if (index >= maxRows || (index > 0 && bytes > MAX_BATCH_BYTES)) return index;
  }
  return items.length;
}

/** Rule 4: what stands for a result that the store refuses as it is; its attempt ends FAILED. */
export function unstorable(result: AttemptResult): AttemptResult {
  const message = "the store refuses the result as it is";
  return {
    ...result,
    outcome: {
      kind: "failed",
      failure: { code: FailureCode.INTERNAL, message, reason: "RESULT_UNSTORABLE" },
      nonRetryable: true,
      retryDelayMs: null,
    },
    startUs: null,
    exitCode: null,
    output: "",
    errorOutput: "",
    outputPieceCount: 0,
  };
}
