/** A database as the system before jobmesh left it: its tables, jobs of each kind, logs in all its states. */
import { createConnection } from "mysql2/promise";

/** The original's tables: their columns, keys and indexes. */
export const ORIGINAL_DDL = {
  jobs: `CREATE TABLE jobs (job_id VARCHAR(64), name VARCHAR(255) NOT NULL, command TEXT NOT NULL,
    type TINYINT NOT NULL, priority INT DEFAULT 0, cron_expression VARCHAR(100) NULL,
    timeout INT DEFAULT 0, retry_count INT DEFAULT 0, retry_interval INT DEFAULT 0,
    create_time DATETIME DEFAULT NOW(), update_time DATETIME DEFAULT NOW() ON UPDATE NOW(), PRIMARY KEY (job_id))`,
  job_logs: `CREATE TABLE job_logs (id BIGINT AUTO_INCREMENT, job_id VARCHAR(64) NOT NULL,
    executor_id VARCHAR(64) NOT NULL, status TINYINT NOT NULL, start_time DATETIME NOT NULL, end_time DATETIME NULL,
    output TEXT NULL, error TEXT NULL, PRIMARY KEY (id), KEY by_job (job_id), KEY by_start (start_time))`,
  executors: `CREATE TABLE executors (executor_id VARCHAR(64), host VARCHAR(255) NOT NULL, port INT NOT NULL,
    status TINYINT NOT NULL, last_heartbeat_time DATETIME NOT NULL, register_time DATETIME NOT NULL,
    PRIMARY KEY (executor_id))`,
} as const;

/** Values of a row in the order of its table's columns. */
type Values = readonly (string | number | null)[];

const MADE = "2024-03-01 08:00:00";
const CHANGED = "2024-03-02 09:30:00";

/** One of the original's jobs: job_id, name, command, type, priority, cron_expression, timeout, retry_count, retry_interval. */
const job = (...values: Values): Values => [...values, MADE, CHANGED];

/** Jobs of the original, of each kind. type: 0 once, 1 periodic. */
export const ORIGINAL_JOBS: readonly Values[] = [
  job("once-done", "Done", "echo done", 0, 0, null, 0, 0, 0),
  job("once-failed", "Failed", "exit 3", 0, 0, null, 0, 0, 0),
  job("once-running", "Running", "sleep 5", 0, 0, null, 0, 0, 0),
  job("once-new", "Not yet", "echo new; echo $JOBMESH_JOB_ID", 0, 7, null, 60, 2, 1),
  job("once-sent", "Sent and never begun", "echo sent", 0, 0, "", 0, 0, 0),
  job("nightly", "Nightly «Büro» 🌙", `printf '%s\\n' "ü 🌙" \\\\`, 1, 5, "30 2 * * *", 30, 2, 5),
  job("each-second", "Six fields", "echo tick", 1, -3, "* * * * * *", 10, 0, 0),
  job("broken", "No cron", "echo never", 1, 0, "every day at noon", 0, 0, 0),
  job("both-days", "Both days", "echo both", 1, 0, "0 0 13 * 5", 0, 0, 0),
  job("no-cron", "Periodic without", "echo nothing", 1, 0, null, 0, 0, 0),
  job("beyond", "", "echo beyond", 1, 2_000_000, "0 * * * *", 2_000_000_000, 5_000, 2_000_000_000),
  job("beneath", "Beneath", "echo beneath", 1, -2_000_000, "0 * * * *", -1, -1, -1),
  job("nulls", "Nulls", "echo nulls", 1, null, "0 0 1 1 *", null, null, null),
  job("type-9", "Another type", "echo nine", 9, 0, null, 0, 0, 0),
];

/** Logs of the original: id, job_id, executor_id, status, start_time, end_time, output, error. */
export const ORIGINAL_LOGS: readonly Values[] = [
  [1, "once-done", "executor-1", 2, "2024-03-01 08:00:01", "2024-03-01 08:00:02", "done\n", ""],
  [
    2,
    "once-failed",
    "executor-1",
    3,
    "2024-03-01 08:00:01",
    "2024-03-01 08:00:04",
    "",
    "Command exited with status 768",
  ],
  [3, "once-running", "executor-2", 1, "2024-03-01 08:00:02", null, null, null],
  [4, "once-sent", "executor-2", 0, "2024-03-01 08:00:02", null, null, null],
  [5, "nightly", "executor-1", 2, "2024-03-02 02:30:00", "2024-03-02 02:30:09", `ü 🌙 "'\\\n\t\u0001`, null],
  [
    6,
    "nightly",
    "executor-2",
    4,
    "2024-03-03 02:30:00",
    "2024-03-03 02:30:30",
    "half",
    `Execution "timeout"\u0001 ü 🌙`,
  ],
  [7, "nightly", "executor-2", 3, "2024-03-04 02:30:00", null, null, null],
  [9, "gone", "host.example:9000", 2, "2023-01-01 00:00:00", "2023-01-01 00:00:01", "of a job that was deleted", null],
  [12, "each-second", "executor-1", 2, "2024-03-05 00:00:00", "2099-01-01 00:00:00", "a clock that was ahead", null],
];

/** Runs a body with a connection that is closed after it. */
export async function withConnection<T>(
  url: string,
  body: (query: (sql: string, values?: unknown[]) => Promise<Record<string, unknown>[]>) => Promise<T>,
): Promise<T> {
  const connection = await createConnection({ uri: url, dateStrings: true, timezone: "Z", charset: "utf8mb4" });
  try {
    return await body(async (sql, values = []) => {
      const [rows] = await connection.query(sql, values);
      return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
    });
  } finally {
    connection.destroy();
  }
}

/** Makes the original's three tables in an empty database, and fills them. */
export async function makeOriginal(
  url: string,
  rows: { readonly jobs?: readonly Values[]; readonly logs?: readonly Values[] } = {},
): Promise<void> {
  const { jobs = ORIGINAL_JOBS, logs = ORIGINAL_LOGS } = rows;
  await withConnection(url, async (query) => {
    for (const ddl of Object.values(ORIGINAL_DDL)) await query(ddl);
    if (jobs.length > 0) await query("INSERT INTO jobs VALUES ?", [jobs]);
    if (logs.length > 0) await query("INSERT INTO job_logs VALUES ?", [logs]);
    await query(`INSERT INTO executors VALUES ('executor-1', '10.0.0.1', 9000, 1, '${CHANGED}', '${MADE}')`);
  });
}
