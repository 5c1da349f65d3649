import type { Execution, StateReason } from "../../domain/execution.ts";
import type { HeldFire, HeldOutcome } from "../../domain/held-fire.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import type { Job } from "../../domain/job.ts";
import { claimRank } from "../../domain/policy.ts";
import { routeIdOf, routeOf, routeText } from "../../domain/route.ts";
import { compileSchedule } from "../../domain/schedule/compiled-schedule.ts";
import { isCalledBack } from "../../domain/settle.ts";
import { startDeadlineUs } from "../../domain/start-deadline.ts";
import { storableText } from "../../domain/storable-text.ts";
import { MAX_NAME_CHARS, MAX_SUMMARY_CHARS } from "./execution-insert.ts";
import { deleteLabels, insertLabels } from "./execution-labels.ts";
import { executionOf, FULL_COLUMNS, overlapNumber, reasonNumber, targetKindNumber } from "./execution-row.ts";
import { labelsText, parametersText, policyText } from "./execution-text.ts";
import { expireUs } from "./expire-time.ts";
import { JOB_COLUMNS, jobOf } from "./job-row.ts";
import { lockExecutions } from "./locked-executions.ts";
import { takeFiresBack } from "./refused-fires.ts";
import { insertRoutes } from "./routes.ts";
import { text } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";
import { endWaiting } from "./waiting-end.ts";

/**
 * Rule 11: what becomes of a fire that was held, was called back and came back
 * NOT_STARTED. It is SCHEDULED for its nominal time, holds no gate, and is
 * decided here by its job as it stands, whose row is locked first (rule 1): by
 * the call that changed the job, so that its answer finds it decided; and in any
 * case before it is made ready, so that no change of the job is missed that
 * comes between, nor a caller that dies.
 */

/** Decides those that came back; answers for each in order. */
export function releaseHeld(db: SqlDatabase, held: readonly HeldFire[]): Promise<HeldOutcome[]> {
  return db.transact("release_held", async (session) => {
    const ids = held.map(({ executionId }) => executionId);
    const jobs = await lockJobs(session, ids);
    const locked = await lockExecutions(session, FULL_COLUMNS, ids);
    const rows = new Map(locked.map((row) => [text(row, "execution_id") as ExecutionId, row]));
    const ended = new Map<ExecutionId, "skipped" | "cancelled">();
    for (const [id, row] of rows) {
      const end = await decide(session, row, jobs);
      if (end !== null) ended.set(id, end);
    }
    // What is SKIPPED counts as a fire no more.
    await takeFiresBack(
      session,
      [...rows].flatMap(([id, row]) => (ended.get(id) === "skipped" ? [row] : [])),
    );
    return held.map((one) => ended.get(one.executionId) ?? outcomeOf(one, rows.get(one.executionId)));
  });
}

async function lockJobs(session: SqlSession, ids: readonly ExecutionId[]): Promise<ReadonlyMap<string, Job>> {
  const uids = new Set<string>();
  for (const list of valueLists(ids)) {
    const sql = `SELECT job_uid FROM executions WHERE execution_id IN (${list.sql}) AND job_uid IS NOT NULL`;
    for (const row of await session.query(sql, list.values)) uids.add(text(row, "job_uid"));
  }
  const jobs = new Map<string, Job>();
  for (const list of valueLists([...uids].sort())) {
    const rows = await session.query(
      `SELECT ${JOB_COLUMNS.join(", ")} FROM jobs WHERE job_uid IN (${list.sql}) ORDER BY job_uid${session.dialect.forUpdate}`,
      list.values,
    );
    for (const job of rows.map(jobOf)) jobs.set(job.jobUid, job);
  }
  return jobs;
}

