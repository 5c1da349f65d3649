import { assert } from "../../domain/assert.ts";
import type { OutputLevel, OutputPiece, OutputStream } from "../../domain/attempt.ts";
import type { ExecutionId } from "../../domain/identifier.ts";
import { storableText } from "../../domain/storable-text.ts";
import { fenceOf, fenceText } from "./execution-row.ts";
import { bytes, int, text } from "./row-reader.ts";
import type { Row, SqlValue } from "./session.ts";

/** How a piece of output stands in its row. */

const STREAMS: readonly (OutputStream | "")[] = ["", "STDOUT", "STDERR", "HANDLER"];
const LEVELS: readonly OutputLevel[] = ["UNSPECIFIED", "DEBUG", "INFO", "WARN", "ERROR"];
/** At most this many characters of a handler's fields, which fit a TEXT column; longer ones are left out whole. */
const MAX_FIELDS_CHARS = 16_000;

/** Columns of a piece. */
export const OUTPUT_COLUMNS = [
  "execution_id",
  "attempt",
  "sequence",
  "fence",
  "stream",
  "data",
  "time_us",
  "dropped_bytes",
  "level",
  "fields_json",
  "span_id",
] as const;

/** The values of OUTPUT_COLUMNS. */
export function outputValues(piece: OutputPiece): readonly SqlValue[] {
  const fits = piece.fieldsJson.length <= MAX_FIELDS_CHARS;
  return [
    piece.key.executionId,
    piece.key.attempt,
    piece.sequence,
    fenceText(piece.key.fence),
    streamNumber(piece.stream),
    piece.data,
    piece.timeUs,
    piece.droppedBytes,
    LEVELS.indexOf(piece.level),
    fits ? storableText(piece.fieldsJson, MAX_FIELDS_CHARS) : "",
    piece.spanId,
  ];
}

/** The piece of a row with OUTPUT_COLUMNS. */
export function outputOf(row: Row): OutputPiece {
  const stream = STREAMS[int(row, "stream")];
  const level = LEVELS[int(row, "level")];
  assert(stream !== undefined && stream !== "", "unknown stream");
  assert(level !== undefined, "unknown level");
  return {
    key: {
      executionId: text(row, "execution_id") as ExecutionId,
      attempt: int(row, "attempt"),
      fence: fenceOf(text(row, "fence")),
    },
    stream,
    sequence: int(row, "sequence"),
    data: bytes(row, "data"),
    timeUs: int(row, "time_us"),
    droppedBytes: int(row, "dropped_bytes"),
    level,
    fieldsJson: text(row, "fields_json"),
    spanId: text(row, "span_id"),
  };
}

/** Number of a stream. */
export function streamNumber(stream: OutputStream): number {
  return STREAMS.indexOf(stream);
}
