import { assert } from "../../domain/assert.ts";
import type { Execution, NewExecution } from "../../domain/execution.ts";
import { MAX_AHEAD_US } from "../../domain/held-fire.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { StoreUnavailable } from "../../port/store.ts";
import type { ClaimedSlot } from "../../port/store-executions.ts";
import type { Fire, FireOutcome } from "../../port/store-jobs.ts";
import { type Beginning, insertExecutions, type NewRow, newRow } from "./execution-insert.ts";
import { fenceText } from "./execution-row.ts";
import { LockedGates } from "./gates.ts";
import { knowAhead } from "./held-fires.ts";
import { lockExecutions } from "./locked-executions.ts";
import { cancelOverlapped } from "./overlapped.ts";
import { standingPlacements } from "./placements.ts";
import { textOrNull } from "./row-reader.ts";
import type { SqlDatabase, SqlSession } from "./session.ts";
import { CommitUnknown } from "./store-fault.ts";
import { beginningOf } from "./submit-group.ts";
import { valueLists } from "./value-list.ts";

/** Commits of fires with an unknown outcome, before the caller hears of it. */
const MAX_UNKNOWN_COMMITS = 3;

/**
 * Rule 9: a fire is one transaction that begins with the compared move of the
 * job's next_fire_time; who finds the job changed, paused or fired by another
 * drops it. The identifiers of its executions follow from the job's creation
 * and the nominal time: one that is there stays, and the fire only moves on.
 * Fires that fall due together are stored together, each with its own
 * comparison; where the store refuses a group, each is stored alone.
 *
 * Rule 11: a fire that comes ahead of its time with a slot is stored as
 * DISPATCHED, and takes its gates. Where a gate has no room, or the slot is no
 * more, nothing is stored: that is decided at its time and not before. After a
 * COMMIT of unknown outcome it is read back under its fence, so that what
 * stands is sent in time, and what does not is stored again (rule 5).
 */
export async function fireAll(db: SqlDatabase, requests: readonly Fire[]): Promise<readonly FireOutcome[]> {
  try {
    return await storeSurely(db, requests);
  } catch (error) {
    if (error instanceof StoreUnavailable || requests.length === 1) throw error;
    const outcomes: FireOutcome[] = [];
    for (const request of requests) outcomes.push(...(await fireAlone(db, request)));
    return outcomes;
  }
}

/** One that is refused for good is told as stale: its job is read again, and fails alone where it failed here. */
async function fireAlone(db: SqlDatabase, request: Fire): Promise<readonly FireOutcome[]> {
  try {
    return await storeSurely(db, [request]);
  } catch (error) {
    if (error instanceof StoreUnavailable) throw error;
    return [{ kind: "refused", message: error instanceof Error ? error.message : String(error) }];
  }
}

/** Stores fires, and finds out what a lost COMMIT made of those that were sent ahead; for others it costs no hurry. */
async function storeSurely(db: SqlDatabase, requests: readonly Fire[]): Promise<readonly FireOutcome[]> {
  for (let unknown = 0; ; ) {
    // What the last run would have answered, had its COMMIT been heard.
    const run: { outcomes: readonly FireOutcome[] } = { outcomes: [] };
    try {
      return await db.transact("fire", async (session) => {
        run.outcomes = [];
        run.outcomes = await storeFires(session, requests);
        return run.outcomes;
      });
    } catch (error) {
      const [sent] = run.outcomes.flatMap((one) => (one.kind === "fired" && one.dispatched ? [one.dispatched] : []));
      if (!(error instanceof CommitUnknown) || sent === undefined || unknown++ >= MAX_UNKNOWN_COMMITS) throw error;
      if (await stands(db, sent)) return run.outcomes;
    }
  }
}

