import type { OutputPiece } from "../../domain/attempt.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { keyText } from "../../domain/identifier.ts";
import type { OutputQuery, OutputStore } from "../../port/store-output.ts";
import { inList } from "./dialect.ts";
import { fenceOf } from "./execution-row.ts";
import { lockExecutions } from "./locked-executions.ts";
import { insertRows } from "./many-rows.ts";
import { OUTPUT_COLUMNS, outputOf, outputValues, streamNumber } from "./output-row.ts";
import { int, text } from "./row-reader.ts";
import type { Row, SqlDatabase, SqlSession, SqlValue } from "./session.ts";
import { valueLists } from "./value-list.ts";

/** Pieces read at once: at most 4 MiB, as a piece has at most 64 KiB. */
const READ_ROWS = 64;

/** Output of attempts on SQL (rule 35). */
export class SqlOutputStore implements OutputStore {
  readonly #database: SqlDatabase;

  constructor(database: SqlDatabase) {
    this.#database = database;
  }

  /** Pieces under a key that never was the store's are dropped (rule 2). */
  async append(pieces: readonly OutputPiece[]): Promise<void> {
    if (pieces.length === 0) return;
    await this.#database.transact("output.append", async (session) => {
      const keys = await storedKeys(session, pieces);
      const rows = pieces
        .filter(({ key }) => keys.has(keyText(key)))
        .toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
        .map(outputValues);
      await insertRows(session, "output_pieces", OUTPUT_COLUMNS, rows, "sequence");
    });
  }

  read(query: OutputQuery): Promise<readonly OutputPiece[]> {
    return this.#read("output.read", query.maxBytes, (session, last) =>
      readRows(session, query, { after: last ?? query.afterSequence, before: null }),
    );
  }

  readBack(query: OutputQuery & { readonly beforeSequence: number }): Promise<readonly OutputPiece[]> {
    return this.#read("output.read_back", query.maxBytes, (session, last) =>
      readRows(session, query, { after: query.afterSequence, before: last ?? query.beforeSequence }),
    );
  }

  completeness(
    executionId: ExecutionId,
    attempt: number,
  ): Promise<{ readonly written: number; readonly stored: number } | null> {
    return this.#database.read("output.completeness", async (session) => {
      const [ended] = await session.query(
        "SELECT output_piece_count FROM job_logs WHERE execution_id = ? AND attempt = ?",
        [executionId, attempt],
      );
      if (ended === undefined) return null;
      const [counted] = await session.query(
        "SELECT COUNT(*) AS stored FROM output_pieces WHERE execution_id = ? AND attempt = ?",
        [executionId, attempt],
      );
      return { written: int(ended, "output_piece_count"), stored: counted === undefined ? 0 : int(counted, "stored") };
    });
  }

  /** Reads READ_ROWS after READ_ROWS, each from the last sequence of those before, until enough bytes are together. */
  #read(
    name: string,
    maxBytes: number,
    readNext: (session: SqlSession, last: number | null) => Promise<readonly OutputPiece[]>,
  ): Promise<readonly OutputPiece[]> {
    return this.#database.read(name, async (session) => {
      const pieces: OutputPiece[] = [];
      let size = 0;
      for (;;) {
        const read = await readNext(session, pieces.at(-1)?.sequence ?? null);
        for (const piece of read) {
          if (pieces.length > 0 && size + piece.data.length > maxBytes) return pieces;
          pieces.push(piece);
          size += piece.data.length;
        }
        if (read.length < READ_ROWS) return pieces;
      }
    });
  }
}

/** Pieces between two sequences: in order, or the last one first where there is an upper bound. */
async function readRows(
  session: SqlSession,
  query: OutputQuery,
  { after, before }: { readonly after: number; readonly before: number | null },
): Promise<OutputPiece[]> {
  const streams: readonly SqlValue[] = query.streams.map(streamNumber);
  const ofStreams = streams.length === 0 ? "" : ` AND stream IN (${inList(streams.length)})`;
  const below = before === null ? "" : " AND sequence < ?";
  const rows = await session.query(
    `SELECT ${OUTPUT_COLUMNS.join(", ")} FROM output_pieces
      WHERE execution_id = ? AND attempt = ? AND sequence > ?${below}${ofStreams}
      ORDER BY sequence${before === null ? "" : " DESC"} LIMIT ${READ_ROWS}`,
    [query.executionId, query.attempt, after, ...(before === null ? [] : [before]), ...streams],
  );
  return rows.map(outputOf);
}

/**
 * Of the keys of these pieces those that are an attempt of the store's: the current one, or one that ended. An
 * execution that goes on cannot be deleted within a transaction, as a retention is longer than one; one that has ended
 * is locked, so that it is not deleted with its output between this look and the insertion.
 */
async function storedKeys(session: SqlSession, pieces: readonly OutputPiece[]): Promise<ReadonlySet<string>> {
  const ids = [...new Set(pieces.map(({ key }) => key.executionId))].sort();
  const there = new Set<string>();
  const ended: string[] = [];
  const current = new Set<string>();
  for (const list of valueLists(ids)) {
    const rows = await session.query(
      `SELECT execution_id, attempt, fence, ended_us FROM executions WHERE execution_id IN (${list.sql}) AND fence IS NOT NULL`,
      list.values,
    );
    for (const row of rows) {
      current.add(keyOfRow(row));
      if (row.ended_us === null) there.add(text(row, "execution_id"));
      else ended.push(text(row, "execution_id"));
    }
  }
  for (const id of await lockEnded(session, ended.sort())) there.add(id);
  if (!pieces.every(({ key }) => current.has(keyText(key)))) {
    for (const list of valueLists([...there])) {
      const rows = await session.query(
        `SELECT execution_id, attempt, fence FROM job_logs WHERE execution_id IN (${list.sql}) AND fence IS NOT NULL`,
        list.values,
      );
      for (const row of rows) current.add(keyOfRow(row));
    }
  }
  const stored = pieces.filter(({ key }) => there.has(key.executionId) && current.has(keyText(key)));
  return new Set(stored.map(({ key }) => keyText(key)));
}

/** Of executions that had ended those that are still there, locked. */
async function lockEnded(session: SqlSession, ids: readonly string[]): Promise<string[]> {
  const rows = await lockExecutions(session, "execution_id", ids);
  return rows.map((row) => text(row, "execution_id"));
}

function keyOfRow(row: Row): string {
  const executionId = text(row, "execution_id") as ExecutionId;
  return keyText({ executionId, attempt: int(row, "attempt"), fence: fenceOf(text(row, "fence")) });
}

/** Order of the primary key, in which rows are locked. */
function orderOf({ key, sequence }: OutputPiece): string {
  return `${key.executionId}/${String(key.attempt).padStart(10, "0")}/${String(sequence).padStart(16, "0")}`;
}
