import { column, identifier, index, noTimeUs, primary, type Table, timeUs } from "./column.ts";

/** Incarnations of executors (rule 14). */
export const executors: Table = {
  name: "executors",
  columns: {
    executor_id: primary(identifier),
    incarnation: primary(identifier),
    session_number: column("bigint"),
    home: identifier,
    registered_us: timeUs,
    heard_us: timeUs,
    lost_us: noTimeUs,
    left_us: noTimeUs,
    slots: column("int"),
    free_slots: column("int"),
    /** JSON of what Hello said. */
    profile: column("mediumtext"),
    draining: column("tinyint"),
    cpu_load: column("double"),
    memory_bytes: column("bigint"),
    /** When the grace of its drain ends; NULL while it was not asked to drain. */
    drain_us: noTimeUs,
  },
  indexes: [index("ix_executors_home", "home")],
};
