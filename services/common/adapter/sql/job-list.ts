import type { Job } from "../../domain/job.ts";
import { parametersSize } from "../../domain/parameter.ts";
import type { Page } from "../../port/store.ts";
import type { JobFilter } from "../../port/store-jobs.ts";
import { JOB_COLUMNS, jobOf } from "./job-row.ts";
import { hasLabel } from "./label-condition.ts";
import { pageToken, parsePageToken } from "./page-token.ts";
import type { SqlSession, SqlValue } from "./session.ts";

/** A page ends at about this many bytes (rule 28), after at least one job. */
const MAX_PAGE_BYTES = 1024 * 1024;
/** Rows that are read at once, so that big jobs are not all read for a page that they end. */
const READ_ROWS = 100;

type Condition = { readonly sql: string; readonly params: readonly SqlValue[] };

/** A page of jobs in order of namespace and job_id; the token is the last job's name. */
export async function listJobs(
  session: SqlSession,
  filter: JobFilter,
  pageSize: number,
  token: string | null,
): Promise<Page<Job>> {
  const items: Job[] = [];
  const conditions = filterConditions(filter);
  let size = 0;
  let place: readonly [string, string] | null = token === null ? null : parsePageToken(token, ["string", "string"]);
  for (;;) {
    const wanted = Math.min(READ_ROWS, pageSize + 1 - items.length);
    const rows = await readAfter(session, conditions, filter.namespace, place, wanted);
    for (const job of rows) {
      const texts = job.description.length + job.target.summary.length + parametersSize(job.parameters);
      const jobSize = job.target.bytes.length + texts + 1_024;
      if (items.length === pageSize || (items.length > 0 && size + jobSize > MAX_PAGE_BYTES)) {
        return { items, nextToken: place === null ? null : pageToken(place) };
      }
      items.push(job);
      size += jobSize;
      place = [job.namespace, job.jobId];
    }
    if (rows.length < wanted) return { items, nextToken: null };
  }
}

async function readAfter(
  session: SqlSession,
  filters: readonly Condition[],
  namespace: string | null,
  place: readonly [string, string] | null,
  limit: number,
): Promise<Job[]> {
  const conditions = place === null ? filters : [...filters, after(namespace, place)];
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.map(({ sql }) => sql).join(" AND ")}`;
  const rows = await session.query(
    `SELECT ${JOB_COLUMNS.join(", ")} FROM jobs ${where} ORDER BY namespace, job_id LIMIT ?`,
    [...conditions.flatMap(({ params }) => params), limit],
  );
  return rows.map(jobOf);
}

/** What follows a place in the order of the unique index. */
function after(namespace: string | null, [placeNamespace, jobId]: readonly [string, string]): Condition {
  if (namespace !== null) return { sql: "job_id > ?", params: [jobId] };
  // Written out, as MySQL reads the whole index for (a, b) > (?, ?).
  const sql = "(namespace > ? OR (namespace = ? AND job_id > ?))";
  return { sql, params: [placeNamespace, placeNamespace, jobId] };
}

function filterConditions(filter: JobFilter): Condition[] {
  const conditions: Condition[] = [];
  if (filter.namespace !== null) conditions.push({ sql: "namespace = ?", params: [filter.namespace] });
  if (filter.jobIdPrefix !== "") {
    // A range and not LIKE, to which "_" is any character; "~" sorts after all that an identifier has.
    conditions.push({ sql: "job_id >= ? AND job_id < ?", params: [filter.jobIdPrefix, `${filter.jobIdPrefix}~`] });
  }
  if (filter.paused !== null) conditions.push({ sql: "paused = ?", params: [filter.paused ? 1 : 0] });
  if (filter.handlerMethod !== "") {
    conditions.push({ sql: "target_kind = 2 AND target_method = ?", params: [filter.handlerMethod] });
  }
  for (const [key, value] of Object.entries(filter.labels)) {
    const { sql, values } = hasLabel(key, value);
    conditions.push({ sql, params: values });
  }
  return conditions;
}
