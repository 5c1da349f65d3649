import type { HeldFire } from "../../domain/held-fire.ts";
import type { ExecutionId, RouteId } from "../../domain/identifier.ts";
import type { MadeReady } from "../../port/store-executions.ts";
import { releaseHeld } from "./called-back.ts";
import { dueShards, executionTimers } from "./due-shards.ts";
import { gateKeysOf, overlapOf, reasonNumber, StateNumber } from "./execution-row.ts";
import { expireUsOfRow, isPastDeadline } from "./expire-time.ts";
import { LockedGates } from "./gates.ts";
import { knowAhead } from "./held-fires.ts";
import { lockExecutions } from "./locked-executions.ts";
import { updateRows } from "./many-rows.ts";
import { cancelOverlapped } from "./overlapped.ts";
import { isFire, takeFiresBack } from "./refused-fires.ts";
import { big, int, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession, SqlValue } from "./session.ts";
import { valueLists } from "./value-list.ts";
import { endWaiting, type WaitingEnd } from "./waiting-end.ts";

/**
 * Rule 13: timers are rows, SCHEDULED with a time and a shard. When the time
 * has come they become READY; those with gates go through them (rule 7): a
 * retry still holds its job's gate, a first attempt is admitted, waits or, by
 * its overlap policy, is SKIPPED and then takes its count in the job's
 * fire_count back (rule 9). One whose start deadline has passed stays as it is
 * and takes no gate: the expirer ends it (rule 24).
 */

/** Executions in one transaction. */
const MAX_READY_ROWS = 500;

/** A SCHEDULED execution and its time. */
export type DueExecution = { readonly executionId: ExecutionId; readonly readyUs: number };

/** SCHEDULED executions of these shards that are due by a time, earliest first. */
export function due(
  db: SqlDatabase,
  shards: readonly number[],
  untilUs: number,
  limit: number,
): Promise<DueExecution[]> {
  return db.read("due", async (session) => {
    const found: DueExecution[] = [];
    for (const list of valueLists(await dueShards(session, executionTimers, shards, untilUs))) {
      const rows = await session.query(
        `SELECT execution_id, ready_us FROM executions WHERE timer_shard IN (${list.sql}) AND ready_us <= ?
          ORDER BY ready_us, execution_id LIMIT ?`,
        [...list.values, untilUs, limit],
      );
      for (const row of rows) {
        found.push({ executionId: text(row, "execution_id") as ExecutionId, readyUs: int(row, "ready_us") });
      }
    }
    return found.sort((a, b) => a.readyUs - b.readyUs).slice(0, limit);
  });
}

/** Makes those READY whose time has come by the store's clock; answers which of them are claimable, or have ended. */
export async function makeReady(db: SqlDatabase, ids: readonly ExecutionId[]): Promise<MadeReady[]> {
  const sorted = [...new Set(ids)].sort();
  const ready: MadeReady[] = [];
  for (let first = 0; first < sorted.length; first += MAX_READY_ROWS) {
    const part = sorted.slice(first, first + MAX_READY_ROWS);
    const made = await db.transact("make_ready", (session) => makePartReady(session, part));
    ready.push(...made.ready);
    if (made.calledBack.length === 0) continue;
    const outcomes = await releaseHeld(db, made.calledBack);
    for (const [at, { executionId }] of made.calledBack.entries()) {
      const outcome = outcomes[at];
      if (outcome === "skipped") ready.push({ executionId, ended: "SKIPPED" });
      if (outcome === "cancelled") ready.push({ executionId, ended: "CANCELLED" });
    }
    const ids = made.calledBack.map(({ executionId }) => executionId);
    ready.push(...(await db.transact("make_ready", (session) => makePartReady(session, ids))).ready);
  }
  return ready;
}

const READY_UPDATE = {
  table: "executions",
  keys: ["execution_id"],
  set: ["claim_route"],
  also: `state = ${StateNumber.READY}, state_reason = 0, state_message = '', timer_shard = NULL,
    change_number = t.change_number + 1`,
} as const;
const ADMITTED_UPDATE = { ...READY_UPDATE, also: `${READY_UPDATE.also}, gates_held = 1` } as const;
const WAITING_UPDATE = {
  ...READY_UPDATE,
  set: ["waiting_gate", "state_reason"],
  also: READY_UPDATE.also.replace("state_reason = 0, ", ""),
} as const;

/** What became claimable, and what its job has to decide first (rule 11). */
type ReadyPart = { readonly ready: readonly MadeReady[]; readonly calledBack: readonly HeldFire[] };

const CALLED_BACK: ReadonlySet<number> = new Set([reasonNumber("PAUSED"), reasonNumber("SUPERSEDED")]);

function heldFireOf(row: Row): HeldFire {
  const executionId = text(row, "execution_id") as ExecutionId;
  return { executionId, attempt: int(row, "attempt"), jobRevision: int(row, "job_revision") };
}

