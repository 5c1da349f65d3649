import { MAX_OUTPUT_TAIL_BYTES } from "../../domain/attempt.ts";
import type { ExecutionState } from "../../domain/execution.ts";
import { stateOf } from "./execution-row.ts";

/**
 * Rows of job_logs that were adopted stay as the original wrote them. In
 * `status` they keep its number, 0 to 4, where rows of ours hold that of the
 * attempt's state, 5 and above, so that no number means two things. Their
 * output may be longer than ours ever is.
 */

/** States by the original's status: WAITING, RUNNING, SUCCESS, FAILED, TIMEOUT. Of the first two nobody will hear again. */
export const ORIGINAL_STATES = ["LOST", "LOST", "SUCCEEDED", "FAILED", "TIMED_OUT"] as const satisfies ExecutionState[];

/** State of an attempt by the status in its row. */
export function attemptStateOf(status: number): ExecutionState {
  return ORIGINAL_STATES[status] ?? stateOf(status);
}

/** The end of an attempt's output, at most MAX_OUTPUT_TAIL_BYTES, cut between characters. */
export function outputTail(output: string): string {
  // A character is at most three bytes for each of its units.
  if (output.length * 3 <= MAX_OUTPUT_TAIL_BYTES) return output;
  const bytes = Buffer.from(output);
  let at = Math.max(bytes.length - MAX_OUTPUT_TAIL_BYTES, 0);
  while (((bytes[at] ?? 0) & 0xc0) === 0x80) at += 1;
  return bytes.toString("utf8", at);
}
