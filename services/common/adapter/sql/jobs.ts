import { assert } from "../../domain/assert.ts";
import type { JobUid } from "../../domain/identifier.ts";
import type { Job, JobSpec } from "../../domain/job.ts";
import type { Page } from "../../port/store.ts";
import type { RequestClaim } from "../../port/store-executions.ts";
import type {
  ChangeOutcome,
  CreateOutcome,
  Fire,
  FireOutcome,
  JobFilter,
  JobStore,
  NewJob,
} from "../../port/store-jobs.ts";
import { inList } from "./dialect.ts";
import { dueShards, jobTimers } from "./due-shards.ts";
import { parametersText } from "./execution-text.ts";
import { fireAll } from "./fires.ts";
import { jobGateKey, makeGates } from "./gate-row.ts";
import { type CallBack, callBack } from "./held-fires.ts";
import { listJobs } from "./job-list.ts";
import { JOB_COLUMNS, jobColumns, jobOf } from "./job-row.ts";
import { jobText, parseJob, scheduleText } from "./job-text.ts";
import { insertRows } from "./many-rows.ts";
import { claimRequests } from "./requests.ts";
import { text } from "./row-reader.ts";
import type { SqlDatabase, SqlSession } from "./session.ts";
import { transactOrUndo, type Undo } from "./undo.ts";
import { valueLists } from "./value-list.ts";

const COLUMNS = JOB_COLUMNS.join(", ");

/**
 * Jobs on SQL. A change locks the job's row, compares what it was asked to
 * compare, and keeps what the job was in job_revisions. Pausing and resuming
 * are no new revision: the definition stays; rule 9 compares `paused` beside
 * the revision.
 */