async function makePartReady(session: SqlSession, ids: readonly ExecutionId[]): Promise<ReadyPart> {
  const gated = await gatedRows(session, ids);
  await lockJobsOf(session, gated);
  const gates = await LockedGates.lock(
    session,
    gated.flatMap((row) => gateKeysOf(textOrNull(row, "gate_keys"))),
  );
  await knowAhead(session, gates);
  const nowUs = await session.nowUs();
  const overlaps = new Map(gated.map((row) => [row.execution_id, row.overlap]));
  const scheduled = (await lockScheduled(session, ids, nowUs)).filter((row) => isAsRead(row, overlaps));
  const calledBack = scheduled.filter((row) => CALLED_BACK.has(int(row, "state_reason"))).map(heldFireOf);
  const rows = scheduled
    .filter((row) => !CALLED_BACK.has(int(row, "state_reason")))
    .sort((a, b) => int(a, "ready_us") - int(b, "ready_us"));
  const claimable: SqlValue[][] = [];
  const admitted: SqlValue[][] = [];
  const waiting: SqlValue[][] = [];
  const skipped: WaitingEnd[] = [];
  const refusedFires: Row[] = [];
  for (const row of rows) {
    const id = text(row, "execution_id") as ExecutionId;
    const routeId = big(row, "route_id");
    const gateKeys = gateKeysOf(textOrNull(row, "gate_keys"));
    if (gateKeys.length === 0 || row.gates_held !== null) {
      claimable.push([id, routeId]);
      continue;
    }
    const decision = gates.decide({ gateKeys, overlap: overlapOf(int(row, "overlap")) });
    if (decision.kind === "admitted") admitted.push([id, routeId]);
    else if (decision.kind === "waits") waiting.push([id, decision.key, reasonNumber(decision.reason)]);
    else {
      const end = { state: "SKIPPED", reason: "OVERLAP", message: decision.message } as const;
      skipped.push({ ...end, executionId: id, expireUs: expireUsOfRow(row, nowUs) });
      if (isFire(row)) refusedFires.push(row);
    }
  }
  await takeFiresBack(session, refusedFires);
  await gates.save();
  await updateRows(session, READY_UPDATE, claimable);
  await updateRows(session, ADMITTED_UPDATE, admitted);
  await updateRows(session, WAITING_UPDATE, waiting);
  await endWaiting(session, skipped, nowUs);
  await cancelOverlapped(session, gates);
  const open = new Set([...claimable, ...admitted].map(([id]) => id));
  const refused = new Set(skipped.map((end) => end.executionId));
  const ready = rows.flatMap((row): MadeReady[] => {
    const executionId = text(row, "execution_id") as ExecutionId;
    if (refused.has(executionId)) return [{ executionId, ended: "SKIPPED" }];
    return open.has(executionId) ? [{ executionId, routeId: big(row, "route_id") as RouteId }] : [];
  });
  return { ready, calledBack };
}

/**
 * What of those with gates says which rows are locked before them, read without a lock. Only a fire that was called back
 * changes in it, when it is released.
 */
async function gatedRows(session: SqlSession, ids: readonly ExecutionId[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const list of valueLists(ids)) {
    rows.push(
      ...(await session.query(
        `SELECT execution_id, gate_keys, job_uid, cause, overlap FROM executions
          WHERE execution_id IN (${list.sql}) AND gate_keys IS NOT NULL`,
        list.values,
      )),
    );
  }
  return rows;
}

/**
 * Rule 1: false for one that another scheduler has released meanwhile under a policy by which its job would have had to
 * be locked before it. It is left to that one, or to the next look at what is due.
 */
function isAsRead({ execution_id, overlap }: Row, overlaps: ReadonlyMap<unknown, unknown>): boolean {
  return !overlaps.has(execution_id) || overlaps.get(execution_id) === overlap;
}

/** Rule 1: jobs before gates. Only those are locked whose fire_count may change. */
async function lockJobsOf(session: SqlSession, gated: readonly Row[]): Promise<void> {
  const refusable = gated.filter(
    (row) => isFire(row) && ["SKIP", "QUEUE_ONE"].includes(overlapOf(int(row, "overlap"))),
  );
  const uids = new Set(refusable.map((row) => text(row, "job_uid")));
  for (const list of valueLists([...uids].sort())) {
    await session.query(
      `SELECT job_uid FROM jobs WHERE job_uid IN (${list.sql}) ORDER BY job_uid${session.dialect.forUpdate}`,
      list.values,
    );
  }
}

const SCHEDULED_COLUMNS = `execution_id, state, ready_us, CAST(route_id AS CHAR) AS route_id, gate_keys, gates_held,
  overlap, cause, job_uid, job_revision, attempt, state_reason, scheduled_us, start_deadline_us, policy, claim_rank,
  timeout_ms`;

async function lockScheduled(session: SqlSession, ids: readonly ExecutionId[], nowUs: number): Promise<Row[]> {
  const rows = await lockExecutions(session, SCHEDULED_COLUMNS, ids);
  const isDue = (row: Row): boolean => int(row, "state") === StateNumber.SCHEDULED && int(row, "ready_us") <= nowUs;
  return rows.filter((row) => isDue(row) && !isPastDeadline(row, nowUs));
}
