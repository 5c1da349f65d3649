import type { Execution, ExecutionState, NewExecution, StateReason } from "../../domain/execution.ts";
import { claimRank } from "../../domain/policy.ts";
import { startDeadlineUs } from "../../domain/start-deadline.ts";
import { storableText } from "../../domain/storable-text.ts";
import { MAX_TARGET_BYTES } from "../../domain/target.ts";
import type { ClaimedSlot } from "../../port/store-executions.ts";
import { insertLabels } from "./execution-labels.ts";
import {
  causeNumber,
  fenceText,
  overlapNumber,
  reasonNumber,
  shardOf,
  stateNumber,
  targetKindNumber,
} from "./execution-row.ts";
import { failureText, labelsText, parametersText, policyText } from "./execution-text.ts";
import { expireUs } from "./expire-time.ts";
import { insertRows } from "./many-rows.ts";
import type { SqlSession, SqlValue } from "./session.ts";
import { noteEnds } from "./unsuccessful-ends.ts";

/** Sizes of the columns that hold what callers chose. */
export const MAX_NAME_CHARS = 255;
/** Longest state_message and stop_message. */
export const MAX_MESSAGE_CHARS = 1_024;
/** Longest target_summary. */
export const MAX_SUMMARY_CHARS = 1_024;
const MAX_METHOD_CHARS = 255;
const MAX_GATE_KEYS_CHARS = 1_024;
const MAX_TRACESTATE_CHARS = 512;
const MAX_TRACEPARENT_CHARS = 55;
const MAX_JSON_BYTES = 65_535;

/** How a new execution begins. */
export type Beginning = {
  readonly state: Extract<ExecutionState, "SCHEDULED" | "READY" | "DISPATCHED" | "SKIPPED">;
  readonly reason: StateReason;
  readonly message: string;
  /** The attempt that it begins with; only for DISPATCHED. */
  readonly slot: ClaimedSlot | null;
  /** True when it holds its gates. */
  readonly gatesHeld: boolean;
  /** The gate it waits at; null when it waits at none. */
  readonly blockedKey: string | null;
};

/** A row to be inserted. */
export type NewRow = {
  readonly execution: Execution;
  readonly beginning: Beginning;
  /** What stands for its unique key while it has not ended; null when it has none. */
  readonly uniqueHash: string | null;
};

/** What the store refuses a new execution for, the same on every engine; null when it takes it. */
export function rowFault(execution: NewExecution): string | null {
  const { target } = execution;
  if (target.bytes.length > MAX_TARGET_BYTES) return `the target is longer than ${MAX_TARGET_BYTES} bytes`;
  if (target.method.length > MAX_METHOD_CHARS) return `the method is longer than ${MAX_METHOD_CHARS} characters`;
  if (execution.traceparent.length > MAX_TRACEPARENT_CHARS) return "the traceparent is too long";
  if (execution.gateKeys.length > 0 && execution.gateKeys.join("\n").length > MAX_GATE_KEYS_CHARS) {
    return `the gate keys are longer than ${MAX_GATE_KEYS_CHARS} characters together`;
  }
  if (isLong(labelsText(execution.labels))) return `the labels are longer than ${MAX_JSON_BYTES} bytes`;
  if (isLong(parametersText(execution.parameters) ?? ""))
    return `the parameters are longer than ${MAX_JSON_BYTES} bytes`;
  if (isLong(policyText(execution.policy))) return `the policy is longer than ${MAX_JSON_BYTES} bytes`;
  return null;
}

function isLong(json: string): boolean {
  return json.length * 3 > MAX_JSON_BYTES && Buffer.byteLength(json) > MAX_JSON_BYTES;
}

/** The row that a new execution becomes. `nowUs` is the store's clock. */
export function newRow(
  from: NewExecution,
  beginning: Beginning,
  nowUs: number,
  uniqueHash: string | null = null,
): NewRow {
  const { slot } = beginning;
  const execution: Execution = {
    ...from,
    name: storableText(from.name, MAX_NAME_CHARS),
    target: { ...from.target, summary: storableText(from.target.summary, MAX_SUMMARY_CHARS) },
    tracestate: storableText(from.tracestate, MAX_TRACESTATE_CHARS),
    state: beginning.state,
    stateReason: beginning.reason,
    stateMessage: storableText(beginning.message, MAX_MESSAGE_CHARS),
    readyUs: from.readyUs,
    startDeadlineUs: beginning.state === "SKIPPED" ? null : startDeadlineUs(from.policy, from.readyUs),
    startUs: null,
    endedUs: beginning.state === "SKIPPED" ? nowUs : null,
    createUs: nowUs,
    attempt: slot === null ? 0 : 1,
    fence: slot?.fence ?? null,
    executorId: slot?.executorId ?? null,
    incarnation: slot?.incarnation ?? null,
    dispatchUs: slot === null ? null : nowUs,
    countedAttempts: 0,
    lossCount: 0,
    returnStreak: 0,
    stop: null,
    result: null,
    failure: null,
    blockedKey: beginning.blockedKey,
    changeNumber: 1,
    retryOf: from.retryOf ?? null,
    parameters: from.parameters ?? null,
    progress: null,
  };
  return { execution, beginning, uniqueHash: beginning.state === "SKIPPED" ? null : uniqueHash };
}

/** A column of `executions` and what a new row has in it. Nullable columns that are NULL in all rows are left out. */
type InsertColumn = { readonly name: string; readonly value: (row: NewRow) => SqlValue };

