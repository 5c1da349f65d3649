import { executionTimeMs, idsFrom } from "../../domain/execution-id.ts";
import type { ExecutionId, JobUid } from "../../domain/identifier.ts";
import type { LeftoverKind, LeftoverSweep } from "../../port/store-retention.ts";
import { StateNumber } from "./execution-row.ts";
import { jobGateKey } from "./gate-row.ts";
import { deletePins } from "./gone-pins.ts";
import { parseJob } from "./job-text.ts";
import { placeAfter, readPage } from "./leftover-page.ts";
import { int, text } from "./row-reader.ts";
import type { SqlDatabase, SqlSession } from "./session.ts";

/**
 * What executions and jobs leave behind that are gone: revisions of jobs that
 * no execution can name any more, gates of deleted jobs, sets of descriptors
 * that newer ones have replaced, routes to executors that are gone. Each is
 * looked for page by page along its primary key. One that is kept too long costs
 * a row; so what is not sure is kept.
 */

/** An execution of a revision may be named by a time that is so much later than the revision's end: clocks, fires ahead. */
const MARGIN_US = 3_600 * 1_000_000;

/** A job as its latest revision in job_revisions has it. */
type LastRevision = {
  readonly namespace: string;
  readonly jobId: string;
  readonly revision: number;
  readonly replacedUs: number;
};

/** Deletes what of a kind nobody has used since a time, among the rows after a place. */
export function deleteLeftovers(
  db: SqlDatabase,
  kind: LeftoverKind,
  unusedSinceUs: number,
  after: string | null,
): Promise<LeftoverSweep> {
  if (kind === "gates") return deleteGates(db, unusedSinceUs, after ?? jobGateKey("" as JobUid));
  if (kind === "revisions") return deleteRevisions(db, unusedSinceUs, after ?? "\n0");
  if (kind === "routes") return deletePins(db, after ?? "0");
  return deleteDescriptors(db, unusedSinceUs, after ?? "");
}

/** Gates of jobs that were deleted. One that others hold, wait at, or will need is kept. */
async function deleteGates(db: SqlDatabase, sinceUs: number, after: string): Promise<LeftoverSweep> {
  const page = await readPage(
    db,
    `SELECT gate_key, held, waiting FROM gates WHERE gate_key > ? AND gate_key < 'job;' ORDER BY gate_key`,
    [after],
  );
  const idle = page.filter((row) => int(row, "held") === 0 && int(row, "waiting") === 0);
  const keys = idle.map((row) => text(row, "gate_key"));
  let deleted = 0;
  for (const key of keys) {
    deleted += await db.transact("retention.gates", (session) => deleteGate(session, key, sinceUs));
  }
  return { deleted, place: placeAfter(page, (row) => text(row, "gate_key")) };
}

/** Under the gate's lock nothing becomes ready that has it. */
async function deleteGate(session: SqlSession, key: string, sinceUs: number): Promise<number> {
  const uid = key.slice(jobGateKey("" as JobUid).length);
  const jobs = await session.query("SELECT 1 FROM jobs WHERE job_uid = ?", [uid]);
  if (jobs.length > 0) return 0;
  const [gate] = await session.query(`SELECT held, waiting FROM gates WHERE gate_key = ?${session.dialect.forUpdate}`, [
    key,
  ]);
  if (gate === undefined || int(gate, "held") > 0 || int(gate, "waiting") > 0) return 0;
  const job = await lastOf(session, uid);
  if (job !== null && (job.replacedUs > sinceUs || (await isNeeded(session, job, key)))) return 0;
  return await session.execute("DELETE FROM gates WHERE gate_key = ?", [key]);
}

/**
 * True while an execution may yet take the gate: one from the job's time, or one that waits for a later time. What
 * waits for a time that is past is a retry, which holds the gate.
 */
async function isNeeded(session: SqlSession, job: LastRevision, key: string): Promise<boolean> {
  if (await mayBeNamed(session, job)) return true;
  const fromMs = Math.floor(((await session.nowUs()) - MARGIN_US) / 1_000);
  const waiting = await session.query(
    `SELECT 1 FROM executions WHERE job_id = ? AND namespace = ? AND execution_id >= ? AND gate_keys = ?
      AND state = ${StateNumber.SCHEDULED} LIMIT 1`,
    [job.jobId, job.namespace, idsFrom(fromMs), key],
  );
  return waiting.length > 0;
}

/** Revisions that were replaced, or deleted with their job, when no execution of the job is left from their time. */
async function deleteRevisions(db: SqlDatabase, sinceUs: number, after: string): Promise<LeftoverSweep> {
  const [uid = "", revision = "0"] = after.split("\n");
  const page = await readPage(
    db,
    `SELECT job_uid, revision, replaced_us FROM job_revisions
      WHERE job_uid >= ? AND (job_uid > ? OR revision > ?) ORDER BY job_uid, revision`,
    [uid, uid, Number(revision)],
  );
  let deleted = 0;
  for (const row of page.filter((one) => int(one, "replaced_us") <= sinceUs)) {
    deleted += await db.transact("retention.revisions", (session) =>
      deleteRevision(session, text(row, "job_uid"), int(row, "revision"), int(row, "replaced_us")),
    );
  }
  return { deleted, place: placeAfter(page, (row) => `${text(row, "job_uid")}\n${int(row, "revision")}`) };
}

