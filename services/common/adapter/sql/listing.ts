import type { Execution, ExecutionState } from "../../domain/execution.ts";
import { EXECUTION_ID_PATTERN } from "../../domain/execution-id.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import type { Clock } from "../../port/clock.ts";
import { type Page, PageTokenFault } from "../../port/store.ts";
import type { ExecutionFilter, StateOf } from "../../port/store-executions.ts";
import { executionOf, FULL_COLUMNS, LISTED_COLUMNS, stateOf } from "./execution-row.ts";
import { parseParameters } from "./execution-text.ts";
import { filterOf, type SqlFilter } from "./listing-filter.ts";
import { type Source, sourceOf, sourceParts } from "./listing-source.ts";
import { LIVE_PART_COUNT, liveExecutions } from "./live-executions.ts";
import { pageToken, parsePageToken } from "./page-token.ts";
import { int, text, textOrNull } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";
import { valueLists } from "./value-list.ts";

/**
 * Lists of executions. An execution_id begins with its nominal time, so that
 * "newest nominal time first" is the primary key backwards, and a page's token
 * is the last identifier that it looked at, whatever index it was found by (see
 * listing-source.ts). A filter that few match does not read the whole history
 * for one page: a page ends after MAX_SCANNED_ROWS, perhaps short, and its token
 * goes on.
 */

/** Rows that one page, or one part of a count, looks at: a few milliseconds. */
const MAX_SCANNED_ROWS = 5_000;
/** Rows that a count looks at, the newest first. */
const MAX_COUNTED_ROWS = 500_000;
/** Largest page. */
const MAX_PAGE_SIZE = 1_000;
/** A page ends at about this many bytes of targets, results and parameters (rule 28). */
const MAX_PAGE_BYTES = 1024 * 1024;

/** One execution, whole. */
export function getExecution(db: SqlDatabase, executionId: ExecutionId): Promise<Execution | null> {
  return db.read("get_execution", async (session) => {
    const [row] = await session.query(`SELECT ${FULL_COLUMNS} FROM executions WHERE execution_id = ?`, [executionId]);
    return row === undefined ? null : executionOf(row);
  });
}

/** States of executions; unknown ones are left out. */
export function states(db: SqlDatabase, ids: readonly ExecutionId[]): Promise<StateOf[]> {
  return db.read("states", async (session) => {
    const found: StateOf[] = [];
    for (const list of valueLists([...new Set(ids)])) {
      const rows = await session.query(
        `SELECT execution_id, state FROM executions WHERE execution_id IN (${list.sql})`,
        list.values,
      );
      for (const row of rows) {
        found.push({ executionId: text(row, "execution_id") as ExecutionId, state: stateOf(int(row, "state")) });
      }
    }
    return found;
  });
}

/** A page of what a filter matches, newest nominal time first. */
export function listExecutions(
  db: SqlDatabase,
  filter: ExecutionFilter,
  pageSize: number,
  token: string | null,
  full: boolean,
): Promise<Page<Execution>> {
  const size = Math.min(Math.max(pageSize, 1), MAX_PAGE_SIZE);
  return db.read("list_executions", async (session): Promise<Page<Execution>> => {
    const where = filterOf(filter, token === null ? null : placeOf(token));
    const source = await sourceOf(session, filter);
    const { rows, end } =
      source === null ? await scan(session, where, size) : await scanSource(session, source, where, size);
    const page = rows.slice(0, size);
    const shown = full ? await withBytes(session, page.map(executionOf)) : await withParameters(session, page);
    const next = shown.length === rows.length ? end : (shown.at(-1)?.executionId ?? end);
    return { items: shown, nextToken: next === null ? null : pageToken([next]) };
  });
}

/** Rows of a page, one more than it takes when there are as many; `end` is where one goes on that looks for more. */
type Scan = { readonly rows: readonly Row[]; readonly end: string | null };

