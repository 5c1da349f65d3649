import { routeIdOf } from "../../../domain/route.ts";
import { jobColumns } from "../job-row.ts";
import { insertRows } from "../many-rows.ts";
import { flag, int, intOrNull, text, textOrNull } from "../row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "../session.ts";
import { adoptedJob, type OriginalJob } from "./original-job.ts";
import { ADOPTED_ROUTE, copyLogsSql } from "./original-logs.ts";
import {
  findOriginals,
  KEPT_JOBS,
  KEPT_LOGS,
  keptShape,
  readShapes,
  type TableShape,
  unsuitable,
} from "./original-tables.ts";
import { OriginalTime } from "./original-time.ts";

/**
 * Adopts a database of the system that jobmesh replaces, on MySQL and MariaDB,
 * behind the lock of the migrations. Its tables bear the names of ours, so:
 *
 * 1. `moveOriginalsAside`, before the first migration: everything that could
 *    be refused is looked at, then each of its tables is renamed, jobs to
 *    original_jobs. A rename is whole or not done, and moves no row.
 * 2. The migrations then make what they make in any empty database.
 * 3. `copyOriginals`, after them: jobs and logs are copied, a bounded batch to
 *    a transaction, and the last one notes that it is done.
 *
 * A crash between any two statements leaves what the next start goes on from:
 * tables that are renamed stay so, jobs that are there are left alone, logs
 * are copied in the order of their ids from the last one that is there. The
 * renamed tables are never written to, and stay until somebody drops them.
 */

/** Jobs copied in one transaction, and logs with about so many bytes of output: a part of what a statement may take. */
const JOB_BATCH = 100;
const LOG_BATCH = 1_000;
const LOG_BATCH_BYTES = 4 * 1024 * 1024;
/** Logs looked at in one statement. */
const CHECK_BATCH = 20_000;
/** Names of the notes in `mesh`: when it was done, and in which zone it is read. */
const DONE = "original_adopted";
const ZONE = "original_time_zone";

/** What identifiers of the original's jobs have to be: ours take no others. */
const IDENTIFIER = "^[A-Za-z0-9._-]{1,64}\\\\z";
const PRINTABLE = "^[ -~]{0,64}\\\\z";

/**
 * Renames the original's tables where ours belong; does nothing where there
 * are none. Throws BACKEND_UNSUITABLE, before anything is changed, for a table
 * that is neither and for a row that ours cannot hold.
 */
export async function moveOriginalsAside(db: SqlDatabase): Promise<void> {
  const found = await db.read("adopt.find", async (session) => findOriginals(await readShapes(session)));
  for (const { name } of found) {
    if (name === "jobs") await checkJobs(db);
    if (name === "job_logs") await checkLogs(db);
  }
  for (const { name, keptAs } of found) {
    await db.transactOne("adopt.rename", (session) => session.execute(`RENAME TABLE ${name} TO ${keptAs}`));
  }
}

/**
 * Copies what was moved aside, or the rest of it; does nothing once that is
 * done. What was begun in one time zone goes on in it, whatever is named then.
 */
export async function copyOriginals(db: SqlDatabase, timeZone: string): Promise<void> {
  const { shapes, isDone } = await db.read("adopt.find", async (session) => ({
    shapes: await readShapes(session),
    isDone: (await session.query("SELECT name FROM mesh WHERE name = ?", [DONE])).length > 0,
  }));
  const jobs = keptShape(shapes, KEPT_JOBS);
  const logs = keptShape(shapes, KEPT_LOGS);
  if (isDone || (jobs === undefined && logs === undefined)) return;
  const begun = await db.transact("adopt.begin", (session) => begin(session, timeZone));
  const time = new OriginalTime(begun.timeZone, begun.nowUs);
  if (jobs !== undefined) await copyJobs(db, { jobs, logs, time, ...begun });
  if (logs !== undefined) await copyLogs(db, copyLogsSql(logs, time));
  await db.transact("adopt.done", (session) => note(session, DONE, String(begun.nowUs)));
}