/** How it has ended by this; null when it goes on, or is none that came back. */
async function decide(
  session: SqlSession,
  row: Row,
  jobs: ReadonlyMap<string, Job>,
): Promise<"skipped" | "cancelled" | null> {
  const execution = executionOf(row);
  if (!isCalledBack({ state: execution.state, reason: execution.stateReason })) return null;
  const job = jobs.get(execution.jobUid ?? "");
  if (job === undefined) {
    await end(session, execution, "CANCELLED", "JOB_DELETED", "the job was deleted");
    return "cancelled";
  }
  if (execution.stateReason === "PAUSED" || job.paused) {
    await end(session, execution, "SKIPPED", "PAUSED", job.paused ? job.pauseReason : execution.stateMessage);
    return "skipped";
  }
  if (!hasFire(job, execution.scheduledUs)) {
    await end(session, execution, "SKIPPED", "SUPERSEDED", "the job's schedule has no such fire any more");
    return "skipped";
  }
  await renew(session, execution, job);
  return null;
}

/** True when the job's schedule fires at that time as it is now. One that cannot be read fires never. */
function hasFire({ schedule, jobUid, createUs, fireCount }: Job, nominalUs: number): boolean {
  if (schedule === null || (schedule.maxFires > 0 && fireCount > schedule.maxFires)) return false;
  try {
    const nominalMs = nominalUs / 1_000;
    return compileSchedule(schedule, Math.floor(createUs / 1_000), jobUid).next(nominalMs - 1) === nominalMs;
  } catch {
    return false;
  }
}

async function end(
  session: SqlSession,
  { executionId, policy }: Execution,
  state: "SKIPPED" | "CANCELLED",
  reason: StateReason,
  message: string,
): Promise<void> {
  const nowUs = await session.nowUs();
  const ended = { executionId, state, reason, message, expireUs: expireUs(policy, false, nowUs) };
  await endWaiting(session, [ended], nowUs);
}

/** It is of the job as it is now. Its gate_keys never change (rule 7). Till its time has come a change may come again. */
async function renew(session: SqlSession, old: Execution, job: Job): Promise<void> {
  const { target, policy, labels, name, revision, namespace } = job;
  const isDue = (old.readyUs ?? 0) <= (await session.nowUs());
  const route = routeText(routeOf(job));
  const routeId = routeIdOf(route);
  await insertRoutes(session, [route]);
  const overlap = job.schedule?.overlapPolicy ?? "ALLOW";
  await session.execute(
    `UPDATE executions SET job_revision = ?, name = ?, labels = ?, target_kind = ?, target_method = ?,
      target_summary = ?, target = ?, parameters = ?, policy = ?, claim_rank = ?, timeout_ms = ?, route_id = ?, overlap = ?,
      start_deadline_us = ?, state_reason = ?, state_message = '', change_number = change_number + 1
      WHERE execution_id = ?`,
    [
      revision,
      storableText(name, MAX_NAME_CHARS),
      labelsText(labels),
      targetKindNumber(target.kind),
      target.method,
      storableText(target.summary, MAX_SUMMARY_CHARS),
      target.bytes,
      parametersText(job.parameters),
      policyText(policy),
      claimRank(policy.priority),
      policy.timeoutMs,
      routeId,
      overlapNumber(old.gateKeys.length === 0 ? "ALLOW" : overlap),
      startDeadlineUs(policy, old.readyUs ?? old.scheduledUs),
      isDue ? 0 : reasonNumber("SUPERSEDED"),
      old.executionId,
    ],
  );
  if (labelsText(old.labels) === labelsText(labels)) return;
  const [own] = valueLists([old.executionId]);
  if (own !== undefined) await deleteLabels(session, own);
  await insertLabels(session, [{ executionId: old.executionId, namespace, cause: old.cause, labels }]);
}

/** How it stood before it was decided: what was decided just now had come back. */
function outcomeOf({ attempt, jobRevision }: HeldFire, row: Row | undefined): HeldOutcome {
  if (row === undefined) return "back";
  const { state, stateReason, startUs, ...now } = executionOf(row);
  if (isCalledBack({ state, reason: stateReason }) || now.jobRevision !== jobRevision) return "back";
  if (now.attempt === attempt && state === "DISPATCHED") return "held";
  const neverBegan = state === "SKIPPED" || state === "CANCELLED" || state === "EXPIRED";
  return neverBegan && startUs === null ? "back" : "unstopped";
}
