import { assert } from "../../domain/assert.ts";
import type { Execution } from "../../domain/execution.ts";
import type { RouteId } from "../../domain/identifier.ts";
import type { ClaimedSlot, ClaimRequest, WaitingRoute } from "../../port/store-executions.ts";
import { executionOf, FULL_COLUMNS, fenceText, StateNumber } from "./execution-row.ts";
import { type GroupIndex, groupHeadsSql } from "./group-heads.ts";
import { updateRows } from "./many-rows.ts";
import { standingPlacements } from "./placements.ts";
import { big, int } from "./row-reader.ts";
import type { SqlDatabase, SqlSession } from "./session.ts";
import { CommitUnknown } from "./store-fault.ts";
import { valueLists } from "./value-list.ts";

/**
 * Rule 6: claims are by route, in the order of the index (claim_route,
 * claim_rank, ready_us, execution_id). A claim locks executions only and passes
 * over rows that others hold, so that two claimers never wait for each other
 * and never get the same row. Rule 20: a slot whose session is no longer the
 * store's claims nothing. Rule 24: what is past its start deadline is passed over.
 */

/** Executions in one claim. */
const MAX_CLAIM_ROWS = 500;

const CLAIM_UPDATE = {
  table: "executions",
  keys: ["execution_id"],
  set: ["fence", "executor_id", "incarnation", "session_number", "active_executor", "dispatch_us"],
  also: `state = ${StateNumber.DISPATCHED}, state_reason = 0, claim_route = NULL,
    attempt = t.attempt + 1, attempt_start_us = NULL, change_number = t.change_number + 1`,
} as const;

/** Claims the head of a route for slots; answers what was claimed, in the order of the slots that were used. */
export async function claim(db: SqlDatabase, request: ClaimRequest): Promise<Execution[]> {
  const claimed: Execution[] = [];
  for (let first = 0; first < request.slots.length; first += MAX_CLAIM_ROWS) {
    const slots = request.slots.slice(first, first + MAX_CLAIM_ROWS);
    const part = await claimPart(db, request.routeId, slots);
    claimed.push(...part);
    if (part.length < slots.length) break;
  }
  return claimed;
}

async function claimPart(db: SqlDatabase, routeId: RouteId, slots: readonly ClaimedSlot[]): Promise<Execution[]> {
  let tried: readonly Execution[] = [];
  try {
    return await db.transact("claim", async (session) => {
      tried = [];
      const claimed = await claimRows(session, routeId, slots);
      tried = claimed;
      return claimed;
    });
  } catch (error) {
    if (!(error instanceof CommitUnknown) || tried.length === 0) throw error;
    return await standingClaims(db, tried);
  }
}

async function claimRows(session: SqlSession, routeId: RouteId, slots: readonly ClaimedSlot[]): Promise<Execution[]> {
  const nowUs = await session.nowUs();
  const standing = await standingPlacements(session, slots);
  const usable = slots.filter((slot) => standing.has(slot));
  if (usable.length === 0) return [];
  const rows = await session.query(
    `SELECT ${FULL_COLUMNS} FROM executions WHERE claim_route = ?
      AND (start_deadline_us IS NULL OR start_deadline_us >= ?)
      ORDER BY claim_rank, ready_us, execution_id LIMIT ?${session.dialect.skipLocked}`,
    [routeId, nowUs, usable.length],
  );
  const claimed = rows.map((row, index) => dispatched(executionOf(row), usable[index], nowUs));
  await updateRows(
    session,
    CLAIM_UPDATE,
    claimed.map((execution, index) => {
      const slot = usable[index];
      assert(slot !== undefined, "each claimed row has a slot");
      const { executorId, incarnation, sessionNumber } = slot;
      const fence = fenceText(slot.fence);
      return [execution.executionId, fence, executorId, incarnation, sessionNumber, executorId, nowUs];
    }),
  );
  return claimed;
}

function dispatched(execution: Execution, slot: ClaimedSlot | undefined, nowUs: number): Execution {
  assert(slot !== undefined, "each claimed row has a slot");
  return {
    ...execution,
    state: "DISPATCHED",
    stateReason: "UNSPECIFIED",
    stateMessage: "",
    attempt: execution.attempt + 1,
    progress: null,
    fence: slot.fence,
    executorId: slot.executorId,
    incarnation: slot.incarnation,
    dispatchUs: nowUs,
    changeNumber: execution.changeNumber + 1,
  };
}

/** After a COMMIT of unknown outcome: those claims that stand. The lock waits for a commit on its way. */
function standingClaims(db: SqlDatabase, tried: readonly Execution[]): Promise<Execution[]> {
  return db.transact("claim_read_back", async (session) => {
    const fences = new Set<unknown>();
    for (const list of valueLists(tried.map(({ executionId }) => executionId).toSorted())) {
      const rows = await session.query(
        `SELECT fence FROM executions WHERE execution_id IN (${list.sql})
          ORDER BY execution_id${session.dialect.forUpdate}`,
        list.values,
      );
      for (const row of rows) fences.add(row.fence);
    }
    return tried.filter(({ fence }) => fence !== null && fences.has(fenceText(fence)));
  });
}

/** What waits, by route and then by rank. */
const waitingIndex: GroupIndex = { table: "executions", group: "claim_route", order: "claim_rank" };

/** The best rank of each route that has claimable rows, best first. */
export function waitingRoutes(db: SqlDatabase): Promise<WaitingRoute[]> {
  return db.read("waiting_routes", async (session) => {
    const rows = await session.query(groupHeadsSql(session, waitingIndex));
    return rows
      .map((row): WaitingRoute => ({ routeId: big(row, "group_id") as RouteId, bestRank: int(row, "head") }))
      .sort((a, b) => a.bestRank - b.bestRank);
  });
}