/** True when an attempt is in the store, and with it the transaction that made it. The lock waits for a commit on its way. */
function stands(db: SqlDatabase, { executionId, fence }: Execution): Promise<boolean> {
  return db.transact("fire_read_back", async (session) => {
    const rows = await lockExecutions(session, "fence", [executionId]);
    return rows.some((row) => fence !== null && textOrNull(row, "fence") === fenceText(fence));
  });
}

/** Jobs are locked in the order of their identifiers, then gates, then executions (rule 1). */
async function storeFires(session: SqlSession, requests: readonly Fire[]): Promise<readonly FireOutcome[]> {
  const nowUs = await session.nowUs();
  const standing = await standingPlacements(session, requests.flatMap(slotOf));
  const early = new Set(requests.filter((request) => isEarly(request, nowUs)));
  const moved = new Set<Fire>();
  for (const request of [...requests].sort((a, b) => (a.jobUid < b.jobUid ? -1 : 1))) {
    const isCurrent = early.has(request) ? await lockJob(session, request, nowUs) : await moveJob(session, request);
    if (isCurrent) moved.add(request);
  }
  const there = await storedIds(session, [...moved]);
  const isNew = ({ executionId }: NewExecution): boolean => !there.has(executionId);
  const made = new Map([...moved].map((request) => [request, request.executions.filter(isNew)]));
  const gates = await LockedGates.lock(
    session,
    [...made].flatMap(([request, executions]) =>
      executions.flatMap(({ gateKeys, readyUs }) => (early.has(request) || readyUs <= nowUs ? gateKeys : [])),
    ),
  );
  await knowAhead(session, gates);
  const outcomes: FireOutcome[] = [];
  const all: NewRow[] = [];
  for (const request of requests) {
    const executions = made.get(request);
    const slot = slotOf(request).find((one) => standing.has(one)) ?? null;
    if (executions !== undefined && early.has(request)) {
      if (slot === null || !executions.every((one) => isAdmitted(one, gates, nowUs))) {
        outcomes.push({ kind: "early" });
        continue;
      }
      const isMoved = await moveJob(session, request);
      assert(isMoved, "a locked job is as it was compared");
    }
    const rows = executions?.map((one) => newRow(one, beginningOfFire(one, slot, gates, nowUs), nowUs));
    outcomes.push(rows === undefined ? { kind: "stale" } : outcomeOf(rows));
    if (rows === undefined) continue;
    all.push(
      ...rows,
      ...request.skipped.filter(({ execution }) => isNew(execution)).map((one) => skippedRow(one, nowUs)),
    );
    await countFires(session, request, rows);
  }
  await gates.save();
  await insertExecutions(session, all);
  await cancelOverlapped(session, gates);
  return outcomes;
}

function outcomeOf(rows: readonly NewRow[]): FireOutcome {
  const idsOf = (wanted: (row: NewRow) => boolean): ExecutionId[] =>
    rows.filter(wanted).map(({ execution }) => execution.executionId);
  const dispatched = rows.find(({ execution }) => execution.state === "DISPATCHED")?.execution;
  return {
    kind: "fired",
    ...(dispatched === undefined ? {} : { dispatched }),
    readyIds: idsOf(({ execution }) => execution.state === "READY" && execution.blockedKey === null),
    skippedIds: idsOf(({ execution }) => execution.state === "SKIPPED"),
  };
}

/** The slot that a fire was given ahead of its time. */
function slotOf({ slot, executions }: Fire): ClaimedSlot[] {
  return slot == null || executions.length !== 1 ? [] : [slot];
}

/** True when its time has not come, by the store's clock. */
function isEarly(request: Fire, nowUs: number): boolean {
  return slotOf(request).length > 0 && request.nominalUs > nowUs;
}

/** Ahead of its time a fire is only let in: by gates with room, at which nobody waits. */
function isAdmitted(execution: NewExecution, gates: LockedGates, nowUs: number): boolean {
  const isNear = execution.readyUs - nowUs <= MAX_AHEAD_US;
  return isNear && gates.hasRoom(execution) && execution.gateKeys.every((key) => gates.waiting(key) === 0);
}