/** By the primary key or the index of a job, backwards. */
async function scan(session: SqlSession, where: SqlFilter, size: number): Promise<Scan> {
  const floor = where.isSelective ? await floorOf(session, where, MAX_SCANNED_ROWS) : null;
  const rows = await session.query(
    `SELECT ${LISTED_COLUMNS} FROM executions${whereText(downTo(where, floor))} ORDER BY execution_id DESC LIMIT ?`,
    [...where.values, ...(floor === null ? [] : [floor]), size + 1],
  );
  return { rows, end: floor };
}

/** By the indexes of a source. */
async function scanSource(session: SqlSession, source: Source, where: SqlFilter, size: number): Promise<Scan> {
  const rows: Row[] = [];
  let scanned = 0;
  for await (const { ids, count, last } of sourceParts(session, source, where, MAX_SCANNED_ROWS)) {
    const conditions = [`execution_id IN (${ids.sql})`, ...where.conditions];
    const found = await session.query(
      `SELECT ${LISTED_COLUMNS} FROM executions${whereText(conditions)} ORDER BY execution_id DESC LIMIT ?`,
      [...ids.values, ...where.values, size + 1 - rows.length],
    );
    rows.push(...found);
    scanned += count;
    if (rows.length > size) return { rows, end: null };
    if (scanned >= MAX_SCANNED_ROWS) return { rows, end: last };
  }
  return { rows, end: null };
}

/** Executions with their parameters, as many of them as fit a page (rule 28); more are not read. */
async function withParameters(session: SqlSession, rows: readonly Row[]): Promise<readonly Execution[]> {
  const items = rows.map(executionOf);
  const sizes = new Map<string, number>();
  for (const row of rows) {
    if (row.parameters_size !== null) sizes.set(text(row, "execution_id"), int(row, "parameters_size"));
  }
  if (sizes.size === 0) return items;
  const shown = fitting(items, ({ executionId }) => sizes.get(executionId) ?? 0);
  const ids = shown.map(({ executionId }) => executionId).filter((id) => sizes.has(id));
  const parameters = new Map<string, Execution["parameters"]>();
  for (const list of valueLists(ids)) {
    const found = await session.query(
      `SELECT execution_id, parameters FROM executions WHERE execution_id IN (${list.sql})`,
      list.values,
    );
    for (const row of found) parameters.set(text(row, "execution_id"), parseParameters(textOrNull(row, "parameters")));
  }
  return shown.map((item) => ({ ...item, parameters: parameters.get(item.executionId) ?? null }));
}

/** The same with targets and results, as many of them as fit a page (rule 28); more are not read. */
async function withBytes(session: SqlSession, items: readonly Execution[]): Promise<readonly Execution[]> {
  const ids = items.map(({ executionId }) => executionId);
  const sizes = new Map<string, number>();
  for (const list of valueLists(ids)) {
    const rows = await session.query(
      `SELECT execution_id, LENGTH(target) + COALESCE(LENGTH(result), 0) + COALESCE(LENGTH(parameters), 0) AS size
         FROM executions
        WHERE execution_id IN (${list.sql})`,
      list.values,
    );
    for (const row of rows) sizes.set(text(row, "execution_id"), int(row, "size"));
  }
  const whole = new Map<string, Execution>();
  const shown = fitting(items, ({ executionId }) => sizes.get(executionId) ?? 0);
  for (const list of valueLists(shown.map(({ executionId }) => executionId))) {
    const rows = await session.query(
      `SELECT ${FULL_COLUMNS} FROM executions WHERE execution_id IN (${list.sql})`,
      list.values,
    );
    for (const row of rows) whole.set(text(row, "execution_id"), executionOf(row));
  }
  // One that retention has deleted meanwhile is shown as it was read, without its bytes.
  return shown.map((item) => whole.get(item.executionId) ?? item);
}

/** The identifier that a token names. Throws PageTokenFault, for a token of another list too. */
function placeOf(token: string): string {
  const [executionId] = parsePageToken(token, ["string"]);
  if (EXECUTION_ID_PATTERN.test(executionId)) return executionId;
  throw new PageTokenFault("the page token is not one that the list of executions gave");
}

/**
 * How many a filter matches, by state; of a long history the newest
 * MAX_COUNTED_ROWS are looked at. They are read in parts, each a read of its
 * own, as SQLite blocks its process for as long as a read takes.
 */
