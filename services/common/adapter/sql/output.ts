import type { OutputPiece, OutputStream } from "../../domain/attempt.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { keyText } from "../../domain/identifier.ts";
import type { OutputStore } from "../../port/store-output.ts";
import { fenceOf } from "./execution-row.ts";
import { insertRows } from "./many-rows.ts";
import { OUTPUT_COLUMNS, outputOf, outputValues, streamNumber } from "./output-row.ts";
import { int, text } from "./row-reader.ts";
import type { SqlDatabase, SqlSession, SqlValue } from "./session.ts";
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

  read(query: {
    readonly executionId: ExecutionId;
    readonly attempt: number;
    readonly afterSequence: number;
    readonly streams: readonly OutputStream[];
    readonly maxBytes: number;
  }): Promise<readonly OutputPiece[]> {
    return this.#database.read("output.read", async (session) => {
      const pieces: OutputPiece[] = [];
      let size = 0;
      let after = query.afterSequence;
      for (;;) {
        const read = await readAfter(session, query, after);
        for (const piece of read) {
          if (pieces.length > 0 && size + piece.data.length > query.maxBytes) return pieces;
          pieces.push(piece);
          size += piece.data.length;
          after = piece.sequence;
        }
        if (read.length < READ_ROWS) return pieces;
      }
    });
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
}

async function readAfter(
  session: SqlSession,
  query: { executionId: ExecutionId; attempt: number; streams: readonly OutputStream[] },
  after: number,
): Promise<OutputPiece[]> {
  const streams: readonly SqlValue[] = query.streams.map(streamNumber);
  const ofStreams = streams.length === 0 ? "" : ` AND stream IN (${streams.map(() => "?").join(", ")})`;
  const rows = await session.query(
    `SELECT ${OUTPUT_COLUMNS.join(", ")} FROM output_pieces
      WHERE execution_id = ? AND attempt = ? AND sequence > ?${ofStreams} ORDER BY sequence LIMIT ${READ_ROWS}`,
    [query.executionId, query.attempt, after, ...streams],
  );
  return rows.map(outputOf);
}

/** Of the keys of these pieces those that are an attempt of the store's: the current one, or one that ended. */
async function storedKeys(session: SqlSession, pieces: readonly OutputPiece[]): Promise<ReadonlySet<string>> {
  const stored = new Set<string>();
  const ids = [...new Set(pieces.map(({ key }) => key.executionId))];
  for (const table of ["executions", "job_logs"]) {
    for (const list of valueLists(ids)) {
      const rows = await session.query(
        `SELECT execution_id, attempt, fence FROM ${table} WHERE execution_id IN (${list.sql}) AND fence IS NOT NULL`,
        list.values,
      );
      for (const row of rows) {
        const executionId = text(row, "execution_id") as ExecutionId;
        stored.add(keyText({ executionId, attempt: int(row, "attempt"), fence: fenceOf(text(row, "fence")) }));
      }
    }
    if (pieces.every(({ key }) => stored.has(keyText(key)))) break;
  }
  return stored;
}

/** Order of the primary key, in which rows are locked. */
function orderOf({ key, sequence }: OutputPiece): string {
  return `${key.executionId}/${String(key.attempt).padStart(10, "0")}/${String(sequence).padStart(16, "0")}`;
}
