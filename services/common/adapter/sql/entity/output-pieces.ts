import { column, primary, type Table, timeUs, uuid } from "./column.ts";

/** Output of attempts (rule 35). */
export const outputPieces: Table = {
  name: "output_pieces",
  columns: {
    execution_id: primary(uuid),
    attempt: primary(column("int")),
    sequence: primary(column("bigint")),
    fence: column("char", 16),
    stream: column("tinyint"),
    data: column("blob"),
    time_us: timeUs,
    dropped_bytes: column("bigint"),
    level: column("tinyint"),
    fields_json: column("text"),
    span_id: column("ascii", 16),
  },
  indexes: [],
};
