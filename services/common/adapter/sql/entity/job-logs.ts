import { column, identifier, index, noTimeUs, nullable, primary, type Table, timeUs, unique, uuid } from "./column.ts";

/** Attempts that have ended. The first eight columns are those that readers of the old tables know. */
export const jobLogs: Table = {
  name: "job_logs",
  columns: {
    id: { ...primary(column("bigint")), generated: true },
    /** "" when there is no job. */
    job_id: identifier,
    executor_id: identifier,
    /** The attempt's state; of rows that were adopted the original's number (adopted-attempt.ts). */
    status: column("tinyint"),
    start_time: nullable(column("datetime")),
    end_time: nullable(column("datetime")),
    output: column("mediumtext"),
    /** The failure's text, else the end of standard error. */
    error: column("mediumtext"),
    execution_id: uuid,
    attempt: column("int"),
    fence: column("char", 16),
    incarnation: identifier,
    dispatch_us: timeUs,
    start_us: noTimeUs,
    end_us: timeUs,
    exit_code: nullable(column("int")),
    error_output: column("mediumtext"),
    /** JSON. */
    failure: nullable(column("text")),
    counted: column("tinyint"),
    /** 0 for none. */
    return_reason: column("tinyint"),
    output_piece_count: column("bigint"),
  },
  indexes: [
    unique("ux_job_logs_attempt", "execution_id", "attempt"),
    index("ix_job_logs_job", "job_id"),
    index("ix_job_logs_start", "start_time"),
  ],
};