/** Notes the zone, unless one is noted already, and the route of all that is adopted (rule 6). */
async function begin(
  session: SqlSession,
  timeZone: string,
): Promise<{ readonly timeZone: string; readonly nowUs: number }> {
  await note(session, ZONE, timeZone);
  const [row] = await session.query("SELECT value FROM mesh WHERE name = ?", [ZONE]);
  await insertRows(session, "routes", ["route_id", "text"], [[routeIdOf(ADOPTED_ROUTE), ADOPTED_ROUTE]], "route_id");
  return { timeZone: row === undefined ? timeZone : text(row, "value"), nowUs: await session.nowUs() };
}

/** A note in `mesh`; one that is there stays. */
function note(session: SqlSession, name: string, value: string): Promise<void> {
  return insertRows(session, "mesh", ["name", "value"], [[name, value]], "name");
}

async function checkJobs(db: SqlDatabase): Promise<void> {
  await refuse(db, "jobs", "job_id", notMatching("job_id", IDENTIFIER), "has to be 1 to 64 of [A-Za-z0-9._-]");
  await db.read("adopt.check", async (session) => {
    const [twice] = await session.query("SELECT job_id FROM jobs GROUP BY job_id HAVING COUNT(*) > 1 LIMIT 1");
    if (twice === undefined) return;
    const words = `jobs.job_id ${JSON.stringify(text(twice, "job_id"))} is there twice`;
    throw unsuitable("jobs", "job_id", words);
  });
}

async function checkLogs(db: SqlDatabase): Promise<void> {
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const upTo = await lastId(db, "job_logs", after, CHECK_BATCH);
    if (upTo === null) return;
    const part = `id > ${after} AND id <= ${upTo} AND `;
    const ids = "has to be 1 to 64 of [A-Za-z0-9._-]";
    await refuse(db, "job_logs", "job_id", part + notMatching("job_id", IDENTIFIER), ids);
    const printable = "has to be at most 64 printable ASCII characters";
    await refuse(db, "job_logs", "executor_id", part + notMatching("executor_id", PRINTABLE), printable);
    await refuse(db, "job_logs", "status", `${part}(status IS NULL OR status NOT BETWEEN 0 AND 4)`, "has to be 0 to 4");
    after = upTo;
  }
}

/** Throws BACKEND_UNSUITABLE for the first row that a condition finds. */
async function refuse(
  db: SqlDatabase,
  table: string,
  column: string,
  condition: string,
  allowed: string,
): Promise<void> {
  const sql = `SELECT CAST(${column} AS CHAR) AS value FROM ${table} WHERE ${condition} LIMIT 1`;
  const [row] = await db.read("adopt.check", (session) => session.query(sql));
  if (row === undefined) return;
  const value = textOrNull(row, "value");
  throw unsuitable(table, column, `${table}.${column} ${allowed}; there is ${JSON.stringify(value)}`);
}

/** By byte, whatever the column's collation takes for the same. */
function notMatching(column: string, pattern: string): string {
  return `(${column} IS NULL OR CONVERT(${column} USING utf8mb4) COLLATE utf8mb4_bin NOT REGEXP '${pattern}')`;
}

type JobSource = {
  readonly jobs: TableShape;
  readonly logs: TableShape | undefined;
  readonly time: OriginalTime;
  readonly timeZone: string;
  readonly nowUs: number;
};

async function copyJobs(db: SqlDatabase, source: JobSource): Promise<void> {
  for (let after: string | null = ""; after !== null; ) {
    const from: string = after;
    after = await db.transact("adopt.jobs", (session) => copyJobBatch(session, source, from));
  }
}

/** Answers the last job_id of the batch; null at the end. */
async function copyJobBatch(session: SqlSession, source: JobSource, after: string): Promise<string | null> {
  const us = (column: string) => source.time.microseconds(column, source.jobs.get(column) ?? "");
  const rows = await session.query(
    `SELECT job_id, name, command, type, priority, cron_expression, timeout, retry_count, retry_interval,
        ${us("create_time")} AS create_us, ${us("update_time")} AS update_us
      FROM ${KEPT_JOBS} WHERE job_id > ? ORDER BY job_id LIMIT ${JOB_BATCH}`,
    [after],
  );
  const runs = await readRuns(
    session,
    source,
    rows.map((row) => text(row, "job_id")),
  );
  const made = rows.map((row) => {
    const job = adoptedJob(originalOf(row, runs.get(text(row, "job_id"))), source.timeZone, source.nowUs);
    return jobColumns(job);
  });
  const [first] = made;
  const last = rows.at(-1);
  if (first === undefined || last === undefined) return null;
  const values = made.map((columns) => Object.values(columns));
  await insertRows(session, "jobs", Object.keys(first), values, "job_id");
  return text(last, "job_id");
}

