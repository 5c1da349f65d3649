/** What a commit changes, row by row, told by triggers of the simulation's own connection. */
import type { SqliteHandle } from "../../services/common/adapter/sqlite/handle.ts";

/** A row that a commit has changed, as the triggers tell it. */
export type RowChange = {
  readonly table: keyof typeof WATCHED;
  readonly before: ChangedRow | null;
  readonly after: ChangedRow | null;
};
/** The columns that judges look at. */
export type ChangedRow = Readonly<Record<string, string | number | null>>;

/** What the judges see of each table. */
const WATCHED = {
  executions: [
    "execution_id",
    "state",
    "attempt",
    "fence",
    "executor_id",
    "incarnation",
    "session_number",
    "job_uid",
    "job_id",
    "job_revision",
    "cause",
    "scheduled_us",
    "ready_us",
    "dispatch_us",
    "ended_us",
    "stop_reason",
    "counted_attempts",
    "loss_count",
    "policy",
    "gate_keys",
    "gates_held",
    "state_reason",
    "traceparent",
    "merged_count",
    "live_unique_key",
    "target_summary",
    "claim_route",
    "overlap",
    "waiting_gate",
    "start_deadline_us",
  ],
  job_logs: [
    "execution_id",
    "attempt",
    "fence",
    "executor_id",
    "incarnation",
    "status",
    "start_us",
    "end_us",
    "return_reason",
    "failure",
  ],
  executors: ["executor_id", "incarnation", "lost_us", "left_us", "session_number", "profile", "drain_us"],
  jobs: ["job_uid", "job_id", "revision", "paused", "next_fire_us", "fire_count", "schedule"],
  result_offsets: ["part", "generation", "next_offset"],
} as const;

type FunctionHandle = SqliteHandle & {
  function(name: string, options: object, body: (...given: unknown[]) => void): void;
};

/** Tells each change of a row, as it is made and before it is committed. The schema knows nothing of it. */
export function watchRows(handle: SqliteHandle, onChange: (change: RowChange) => void): void {
  for (const [table, columns] of Object.entries(WATCHED)) {
    const noted = `sim_${table}`;
    const row = (values: readonly unknown[]): ChangedRow =>
      Object.fromEntries(columns.map((column, at) => [column, plain(values[at])]));
    (handle as FunctionHandle).function(noted, { varargs: true, deterministic: false }, (...given) => {
      const [kind, ...values] = given;
      const before = kind === "insert" ? null : row(values);
      const after = kind === "delete" ? null : row(kind === "insert" ? values : values.slice(columns.length));
      onChange({ table: table as RowChange["table"], before, after });
    });
    const values = (of: string): string => columns.map((column) => toldAs(`${of}.${column}`)).join(", ");
    const [old, now] = [values("OLD"), values("NEW")];
    handle.exec(`
      CREATE TEMP TRIGGER ${noted}_i AFTER INSERT ON main.${table} BEGIN SELECT ${noted}('insert', ${now}); END;
      CREATE TEMP TRIGGER ${noted}_u AFTER UPDATE ON main.${table} BEGIN SELECT ${noted}('update', ${old}, ${now}); END;
      CREATE TEMP TRIGGER ${noted}_d AFTER DELETE ON main.${table} BEGIN SELECT ${noted}('delete', ${old}); END;`);
  }
}

/** The 63 bits of a route are told as text: numbers would round them. */
function toldAs(column: string): string {
  return column.endsWith(".claim_route") ? `CAST(${column} AS TEXT)` : column;
}

function plain(value: unknown): string | number | null {
  return typeof value === "bigint"
    ? Number(value)
    : typeof value === "string" || typeof value === "number"
      ? value
      : null;
}