function beginningOfFire(one: NewExecution, slot: ClaimedSlot | null, gates: LockedGates, nowUs: number): Beginning {
  if (slot === null || one.readyUs <= nowUs) return beginningOf(one, slot, gates, nowUs);
  gates.take(one.gateKeys);
  const held = one.gateKeys.length > 0;
  return { state: "DISPATCHED", reason: "UNSPECIFIED", message: "", slot, gatesHeld: held, blockedKey: null };
}

/**
 * The comparison without the move, which waits for the gates. One fire of a job is held at a time, so that whoever
 * changes the job knows which: the latest.
 */
async function lockJob(session: SqlSession, { jobUid, revision, nominalUs }: Fire, nowUs: number): Promise<boolean> {
  const found = await session.query(
    `SELECT job_uid FROM jobs WHERE job_uid = ? AND revision = ? AND paused = 0 AND next_fire_us = ?
      AND (last_fire_us IS NULL OR last_fire_us <= ?)${session.dialect.forUpdate}`,
    [jobUid, revision, nominalUs, nowUs],
  );
  return found.length > 0;
}

/** The compared move; it locks the job for the rest of the transaction. */
async function moveJob(session: SqlSession, request: Fire): Promise<boolean> {
  const { jobUid, revision, nominalUs, nextUs } = request;
  // A move that makes nothing is no fire.
  const lastUs = request.executions.length + request.skipped.length > 0 ? nominalUs : null;
  const moved = await session.execute(
    `UPDATE jobs SET next_fire_us = ?, last_fire_us = COALESCE(?, last_fire_us), due_shard = ${nextUs === null ? "NULL" : "shard"}
      WHERE job_uid = ? AND revision = ? AND paused = 0 AND next_fire_us = ?`,
    [nextUs, lastUs, jobUid, revision, nominalUs],
  );
  return moved > 0;
}

/** Those that are there. Nobody else makes them while the jobs are locked. */
async function storedIds(session: SqlSession, requests: readonly Fire[]): Promise<ReadonlySet<unknown>> {
  const ids = requests.flatMap(({ executions, skipped }) =>
    [...executions, ...skipped.map(({ execution }) => execution)].map(({ executionId }) => executionId),
  );
  const stored = new Set<unknown>();
  for (const list of valueLists(ids)) {
    const rows = await session.query(
      `SELECT execution_id FROM executions WHERE execution_id IN (${list.sql})`,
      list.values,
    );
    for (const row of rows) stored.add(row.execution_id);
  }
  return stored;
}

function skippedRow({ execution, reason, message }: Fire["skipped"][number], nowUs: number): NewRow {
  return newRow(
    execution,
    { state: "SKIPPED", reason, message, slot: null, gatesHeld: false, blockedKey: null },
    nowUs,
  );
}

/**
 * fire_count counts what was made and not SKIPPED; last_fire_us is the latest
 * nominal time of all. A schedule with max_fires ends with the count (rule 10).
 */
async function countFires(session: SqlSession, request: Fire, rows: readonly NewRow[]): Promise<void> {
  const count = rows.filter(({ execution }) => execution.state !== "SKIPPED").length;
  const skippedUs = request.skipped.map(({ execution }) => execution.mergedUntilUs ?? execution.scheduledUs);
  const latestUs = Math.max(request.nominalUs, ...request.executions.map((one) => one.scheduledUs), ...skippedUs);
  if (count > 0 || latestUs > request.nominalUs) {
    await session.execute("UPDATE jobs SET fire_count = fire_count + ?, last_fire_us = ? WHERE job_uid = ?", [
      count,
      latestUs,
      request.jobUid,
    ]);
  }
  const maxFires = request.maxFires ?? 0;
  if (maxFires === 0) return;
  await session.execute("UPDATE jobs SET next_fire_us = NULL, due_shard = NULL WHERE job_uid = ? AND fire_count >= ?", [
    request.jobUid,
    maxFires,
  ]);
}
