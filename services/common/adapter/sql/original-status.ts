import type { ExecutionState } from "../../domain/execution.ts";
import { stateOf } from "./execution-row.ts";

/**
 * job_logs.status. Rows of ours hold the number of the attempt's state, 5 and
 * above; rows that were adopted keep the original's, 0 to 4. No number means
 * two things.
 */

/** States by the original's status: WAITING, RUNNING, SUCCESS, FAILED, TIMEOUT. Of the first two nobody will hear again. */
export const ORIGINAL_STATES = ["LOST", "LOST", "SUCCEEDED", "FAILED", "TIMED_OUT"] as const satisfies ExecutionState[];

/** State of an attempt by the status in its row. */
export function attemptStateOf(status: number): ExecutionState {
  return ORIGINAL_STATES[status] ?? stateOf(status);
}