export class SqlJobStore implements JobStore {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  create(job: NewJob, request: RequestClaim | null, validateOnly = false): Promise<CreateOutcome> {
    return transactOrUndo<CreateOutcome>(this.#database, "job.create", async (session, undo) => {
      const outcome = await create(session, job, request, undo);
      return validateOnly ? undo(outcome) : outcome;
    });
  }

  get(namespace: string, jobId: string): Promise<Job | null> {
    return this.#database.read("job.get", (session) => byName(session, namespace, jobId));
  }

  getByUid(jobUid: JobUid): Promise<Job | null> {
    return this.#database.read("job.get", (session) => byUid(session, jobUid));
  }

  list(filter: JobFilter, pageSize: number, pageToken: string | null): Promise<Page<Job>> {
    return this.#database.read("job.list", (session) => listJobs(session, filter, pageSize, pageToken));
  }

  update(
    spec: JobSpec,
    nextFireUs: number | "kept" | null,
    revision: number | null,
    validateOnly = false,
  ): Promise<ChangeOutcome> {
    const change = async (session: SqlSession, job: Job): Promise<Job> => {
      if (isSameSpec(job, spec)) return job;
      const nowUs = await session.nowUs();
      const changed: Job = {
        ...job,
        ...spec,
        revision: job.revision + 1,
        updateUs: nowUs,
        nextFireUs: job.paused ? null : nextFireUs === "kept" ? job.nextFireUs : nextFireUs,
      };
      await keepRevision(session, job, nowUs);
      await writeJob(session, changed);
      await openGate(session, job, changed, nowUs);
      return changed;
    };
    const call: CallBack = { reason: "SUPERSEDED", message: "the job was changed" };
    return this.#change("job.update", spec, revision, change, call, validateOnly);
  }

  pause(namespace: string, jobId: string, reason: string): Promise<ChangeOutcome> {
    const change = async (session: SqlSession, job: Job): Promise<Job> => {
      const updateUs = await session.nowUs();
      const changed: Job = { ...job, paused: true, pauseReason: reason, nextFireUs: null, updateUs };
      await writeJob(session, changed);
      return changed;
    };
    return this.#change("job.pause", { namespace, jobId }, null, change, { reason: "PAUSED", message: reason });
  }

  resume(namespace: string, jobId: string, revision: number, nextFireUs: number | null): Promise<ChangeOutcome> {
    const change = async (session: SqlSession, job: Job): Promise<Job> => {
      if (!job.paused) return job;
      const changed: Job = { ...job, paused: false, pauseReason: "", nextFireUs, updateUs: await session.nowUs() };
      await writeJob(session, changed);
      return changed;
    };
    return this.#change("job.resume", { namespace, jobId }, revision, change, null);
  }

  delete(namespace: string, jobId: string, revision: number | null): Promise<ChangeOutcome> {
    const change = async (session: SqlSession, job: Job): Promise<Job> => {
      await keepRevision(session, job, await session.nowUs());
      await session.execute("DELETE FROM jobs WHERE job_uid = ?", [job.jobUid]);
      return job;
    };
    const call: CallBack = { reason: "SUPERSEDED", message: "the job was deleted" };
    return this.#change("job.delete", { namespace, jobId }, revision, change, call);
  }

  async due(shards: readonly number[], untilUs: number, limit: number): Promise<readonly Job[]> {
    return this.#database.read("job.due", async (session) => {
      const [list] = valueLists(await dueShards(session, jobTimers, shards, untilUs));
      if (list === undefined) return [];
      const rows = await session.query(dueSql(list.values.length), [...list.values, untilUs, limit]);
      return rows.map(jobOf);
    });
  }

  fireAll(requests: readonly Fire[]): Promise<readonly FireOutcome[]> {
    return fireAll(this.#database, requests);
  }

  async fire(request: Fire): Promise<FireOutcome> {
    const [outcome] = await this.fireAll([request]);
    assert(outcome !== undefined, "each fire has its outcome");
    return outcome;
  }

  #change(
    name: string,
    { namespace, jobId }: Pick<Job, "namespace" | "jobId">,
    revision: number | null,
    change: (session: SqlSession, job: Job) => Promise<Job>,
    call: CallBack | null,
    validateOnly = false,
  ): Promise<ChangeOutcome> {
    return transactOrUndo<ChangeOutcome>(this.#database, name, async (session, undo): Promise<ChangeOutcome> => {
      const job = await byName(session, namespace, jobId, session.dialect.forUpdate);
      if (job === null) return { kind: "not_found" };
      if (revision !== null && revision !== job.revision) return { kind: "revision_mismatch", revision: job.revision };
      const changed = await change(session, job);
      // An update that changes nothing is none; it may be another try of one that has called a fire back.
      const isChange = changed !== job || name === "job.delete";
      const held = call === null ? null : await callBack(session, job, call, isChange);
      const outcome: ChangeOutcome = { kind: "changed", job: changed, ...(held === null ? {} : { held }) };
      return validateOnly ? undo(outcome) : outcome;
    });
  }
}

/** The head of the due ones is found in the index alone; only its rows are read. For tests, too. */
export function dueSql(shardCount: number): string {
  return `SELECT ${JOB_COLUMNS.map((column) => `j.${column}`).join(", ")} FROM
    (SELECT job_uid, next_fire_us FROM jobs WHERE due_shard IN (${inList(shardCount)}) AND next_fire_us <= ?
      ORDER BY next_fire_us, job_uid LIMIT ?) AS d
    JOIN jobs AS j ON j.job_uid = d.job_uid ORDER BY d.next_fire_us, d.job_uid`;
}