const REQUIRED: readonly InsertColumn[] = [
  { name: "execution_id", value: ({ execution }) => execution.executionId },
  { name: "namespace", value: ({ execution }) => execution.namespace },
  { name: "job_revision", value: ({ execution }) => execution.jobRevision },
  { name: "name", value: ({ execution }) => execution.name },
  { name: "cause", value: ({ execution }) => causeNumber(execution.cause) },
  { name: "state", value: ({ execution }) => stateNumber(execution.state) },
  { name: "state_reason", value: ({ execution }) => reasonNumber(execution.stateReason) },
  { name: "state_message", value: ({ execution }) => execution.stateMessage },
  { name: "target_kind", value: ({ execution }) => targetKindNumber(execution.target.kind) },
  { name: "target_method", value: ({ execution }) => execution.target.method },
  { name: "target_summary", value: ({ execution }) => execution.target.summary },
  { name: "target", value: ({ execution }) => execution.target.bytes },
  { name: "policy", value: ({ execution }) => policyText(execution.policy) },
  { name: "labels", value: ({ execution }) => labelsText(execution.labels) },
  { name: "route_id", value: ({ execution }) => execution.routeId },
  { name: "claim_rank", value: ({ execution }) => claimRank(execution.policy.priority) },
  { name: "scheduled_us", value: ({ execution }) => execution.scheduledUs },
  { name: "ready_us", value: ({ execution }) => execution.readyUs },
  { name: "shard", value: ({ execution }) => shardOf(execution.executionId) },
  { name: "overlap", value: ({ execution }) => overlapNumber(execution.overlap) },
  { name: "attempt", value: ({ execution }) => execution.attempt },
  { name: "create_us", value: ({ execution }) => execution.createUs },
  { name: "counted_attempts", value: () => 0 },
  { name: "loss_count", value: () => 0 },
  { name: "return_streak", value: () => 0 },
  { name: "timeout_ms", value: ({ execution }) => execution.policy.timeoutMs },
  { name: "stop_reason", value: () => 0 },
  { name: "stop_message", value: () => "" },
  { name: "merged_count", value: ({ execution }) => execution.mergedCount },
  { name: "traceparent", value: ({ execution }) => execution.traceparent },
  { name: "tracestate", value: ({ execution }) => execution.tracestate },
  { name: "change_number", value: () => 1 },
];

const OPTIONAL: readonly InsertColumn[] = [
  { name: "job_id", value: ({ execution }) => execution.jobId },
  { name: "job_uid", value: ({ execution }) => execution.jobUid },
  { name: "claim_route", value: (row) => (isClaimable(row) ? row.execution.routeId : null) },
  {
    name: "timer_shard",
    value: ({ execution }) => (execution.state === "SCHEDULED" ? shardOf(execution.executionId) : null),
  },
  {
    name: "gate_keys",
    value: ({ execution }) => (execution.gateKeys.length > 0 ? execution.gateKeys.join("\n") : null),
  },
  { name: "gates_held", value: ({ beginning }) => (beginning.gatesHeld ? 1 : null) },
  { name: "waiting_gate", value: ({ execution }) => execution.blockedKey },
  { name: "fence", value: ({ execution }) => (execution.fence === null ? null : fenceText(execution.fence)) },
  { name: "executor_id", value: ({ execution }) => execution.executorId },
  { name: "incarnation", value: ({ execution }) => execution.incarnation },
  { name: "session_number", value: ({ beginning }) => beginning.slot?.sessionNumber ?? null },
  { name: "active_executor", value: ({ execution }) => execution.executorId },
  { name: "dispatch_us", value: ({ execution }) => execution.dispatchUs },
  { name: "ended_us", value: ({ execution }) => execution.endedUs },
  { name: "failure", value: ({ execution }) => failureText(execution.failure) },
  { name: "merged_until_us", value: ({ execution }) => execution.mergedUntilUs },
  { name: "live_unique_key", value: ({ uniqueHash }) => uniqueHash },
  { name: "retry_of", value: ({ execution }) => execution.retryOf },
  { name: "parameters", value: ({ execution }) => parametersText(execution.parameters) },
  { name: "start_deadline_us", value: ({ execution }) => execution.startDeadlineUs },
  { name: "expire_us", value: ({ execution: { policy, endedUs } }) => expireUs(policy, false, endedUs) },
];

/** True when claims may take the row: READY, and admitted by its gates where it has any. */
function isClaimable({ execution }: NewRow): boolean {
  return execution.state === "READY" && execution.blockedKey === null;
}

/**
 * Inserts rows in the order of their identifiers (rule 1). A row whose identifier is there fails the statement; where
 * one has a unique key, a row whose key is taken is left out; the transaction is then taken back (checkInserted).
 */
export async function insertExecutions(session: SqlSession, rows: readonly NewRow[]): Promise<void> {
  if (rows.length === 0) return;
  const sorted = rows.toSorted((a, b) => (a.execution.executionId < b.execution.executionId ? -1 : 1));
  const columns = [...REQUIRED, ...OPTIONAL.filter(({ value }) => sorted.some((row) => value(row) !== null))];
  await insertRows(
    session,
    "executions",
    columns.map(({ name }) => name),
    sorted.map((row) => columns.map(({ value }) => value(row))),
    sorted.some(({ uniqueHash }) => uniqueHash !== null) ? "execution_id" : undefined,
  );
  await insertLabels(
    session,
    sorted.map(({ execution }) => execution),
  );
  const skipped = sorted.filter(({ beginning }) => beginning.state === "SKIPPED");
  await noteEnds(
    session,
    skipped.map(({ execution }) => execution.executionId),
  );
}
