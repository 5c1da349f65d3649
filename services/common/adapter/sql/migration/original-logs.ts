import { FailureCode } from "../../../domain/failure.ts";
import { claimRank, defaultPolicy } from "../../../domain/policy.ts";
import { routeIdOf, routeOf, routeText } from "../../../domain/route.ts";
import { NO_COMMAND_BYTES } from "../../../domain/target.ts";
import { ORIGINAL_STATES } from "../adopted-attempt.ts";
import type { Table } from "../entity/column.ts";
import { executions } from "../entity/executions.ts";
import { jobLogs } from "../entity/job-logs.ts";
import { outputPieces } from "../entity/output-pieces.ts";
import { unsuccessfulEnds } from "../entity/unsuccessful-ends.ts";
import { MAX_MESSAGE_CHARS, MAX_SUMMARY_CHARS } from "../execution-insert.ts";
import { causeNumber, overlapNumber, reasonNumber, stateNumber } from "../execution-row.ts";
import { streamNumber } from "../output-row.ts";
import { ADOPTED_NAMESPACE } from "./original-job.ts";
import { KEPT_LOGS, type TableShape } from "./original-tables.ts";
import type { OriginalTime } from "./original-time.ts";

/**
 * A log of the original as an execution of one attempt, made inside the
 * server. The execution's identifier follows from the log's id and start, as
 * that of a fire follows from its job and nominal time: an adoption that was
 * cut off makes the same again, and lists are in the order of the starts.
 */

/** How long adopted history is kept, microseconds from its adoption: a year. */
const ADOPTED_RETENTION_US = 365 * 86_400_000_000;
/** Incarnation of the executors that ran them. */
const INCARNATION = "original";
/** Characters of an error in a failure; JSON's escapes then still fit a TEXT column. */
const MAX_FAILURE_CHARS = 8_192;
/** Bytes of one piece of output. */
const MAX_PIECE_BYTES = 65_536;
/** A Target that is a command without a line, for logs whose job is gone. */
const NO_COMMAND = `x'${Buffer.from(NO_COMMAND_BYTES).toString("hex").toUpperCase()}'`;
const LOST_MESSAGE = "the system that ran it was replaced before it said how it ended";

/** Text of the route of all that is adopted. */
export const ADOPTED_ROUTE = routeText(
  routeOf({ target: { kind: "command", method: "" }, namespace: ADOPTED_NAMESPACE, policy: defaultPolicy }),
);

type Values = Readonly<Record<string, string>>;

/** Statements that each copy the logs with `id > ? AND id <= ?`, in the order in which they are to run. */
export function copyLogsSql(logs: TableShape, time: OriginalTime): readonly string[] {
  const source = sourceSql(logs, time);
  return [
    copySql(executions, executionValues, source),
    copySql(unsuccessfulEnds, { execution_id: "l.execution_id", ...end }, `${source} WHERE l.state <> ${SUCCEEDED}`),
    copySql(jobLogs, logValues, source),
    copySql(outputPieces, pieceValues, `${source} WHERE l.output <> ''`),
  ];
}

/** The logs with what all their rows are made of, beside their jobs. */
function sourceSql(logs: TableShape, time: OriginalTime): string {
  const us = (column: string) => time.microseconds(`o.${column}`, logs.get(column) ?? "");
  const datetime = (column: string) => time.datetime(`o.${column}`, logs.get(column) ?? "");
  const state = `ELT(o.status + 1, ${ORIGINAL_STATES.map(stateNumber).join(", ")})`;
  const row = `SELECT o.id, CONVERT(o.job_id USING ascii) COLLATE ascii_bin AS job_id,
      CONVERT(o.executor_id USING ascii) AS executor_id, o.status, CAST(${state} AS SIGNED) AS state,
      ${datetime("start_time")} AS start_time, ${datetime("end_time")} AS end_time,
      COALESCE(${us("start_time")}, ${us("end_time")}, 0) AS start_us,
      COALESCE(${us("end_time")}, ${us("start_time")}, 0) AS end_us,
      COALESCE(CONVERT(o.output USING utf8mb4), '') AS output, COALESCE(CONVERT(o.error USING utf8mb4), '') AS error,
      SHA2(CONCAT('original\\n', o.id), 256) AS hash
    FROM ${KEPT_LOGS} AS o WHERE o.id > ? AND o.id <= ?`;
  return `FROM (SELECT r.*, ${idSql("r")} AS execution_id FROM (${row}) AS r) AS l
    LEFT JOIN jobs AS j ON j.namespace = '${ADOPTED_NAMESPACE}' AND j.job_id = l.job_id`;
}

/** A UUIDv8: 48 bits of milliseconds and a hash. */
function idSql(row: string): string {
  const hash = (from: number, length: number) => `SUBSTR(${row}.hash, ${from}, ${length})`;
  const stamp = `LPAD(LOWER(HEX(${row}.start_us DIV 1000)), 12, '0')`;
  const variant = `ELT(1 + CONV(${hash(4, 1)}, 16, 10) % 4, '8', '9', 'a', 'b')`;
  return `CONCAT(SUBSTR(${stamp}, 1, 8), '-', SUBSTR(${stamp}, 9, 4), '-8', ${hash(1, 3)}, '-', ${variant}, ${hash(5, 3)}, '-', ${hash(8, 12)})`;
}

