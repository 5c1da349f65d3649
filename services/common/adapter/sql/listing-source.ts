import type { ExecutionState, StateReason } from "../../domain/execution.ts";
import { EXECUTION_STATES, isFinal } from "../../domain/execution.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import type { ExecutionFilter } from "../../port/store-executions.ts";
import { causeHash, labelHash } from "./execution-labels.ts";
import { reasonNumber, stateNumber } from "./execution-row.ts";
import { type Bound, boundText, type SqlFilter } from "./listing-filter.ts";
import { liveIds } from "./live-executions.ts";
import { namespacesOf } from "./namespaces.ts";
import { text } from "./row-reader.ts";
import type { SqlSession, SqlValue } from "./session.ts";
import { type ValueList, valueLists } from "./value-list.ts";

/**
 * Where lists and counts find executions, if not by the primary key or the
 * index of a job: by how they ended, by a label, by a rare cause, each an index
 * whose entries of one value are in the order of lists; and, of those that have
 * not ended, by the indexes of what is to be done, which are not in that order
 * and so are read whole, up to a bound. All of them give identifiers, which are
 * a superset of what the filter takes and are compared with the rows.
 *
 * What ends while a page is read leaves the live ones and comes to the ended
 * ones in one transaction: the live ones are read first, so that it is found
 * among one of them at least.
 */

/** Identifiers that are looked up together. */
const SCAN_ROWS = 512;
/** Live executions that are put in order for a page; of more the newest are found by the primary key soon. */
const MAX_LIVE_ROWS = 5_000;
/** Parts of indexes that are merged: each gives a whole part, and all but one part of them is read in vain. */
const MAX_STREAMS = 8;

/** A part of an index whose entries are in the order of lists. */
type Stream = {
  readonly table: "execution_labels" | "unsuccessful_ends";
  readonly condition: string;
  readonly values: readonly SqlValue[];
};

/** Where a list looks. */
export type Source = {
  /** Those that have not ended, the newest first. */
  readonly live: readonly ExecutionId[];
  readonly streams: readonly Stream[];
};

/** Reasons that only what has ended has. */
export const END_REASONS: ReadonlySet<StateReason> = new Set([
  "MISSED",
  "OUTSIDE_CATCHUP_WINDOW",
  "CALENDAR",
  "TARGET_FAILED",
  "TIMEOUT",
  "EXECUTOR_LOST",
  "START_DEADLINE",
  "CANCEL_REQUESTED",
  "JOB_DELETED",
  "LOSS_LIMIT",
  "RETRY_DURATION",
  "RESULT_UNSTORABLE",
]);
const STATES = EXECUTION_STATES.filter((state) => state !== "UNSPECIFIED");

/** The source of a filter; null where the primary key, or the index of a job, is the better one. */
export async function sourceOf(session: SqlSession, filter: ExecutionFilter): Promise<Source | null> {
  if (filter.parentExecutionId != null) return null;
  return (await sourceByState(session, filter)) ?? sourceByLabel(filter);
}

/** By states and reasons, unless they take what succeeds, which is what most do. */
async function sourceByState(session: SqlSession, filter: ExecutionFilter): Promise<Source | null> {
  const states = statesOf(filter);
  if (states.includes("SUCCEEDED")) return null;
  const live = await liveOf(
    session,
    states.filter((state) => !isFinal(state)),
  );
  if (live === null) return null;
  const streams = await endStreams(session, filter, states.filter(isFinal));
  return streams === null ? null : { live, streams };
}

/** States that what a filter takes may be in. What is active or has succeeded has no reason. */
function statesOf({ states, reasons }: ExecutionFilter): readonly ExecutionState[] {
  const asked = states.length === 0 ? STATES : states;
  if (reasons.length === 0 || reasons.includes("UNSPECIFIED")) return asked;
  const isEnd = reasons.every((reason) => END_REASONS.has(reason));
  const without = isEnd ? STATES.filter((state) => !isFinal(state)) : (["DISPATCHED", "RUNNING"] as const);
  return asked.filter((state) => state !== "SUCCEEDED" && !without.some((other) => other === state));
}

/** Those that may be in these states, the newest first; null when they are too many. */
async function liveOf(session: SqlSession, states: readonly ExecutionState[]): Promise<readonly ExecutionId[] | null> {
  if (states.length === 0) return [];
  const rows = await session.query(liveIds(session.dialect, states, MAX_LIVE_ROWS + 1));
  if (rows.length > MAX_LIVE_ROWS) return null;
  return newestFirst(rows.map((row) => text(row, "execution_id") as ExecutionId));
}

