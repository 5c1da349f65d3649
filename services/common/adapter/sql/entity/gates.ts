import { column, noTimeUs, nullable, primary, sparse, type Table } from "./column.ts";

/** Gates of jobs and limits (rule 7). */
export const gates: Table = {
  name: "gates",
  columns: {
    gate_key: primary(column("varchar", 255)),
    held: column("int"),
    waiting: column("int"),
    tokens: nullable(column("double")),
    refill_us: noTimeUs,
    try_us: noTimeUs,
    /** 0 for no limit. */
    max_concurrency: column("int"),
    overlap: column("tinyint"),
  },
  indexes: [sparse("ix_gates_try", "try_us")],
};
