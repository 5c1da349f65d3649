import type { ExecutionState, StateReason } from "../../domain/execution.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { storableText } from "../../domain/storable-text.ts";
import { MAX_MESSAGE_CHARS } from "./execution-insert.ts";
import { reasonNumber, stateNumber, stopReasonNumber } from "./execution-row.ts";
import { updateRows } from "./many-rows.ts";
import type { SqlSession, SqlValue } from "./session.ts";
import { noteEnds } from "./unsuccessful-ends.ts";

/** How an execution ends that has no current attempt: it waited for its time, an executor or a gate. */
export type WaitingEnd = {
  readonly executionId: ExecutionId;
  readonly state: Extract<ExecutionState, "CANCELLED" | "SKIPPED" | "EXPIRED" | "FAILED" | "TIMED_OUT">;
  /** With CANCEL_REQUESTED the wish is kept too, with the same message and time. */
  readonly reason: StateReason;
  /** Stored up to its column's length. */
  readonly message: string;
  /** When it is deleted by its own retention; null when it has none. */
  readonly expireUs: number | null;
};

const END_SET = ["state", "state_reason", "state_message", "ended_us", "expire_us"] as const;
const END_UPDATE = {
  table: "executions",
  keys: ["execution_id"],
  set: END_SET,
  also: `timer_shard = NULL, claim_route = NULL, waiting_gate = NULL, gates_held = NULL, start_deadline_us = NULL,
    live_unique_key = NULL, change_number = t.change_number + 1`,
} as const;
const CANCEL_UPDATE = { ...END_UPDATE, set: [...END_SET, "stop_reason", "stop_message", "stop_us"] } as const;

/**
 * Ends executions that this transaction has locked and found waiting. Nothing finds them any more as what waits; what
 * they hold of gates is given back by the caller. Answers how many rows there were.
 */
export async function endWaiting(session: SqlSession, ends: readonly WaitingEnd[], nowUs: number): Promise<number> {
  const plain: SqlValue[][] = [];
  const cancelled: SqlValue[][] = [];
  for (const { executionId, state, reason, message, expireUs } of ends) {
    const stored = storableText(message, MAX_MESSAGE_CHARS);
    const row = [executionId, stateNumber(state), reasonNumber(reason), stored, nowUs, expireUs];
    if (reason === "CANCEL_REQUESTED") cancelled.push([...row, stopReasonNumber("CANCEL"), stored, nowUs]);
    else plain.push(row);
  }
  const ended = (await updateRows(session, END_UPDATE, plain)) + (await updateRows(session, CANCEL_UPDATE, cancelled));
  await noteEnds(
    session,
    ends.map((end) => end.executionId),
  );
  return ended;
}