async function deleteRevision(session: SqlSession, uid: string, revision: number, replacedUs: number): Promise<number> {
  const job = await lastOf(session, uid);
  if (job === null || (await mayBeNamed(session, { ...job, replacedUs }))) return 0;
  const gate = await session.query("SELECT 1 FROM gates WHERE gate_key = ?", [jobGateKey(uid as JobUid)]);
  // The last one tells whose the gate is.
  if (revision === job.revision && gate.length > 0) return 0;
  return await session.execute("DELETE FROM job_revisions WHERE job_uid = ? AND revision = ?", [uid, revision]);
}

/** The latest revision that was kept of a job; its name is the same in all. */
async function lastOf(session: SqlSession, jobUid: string): Promise<LastRevision | null> {
  const [row] = await session.query(
    "SELECT revision, replaced_us, spec FROM job_revisions WHERE job_uid = ? ORDER BY job_uid DESC, revision DESC LIMIT 1",
    [jobUid],
  );
  if (row === undefined) return null;
  const { namespace, jobId } = parseJob(text(row, "spec"));
  return { namespace, jobId, revision: int(row, "revision"), replacedUs: int(row, "replaced_us") };
}

/** True while an execution under the job's name is there from before the revision's end: one look at an index. */
async function mayBeNamed(session: SqlSession, { namespace, jobId, replacedUs }: LastRevision): Promise<boolean> {
  const [row] = await session.query(
    "SELECT MIN(execution_id) AS first FROM executions WHERE job_id = ? AND namespace = ?",
    [jobId, namespace],
  );
  if (row === undefined || row.first === null) return false;
  return executionTimeMs(text(row, "first") as ExecutionId) * 1_000 <= replacedUs + MARGIN_US;
}

/** Sets of which another is the latest for each method, and that no executor has. */
async function deleteDescriptors(db: SqlDatabase, sinceUs: number, after: string): Promise<LeftoverSweep> {
  const page = await readPage(db, "SELECT hash, stored_us FROM descriptors WHERE hash > ? ORDER BY hash", [after]);
  let deleted = 0;
  for (const row of page.filter((one) => int(one, "stored_us") <= sinceUs)) {
    const hash = text(row, "hash");
    deleted += await db.transact("retention.descriptors", async (session) => {
      // Who puts it again meanwhile waits for this row, and then finds it gone.
      await session.query(`SELECT 1 FROM descriptors WHERE hash = ?${session.dialect.forUpdate}`, [hash]);
      if (await isUsed(session, hash, sinceUs)) return 0;
      await session.execute("DELETE FROM descriptors WHERE hash = ?", [hash]);
      await session.execute("DELETE FROM descriptor_methods WHERE hash = ?", [hash]);
      await session.execute("DELETE FROM namespace_methods WHERE hash = ?", [hash]);
      return 1;
    });
  }
  return { deleted, place: placeAfter(page, (row) => text(row, "hash")) };
}

async function isUsed(session: SqlSession, hash: string, sinceUs: number): Promise<boolean> {
  const latest = await session.query(
    `SELECT 1 FROM descriptor_methods AS m WHERE m.hash = ? AND NOT EXISTS (SELECT 1 FROM descriptor_methods AS n
      WHERE n.method = m.method AND n.stored_us > m.stored_us AND n.stored_us <= ?) LIMIT 1`,
    [hash, sinceUs],
  );
  if (latest.length > 0 || (await isLatestOfNamespace(session, hash, sinceUs))) return true;
  const executors = await session.query("SELECT 1 FROM executors WHERE profile LIKE ? LIMIT 1", [`%${hash}%`]);
  return executors.length > 0;
}

/** True while a namespace has it as its latest: neither another one of its own nor one of the whole mesh came after it. */
async function isLatestOfNamespace(session: SqlSession, hash: string, sinceUs: number): Promise<boolean> {
  const later = "n.method = m.method AND n.stored_us > m.stored_us AND n.stored_us <= ?";
  const rows = await session.query(
    `SELECT 1 FROM namespace_methods AS m WHERE m.hash = ?
      AND NOT EXISTS (SELECT 1 FROM namespace_methods AS n WHERE n.namespace = m.namespace AND ${later})
      AND NOT EXISTS (SELECT 1 FROM descriptor_methods AS n WHERE ${later}) LIMIT 1`,
    [hash, sinceUs, sinceUs],
  );
  return rows.length > 0;
}
