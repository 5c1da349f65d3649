import type { ExecutionId } from "../../domain/identifier.ts";
import type {
  EndedPlace,
  LeftoverKind,
  LeftoverSweep,
  RetentionStore,
  RetentionSweep,
} from "../../port/store-retention.ts";
import { deleteLabels } from "./execution-labels.ts";
import { StateNumber } from "./execution-row.ts";
import { markDeleted } from "./feed.ts";
import { deleteLeftovers } from "./leftovers.ts";
import { relist } from "./relisting.ts";
import { int, text } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession } from "./session.ts";
import { forgetEnds } from "./unsuccessful-ends.ts";
import { type ValueList, valueLists } from "./value-list.ts";

/**
 * History that has been kept long enough is deleted: output first, piece by
 * piece, then the execution and its job_logs in one transaction, in the order
 * of rule 1. What one batch locks is bounded by rows, as an execution may have
 * thousands of attempts and of pieces. Final states never change, so nothing
 * that is found ended can be wanted again: it holds no gate and no slot.
 *
 * Executions without a retention of their own are found by ended_us; those
 * with one stand in the same index and are passed over, which is why a sweep
 * goes on from where the last one was. The others are found by expire_us.
 */

/** Executions in one batch. */
const MAX_EXECUTIONS = 250;
/** Rows of job_logs in one transaction; an execution that has more by itself is deleted alone. */
const MAX_ATTEMPTS = 1_000;
/** Pieces of output in one transaction: at most 12.5 MiB. */
const MAX_PIECES = 200;

/** History on SQL. */
export class SqlRetentionStore implements RetentionStore {
  readonly #db: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#db = database;
  }

  async deleteEnded(
    endedByUs: number,
    after: EndedPlace | null,
    limit: number,
  ): Promise<RetentionSweep & { readonly place: EndedPlace | null }> {
    const count = Math.min(limit, MAX_EXECUTIONS);
    const fromUs = after?.endedUs ?? 0;
    const rows = await this.#db.read("retention.ended", (session) =>
      session.query(
        `SELECT execution_id, ended_us, expire_us, attempt FROM executions
          WHERE ended_us >= ? AND ended_us <= ? AND (ended_us > ? OR execution_id > ?)
          ORDER BY ended_us, execution_id LIMIT ?`,
        [fromUs, endedByUs, fromUs, after?.executionId ?? "", count],
      ),
    );
    const done = await this.#delete(rows.filter((row) => row.expire_us === null));
    if (done.more) return { ...done, place: after };
    const last = rows.at(-1);
    return { ...done, more: rows.length >= count, place: last === undefined ? after : placeOf(last) };
  }

  async deleteExpired(limit: number): Promise<RetentionSweep> {
    const count = Math.min(limit, MAX_EXECUTIONS);
    const rows = await this.#db.read("retention.expired", async (session) =>
      session.query("SELECT execution_id, attempt FROM executions WHERE expire_us <= ? ORDER BY expire_us LIMIT ?", [
        await session.nowUs(),
        count,
      ]),
    );
    const done = await this.#delete(rows);
    return { ...done, more: done.more || rows.length >= count };
  }

  deleteLeftovers(kind: LeftoverKind, unusedSinceUs: number, after: string | null): Promise<LeftoverSweep> {
    return deleteLeftovers(this.#db, kind, unusedSinceUs, after);
  }

  relist(after: ExecutionId | null): Promise<ExecutionId | null> {
    return relist(this.#db, after);
  }

  /** Deletes the first of these, as many as fit one batch; `more` when others are left. */
  async #delete(rows: readonly Row[]): Promise<RetentionSweep> {
    const batch = firstOf(rows);
    const [ids] = valueLists(batch.map((row) => text(row, "execution_id") as ExecutionId).sort());
    if (ids === undefined) return { deleted: 0, more: false };
    const pieces = await this.#db.transact("retention.output", (session) => deleteOutput(session, ids));
    if (pieces >= MAX_PIECES) return { deleted: 0, more: true };
    const deleted = await this.#db.transact("retention", (session) => deleteExecutions(session, ids.values));
    return deleted === null ? { deleted: 0, more: true } : { deleted, more: batch.length < rows.length };
  }
}

/** As many as have no more attempts together than one transaction may delete; one at least. */
function firstOf(rows: readonly Row[]): readonly Row[] {
  let attempts = 0;
  const end = rows.findIndex((row) => {
    attempts += int(row, "attempt");
    return attempts > MAX_ATTEMPTS;
  });
  return end < 0 ? rows : rows.slice(0, Math.max(end, 1));
}

/** Deletes pieces of output, as many as one transaction may; answers how many. */
function deleteOutput(session: SqlSession, ids: ValueList<string>): Promise<number> {
  const sql = session.dialect.deleteSome("output_pieces", `execution_id IN (${ids.sql})`, MAX_PIECES);
  return session.execute(sql, ids.values);
}

/**
 * Executions by their identifiers, then job_logs (rule 1), then the feed's mark (rule 34); only what has ended. Output
 * that came since it was deleted goes with them: what comes later waits for these locks and finds nothing. Null when too
 * much had come.
 */
async function deleteExecutions(session: SqlSession, ids: readonly ExecutionId[]): Promise<number | null> {
  const [all] = valueLists(ids);
  if (all === undefined) return 0;
  const rows = await session.query(
    `SELECT execution_id, ended_us, state FROM executions WHERE execution_id IN (${all.sql}) AND ended_us IS NOT NULL
      ORDER BY execution_id${session.dialect.forUpdate}`,
    all.values,
  );
  const [ended] = valueLists(rows.map((row) => text(row, "execution_id")));
  if (ended === undefined) return 0;
  if ((await deleteOutput(session, ended)) >= MAX_PIECES) return null;
  await session.execute(`DELETE FROM executions WHERE execution_id IN (${ended.sql})`, ended.values);
  await deleteLabels(session, ended);
  const unsuccessful = rows.filter((row) => int(row, "state") !== StateNumber.SUCCEEDED);
  await forgetEnds(
    session,
    unsuccessful.map((row) => text(row, "execution_id")),
  );
  await session.execute(`DELETE FROM job_logs WHERE execution_id IN (${ended.sql})`, ended.values);
  await markDeleted(session, Math.max(...rows.map((row) => int(row, "ended_us"))));
  return rows.length;
}

function placeOf(row: Row): EndedPlace {
  return { endedUs: int(row, "ended_us"), executionId: text(row, "execution_id") as ExecutionId };
}