/** INSERT … SELECT of a table. What `values` does not name is NULL where it may be, else 0 or empty. */
function copySql(table: Table, values: Values, source: string): string {
  const columns = Object.keys(table.columns).filter((name) => !table.columns[name]?.nullable || name in values);
  const selected = columns.map((name) => values[name] ?? emptyOf(table, name));
  return `INSERT INTO ${table.name} (${columns.join(", ")}) SELECT ${selected.join(", ")} ${source}`;
}

function emptyOf(table: Table, name: string): string {
  const kind = table.columns[name]?.kind ?? "";
  return ["bigint", "int", "smallint", "tinyint", "double"].includes(kind) ? "0" : "''";
}

const { SUCCEEDED, FAILED, TIMED_OUT, LOST } = {
  SUCCEEDED: stateNumber("SUCCEEDED"),
  FAILED: stateNumber("FAILED"),
  TIMED_OUT: stateNumber("TIMED_OUT"),
  LOST: stateNumber("LOST"),
};

const message = `IF(l.state = ${LOST}, '${LOST_MESSAGE}', l.error)`;
const failure = `CASE l.state WHEN ${SUCCEEDED} THEN NULL
  WHEN ${FAILED} THEN ${failureSql(FailureCode.UNKNOWN, "")}
  WHEN ${TIMED_OUT} THEN ${failureSql(FailureCode.DEADLINE_EXCEEDED, "TIMEOUT")}
  ELSE ${failureSql(FailureCode.UNAVAILABLE, "EXECUTOR_LOST")} END`;

function failureSql(code: number, reason: string): string {
  return `JSON_OBJECT('code', ${code}, 'message', LEFT(${message}, ${MAX_FAILURE_CHARS}), 'reason', '${reason}')`;
}

/** What an attempt is told by, in its execution and in its own row. */
const attempt: Values = {
  execution_id: "l.execution_id",
  attempt: "1",
  fence: "SUBSTR(l.hash, 20, 16)",
};

/** How it ended. */
const end: Values = {
  namespace: `'${ADOPTED_NAMESPACE}'`,
  job_id: "l.job_id",
  state: "l.state",
  state_reason: `CASE l.state WHEN ${FAILED} THEN ${reasonNumber("TARGET_FAILED")} WHEN ${TIMED_OUT} THEN ${reasonNumber("TIMEOUT")}
    WHEN ${LOST} THEN ${reasonNumber("EXECUTOR_LOST")} ELSE 0 END`,
};

const executionValues: Values = {
  ...attempt,
  ...end,
  job_uid: "j.job_uid",
  job_revision: "IF(j.job_uid IS NULL, 0, 1)",
  name: "COALESCE(j.name, CONVERT(l.job_id USING utf8mb4))",
  // jobs.type: what was periodic was made by its schedule.
  cause: `IF(j.type = 1, ${causeNumber("SCHEDULE")}, ${causeNumber("RUN_JOB")})`,
  state_message: `IF(l.state = ${SUCCEEDED}, '', LEFT(${message}, ${MAX_MESSAGE_CHARS}))`,
  target_kind: "1",
  target_summary: `LEFT(COALESCE(j.command, ''), ${MAX_SUMMARY_CHARS})`,
  target: `COALESCE(j.target, ${NO_COMMAND})`,
  policy: "COALESCE(j.policy, '')",
  route_id: String(routeIdOf(ADOPTED_ROUTE)),
  claim_rank: `${claimRank(0)} - COALESCE(j.priority, 0)`,
  scheduled_us: "l.start_us DIV 1000 * 1000",
  ready_us: "l.start_us",
  shard: "CONV(RIGHT(l.execution_id, 2), 16, 10)",
  overlap: String(overlapNumber("SKIP")),
  executor_id: "l.executor_id",
  incarnation: `'${INCARNATION}'`,
  dispatch_us: "l.start_us",
  start_us: "l.start_us",
  attempt_start_us: "l.start_us",
  // Readers of what ends now are not to be led into the future.
  ended_us: "LEAST(l.end_us, CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED))",
  // It ended long ago by most retentions: counted from now, and by its own, it does not go as soon as it is there.
  expire_us: `CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED) + ${ADOPTED_RETENTION_US}`,
  create_us: "l.start_us",
  counted_attempts: `IF(l.state = ${LOST}, 0, 1)`,
  loss_count: `IF(l.state = ${LOST}, 1, 0)`,
  timeout_ms: `COALESCE(j.timeout * 1000, ${defaultPolicy.timeoutMs})`,
  failure,
  change_number: "1",
};

const logValues: Values = {
  ...attempt,
  id: "l.id",
  job_id: "l.job_id",
  executor_id: "l.executor_id",
  // As it was: see adopted-attempt.ts.
  status: "l.status",
  start_time: "l.start_time",
  end_time: "l.end_time",
  output: "l.output",
  error: "l.error",
  incarnation: `'${INCARNATION}'`,
  dispatch_us: "l.start_us",
  start_us: "l.start_us",
  end_us: "l.end_us",
  failure,
  counted: `IF(l.state = ${LOST}, 0, 1)`,
  output_piece_count: "IF(l.output <> '', 1, 0)",
};

/** Its output as one piece, which ReadLogs gives; of a longer one the end. */
const pieceValues: Values = {
  ...attempt,
  sequence: "1",
  stream: String(streamNumber("STDOUT")),
  data: `RIGHT(CAST(l.output AS BINARY), ${MAX_PIECE_BYTES})`,
  time_us: "l.end_us",
  dropped_bytes: `GREATEST(LENGTH(l.output) - ${MAX_PIECE_BYTES}, 0)`,
};