export async function countExecutions(
  db: SqlDatabase,
  clock: Clock,
  filter: ExecutionFilter,
): Promise<{ readonly state: ExecutionState; readonly count: number }[]> {
  const counts = new Map<number, number>();
  let before: ExecutionId | null = null;
  for (let scanned = 0; scanned < MAX_COUNTED_ROWS; scanned += MAX_SCANNED_ROWS) {
    const part = await db.read("count_executions", (session) => countPart(session, filter, before));
    for (const row of part.rows) {
      const state = int(row, "state");
      counts.set(state, (counts.get(state) ?? 0) + int(row, "found"));
    }
    before = part.floor;
    if (before === null) break;
    await clock.sleep(0);
  }
  return [...counts].sort(([a], [b]) => a - b).map(([state, count]) => ({ state: stateOf(state), count }));
}

async function countPart(
  session: SqlSession,
  filter: ExecutionFilter,
  before: ExecutionId | null,
): Promise<{ readonly rows: readonly Row[]; readonly floor: ExecutionId | null }> {
  const where = filterOf(filter, before);
  const source = await sourceOf(session, filter);
  if (source !== null) return await countSource(session, source, where);
  const floor = await floorOf(session, where, MAX_SCANNED_ROWS);
  const rows = await session.query(
    `SELECT state, COUNT(*) AS found FROM executions${whereText(downTo(where, floor))} GROUP BY state`,
    [...where.values, ...(floor === null ? [] : [floor])],
  );
  return { rows, floor };
}

async function countSource(session: SqlSession, source: Source, where: SqlFilter): ReturnType<typeof countPart> {
  const rows: Row[] = [];
  let scanned = 0;
  for await (const { ids, count, last } of sourceParts(session, source, where, MAX_SCANNED_ROWS)) {
    const conditions = [`execution_id IN (${ids.sql})`, ...where.conditions];
    rows.push(
      ...(await session.query(
        `SELECT state, COUNT(*) AS found FROM executions${whereText(conditions)} GROUP BY state`,
        [...ids.values, ...where.values],
      )),
    );
    scanned += count;
    if (scanned >= MAX_SCANNED_ROWS) return { rows, floor: last };
  }
  return { rows, floor: null };
}

/** Executions of a job that have not ended. */
export function liveOfJob(db: SqlDatabase, namespace: string, jobId: string, limit: number): Promise<ExecutionId[]> {
  return db.read("live_of_job", async (session) => {
    const live = liveExecutions(session.dialect, "execution_id", "namespace = ? AND job_id = ?");
    const names = Array.from({ length: LIVE_PART_COUNT }, () => [namespace, jobId]).flat();
    const rows = await session.query(`SELECT execution_id FROM (${live}) live LIMIT ?`, [...names, limit]);
    return rows.map((row) => text(row, "execution_id") as ExecutionId);
  });
}

/** The identifier `scanned` rows behind the start of the list; null when there are fewer. By an index alone. */
async function floorOf(session: SqlSession, where: SqlFilter, scanned: number): Promise<ExecutionId | null> {
  const [row] = await session.query(
    `SELECT execution_id FROM executions${whereText(where.indexed)} ORDER BY execution_id DESC LIMIT 1 OFFSET ?`,
    [...where.indexedValues, scanned - 1],
  );
  return row === undefined ? null : (text(row, "execution_id") as ExecutionId);
}

function downTo(where: SqlFilter, floor: ExecutionId | null): readonly string[] {
  return floor === null ? where.conditions : [...where.conditions, "execution_id >= ?"];
}

function whereText(conditions: readonly string[]): string {
  return conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
}

/** Rule 28: as many as fit a page's bytes, at least one. */
function fitting(items: readonly Execution[], sizeOf: (item: Execution) => number): readonly Execution[] {
  let bytes = 0;
  const end = items.findIndex((item, index) => {
    bytes += sizeOf(item);
    return index > 0 && bytes > MAX_PAGE_BYTES;
  });
  return end === -1 ? items : items.slice(0, end);
}