async function create(
  session: SqlSession,
  { nextFireUs, ...spec }: NewJob,
  request: RequestClaim | null,
  undo: Undo<CreateOutcome>,
): Promise<CreateOutcome> {
  if (request !== null) {
    const [verdict] = await claimRequests(session, [{ request, resultId: spec.jobUid }]);
    assert(verdict !== undefined, "one verdict a request");
    if (verdict.kind === "reused") return { kind: "request_reused" };
    if (verdict.kind === "repeated")
      return { kind: "repeated", job: await everStored(session, verdict.resultId as JobUid) };
  }
  const nowUs = await session.nowUs();
  const job: Job = {
    ...spec,
    paused: false,
    pauseReason: "",
    revision: 1,
    createUs: spec.createUs ?? nowUs,
    updateUs: nowUs,
    nextFireUs,
    lastFireUs: null,
    fireCount: 0,
  };
  const row = jobColumns(job);
  await insertRows(session, "jobs", Object.keys(row), [Object.values(row)], "job_uid");
  const stored = await byName(session, job.namespace, job.jobId, session.dialect.forUpdate);
  // A refused creation takes its request along (rule 5).
  if (stored?.jobUid !== job.jobUid) return undo({ kind: "exists" });
  return { kind: "created", job: stored };
}

/** A job that a request made; one that was deleted since is answered as it was last. */
async function everStored(session: SqlSession, jobUid: JobUid): Promise<Job> {
  const job = await byUid(session, jobUid);
  if (job !== null) return job;
  const [last] = await session.query(
    "SELECT spec FROM job_revisions WHERE job_uid = ? ORDER BY job_uid DESC, revision DESC LIMIT 1",
    [jobUid],
  );
  assert(last !== undefined, "a job that was made is stored or in job_revisions");
  return parseJob(text(last, "spec"));
}

async function byName(session: SqlSession, namespace: string, jobId: string, lock = ""): Promise<Job | null> {
  const sql = `SELECT ${COLUMNS} FROM jobs WHERE namespace = ? AND job_id = ?${lock}`;
  const [row] = await session.query(sql, [namespace, jobId]);
  return row === undefined ? null : jobOf(row);
}

async function byUid(session: SqlSession, jobUid: JobUid): Promise<Job | null> {
  const [row] = await session.query(`SELECT ${COLUMNS} FROM jobs WHERE job_uid = ?`, [jobUid]);
  return row === undefined ? null : jobOf(row);
}

async function writeJob(session: SqlSession, job: Job): Promise<void> {
  const { job_uid: _, ...columns } = jobColumns(job);
  const set = Object.keys(columns).map((column) => `${column} = ?`);
  await session.execute(`UPDATE jobs SET ${set.join(", ")} WHERE job_uid = ?`, [...Object.values(columns), job.jobUid]);
}

async function keepRevision(session: SqlSession, job: Job, nowUs: number): Promise<void> {
  const row = [job.jobUid, job.revision, nowUs, jobText(job)];
  await insertRows(session, "job_revisions", ["job_uid", "revision", "replaced_us", "spec"], [row], "job_uid");
}

/**
 * Rule 7: a changed job may have more room than before, so its gate is tried at once. A gate with another limit than
 * before is made where it is not there: else a submission that makes it now would read the limit that is committed,
 * the old one, and nobody would ever set the new one.
 */
async function openGate(session: SqlSession, before: Job, job: Job, nowUs: number): Promise<void> {
  const key = jobGateKey(job.jobUid);
  const { maxConcurrency } = job.policy;
  if (maxConcurrency !== before.policy.maxConcurrency) await makeGates(session, [key], maxConcurrency);
  await session.execute("UPDATE gates SET max_concurrency = ?, try_us = ? WHERE gate_key = ?", [
    maxConcurrency,
    nowUs,
    key,
  ]);
}

/** True when an update would change nothing; then it raises no revision either. */
function isSameSpec(job: Job, spec: JobSpec): boolean {
  return specText(job) === specText(spec);
}

function specText({ name, description, labels, parameters, target, schedule, policy }: JobSpec): string {
  const ordered = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  const bytes = Buffer.from(target.bytes).toString("base64");
  return JSON.stringify([
    name,
    description,
    ordered,
    parametersText(parameters),
    target.kind,
    target.method,
    bytes,
    scheduleText(schedule),
    policy,
  ]);
}