/** What ended so, by its job or by namespace and how; null when that were too many parts. */
async function endStreams(
  session: SqlSession,
  { namespace, jobId, reasons }: ExecutionFilter,
  states: readonly ExecutionState[],
): Promise<readonly Stream[] | null> {
  if (states.length === 0) return [];
  const table = "unsuccessful_ends";
  if (namespace !== null && jobId !== "") {
    return [{ table, condition: "job_id = ? AND namespace = ?", values: [jobId, namespace] }];
  }
  const isByReason = reasons.length > 0 && !reasons.includes("UNSPECIFIED");
  const column = isByReason ? "state_reason" : "state";
  const numbers = new Set(isByReason ? reasons.map(reasonNumber) : states.map(stateNumber));
  const namespaces = namespace === null ? await namespacesOf(session, table, MAX_STREAMS + 1) : [namespace];
  if (namespaces.length * numbers.size > MAX_STREAMS) return null;
  const condition = `namespace = ? AND ${column} = ?`;
  return namespaces.flatMap((one) => [...numbers].map((number) => ({ table, condition, values: [one, number] })));
}

/** By the first label, unless a job's own index is the better one; else by causes, if each of them stands there. */
function sourceByLabel({ namespace, jobId, labels, causes }: ExecutionFilter): Source | null {
  if (namespace !== null && jobId !== "") return null;
  const [first] = Object.entries(labels);
  const ofCauses = [...new Set(causes)].map(causeHash);
  const hashes = first !== undefined && namespace !== null ? [labelHash(namespace, ...first)] : ofCauses;
  if (hashes.length === 0 || hashes.includes(null)) return null;
  const streams = hashes.map((hash): Stream => ({ table: "execution_labels", condition: "label = ?", values: [hash] }));
  return { live: [], streams };
}

/** Identifiers of a source, newest nominal time first. */
export type SourcePart = {
  readonly ids: ValueList<ExecutionId>;
  /** How many they are, and the last of them. */
  readonly count: number;
  readonly last: ExecutionId;
};

/**
 * What a source has, part by part, at most `limit` of them. Which of them the
 * filter takes is asked of their rows by primary key, all of the filter: so the
 * plan of neither engine depends on how rare a value is.
 */
export async function* sourceParts(
  session: SqlSession,
  { live, streams }: Source,
  where: SqlFilter,
  limit: number,
): AsyncGenerator<SourcePart> {
  let reads = live.filter((id) => where.bounds.every((bound) => isWithin(bound, id)));
  let bounds = where.bounds;
  for (let scanned = 0; scanned < limit; scanned += SCAN_ROWS) {
    const size = Math.min(SCAN_ROWS, limit - scanned);
    const found = streams.length === 0 ? [] : await readStreams(session, streams, bounds, size);
    const part = newestFirst([...new Set([...reads.slice(0, size), ...found])]).slice(0, size);
    const [ids] = valueLists(part);
    const last = part.at(-1);
    if (ids === undefined || last === undefined) return;
    yield { ids, count: part.length, last };
    if (part.length < size) return;
    reads = reads.filter((id) => id < last);
    bounds = [...where.bounds, { operator: "<", id: last }];
  }
}

/** The newest `size` of each stream; of several not in order. */
async function readStreams(
  session: SqlSession,
  streams: readonly Stream[],
  bounds: readonly Bound[],
  size: number,
): Promise<ExecutionId[]> {
  const selects = streams.map(({ table, condition }) => {
    const conditions = [condition, ...bounds.map(boundText)];
    return `SELECT execution_id FROM ${table} WHERE ${conditions.join(" AND ")} ORDER BY execution_id DESC LIMIT ?`;
  });
  const [only] = selects;
  const sql =
    selects.length === 1 && only !== undefined
      ? only
      : selects.map((select) => `SELECT execution_id FROM (${select}) AS part`).join(" UNION ALL ");
  const values = streams.flatMap((stream) => [...stream.values, ...bounds.map(({ id }) => id), size]);
  return (await session.query(sql, values)).map((row) => text(row, "execution_id") as ExecutionId);
}

/** Identifiers are compared by byte, as the store compares them. */
function isWithin({ operator, id: edge }: Bound, id: ExecutionId): boolean {
  if (operator === ">=") return id >= edge;
  return operator === "<=" ? id <= edge : id < edge;
}

function newestFirst(ids: readonly ExecutionId[]): ExecutionId[] {
  return ids.toSorted().reverse();
}