/** Whether each job began, and when last: two looks at the index of job_id for each, in one statement. */
async function readRuns(session: SqlSession, source: JobSource, ids: readonly string[]): Promise<Map<string, Row>> {
  const { logs, time } = source;
  if (logs === undefined || ids.length === 0) return new Map();
  const startUs = time.microseconds("start_time", logs.get("start_time") ?? "");
  const one = `SELECT ? AS job_id, EXISTS(SELECT 1 FROM ${KEPT_LOGS} WHERE job_id = ? AND status <> 0) AS has_run,
    (SELECT ${startUs} FROM ${KEPT_LOGS} WHERE job_id = ? ORDER BY id DESC LIMIT 1) AS last_us`;
  const rows = await session.query(
    ids.map(() => one).join(" UNION ALL "),
    ids.flatMap((id) => [id, id, id]),
  );
  return new Map(rows.map((row) => [text(row, "job_id"), row]));
}

function originalOf(row: Row, runs: Row | undefined): OriginalJob {
  return {
    jobId: text(row, "job_id"),
    name: textOrNull(row, "name") ?? "",
    command: textOrNull(row, "command") ?? "",
    type: intOrNull(row, "type") ?? -1,
    priority: intOrNull(row, "priority") ?? 0,
    cron: (textOrNull(row, "cron_expression") ?? "").trim(),
    timeout: intOrNull(row, "timeout") ?? 0,
    retryCount: intOrNull(row, "retry_count") ?? 0,
    retryInterval: intOrNull(row, "retry_interval") ?? 0,
    createUs: intOrNull(row, "create_us"),
    updateUs: intOrNull(row, "update_us"),
    hasRun: runs !== undefined && flag(runs, "has_run"),
    lastStartUs: runs === undefined ? null : intOrNull(runs, "last_us"),
  };
}

async function copyLogs(db: SqlDatabase, statements: readonly string[]): Promise<void> {
  const [row] = await db.read("adopt.logs", (session) => session.query("SELECT MAX(id) AS id FROM job_logs"));
  const copied = row === undefined ? null : intOrNull(row, "id");
  // A batch that its bytes have ended makes the next one look at few rows more than it took.
  for (let after = copied ?? Number.MIN_SAFE_INTEGER, limit = LOG_BATCH; ; ) {
    const { upTo, count } = await nextBatch(db, after, limit);
    if (upTo === null) return;
    const range = [after, upTo];
    await db.transact("adopt.logs", async (session) => {
      for (const sql of statements) await session.execute(sql, range);
    });
    after = upTo;
    limit = Math.min(2 * count, LOG_BATCH);
  }
}

/** The last id of the next rows; null when there are none. */
async function lastId(db: SqlDatabase, table: string, after: number, limit: number): Promise<number | null> {
  const sql = `SELECT MAX(id) AS id FROM (SELECT id FROM ${table} WHERE id > ? ORDER BY id LIMIT ${limit}) AS part`;
  const [row] = await db.read("adopt.part", (session) => session.query(sql, [after]));
  return row === undefined ? null : intOrNull(row, "id");
}

/** The last id of the next batch of logs, which ends at the row that fills it, and its rows; null when there are none. */
async function nextBatch(
  db: SqlDatabase,
  after: number,
  limit: number,
): Promise<{ readonly upTo: number | null; readonly count: number }> {
  const sizes = `SELECT id, COALESCE(LENGTH(output), 0) + COALESCE(LENGTH(error), 0) AS size
    FROM ${KEPT_LOGS} WHERE id > ? ORDER BY id LIMIT ?`;
  const sums = `SELECT id, COALESCE(SUM(size) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
    AS before_it FROM (${sizes}) AS part`;
  const sql = `SELECT MAX(id) AS id, COUNT(*) AS found FROM (${sums}) AS summed WHERE before_it < ${LOG_BATCH_BYTES}`;
  const [row = {}] = await db.read("adopt.part", (session) => session.query(sql, [after, limit]));
  return { upTo: intOrNull(row, "id"), count: int(row, "found") };
}
